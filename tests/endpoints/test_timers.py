"""Timers: each fires once, when it is due, however often it was set, moved or stopped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rawlab.endpoints.timers import Timer, Timers


def test_a_timer_fires_once() -> None:
    """At its time, not before."""
    timers, fired = Timers(), list[int]()
    Timer(timers, fired.append).start(100)
    timers.run(99)
    assert fired == []
    assert timers.next_due == 100
    timers.run(150)
    timers.run(200)
    assert fired == [150]
    assert timers.next_due is None


def test_a_timer_that_is_moved_costs_one_place() -> None:
    """A thousand times further away: the heap stays as it is."""
    timers, fired = Timers(), list[int]()
    timer = Timer(timers, fired.append)
    for due in range(100, 1100):
        timer.start(due)
    assert len(timers) == 1
    assert timers.next_due == 1099
    timer.start(50)
    timers.run(60)
    timers.run(2000)
    assert fired == [60]


def test_one_that_fires_may_stop_another() -> None:
    """Of two that are due, the first takes the second off."""
    timers, fired = Timers(), list[int]()
    second = Timer(timers, fired.append)
    Timer(timers, lambda now: second.stop()).start(1)
    second.start(2)
    timers.run(5)
    assert fired == []


def test_one_that_starts_itself_for_the_past_waits_for_the_next_run() -> None:
    """No endless loop."""
    timers, fired = Timers(), list[int]()

    def again(now: int) -> None:
        fired.append(now)
        timer.start(now)

    timer = Timer(timers, again)
    timer.start(1)
    timers.run(5)
    assert fired == [5]


def test_a_stopped_timer_that_was_pruned_starts_again() -> None:
    """Its place in the heap is gone: the next start makes one, for however late a time."""
    timers, fired = Timers(), list[int]()
    timer = Timer(timers, fired.append)
    timer.start(35)
    timer.stop()
    timers.prune()
    timer.start(40)
    assert timers.next_due == 40
    timers.run(41)
    assert fired == [41]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["start", "stop", "run", "prune"]), st.integers(0, 50))))
def test_against_a_list(steps: list[tuple[int, str, int]]) -> None:
    """Property: a heap with stale entries fires what a plain table of due times says."""
    timers, fired, plain, now = Timers(), list[int](), dict[int, int](), 0
    each = [Timer(timers, lambda _, number=number: fired.append(number)) for number in range(6)]  # type: ignore[misc]
    for number, what, time in steps:
        if what == "start":
            each[number].start(now + time)
            plain[number] = now + time
        elif what == "stop":
            each[number].stop()
            plain.pop(number, None)
        elif what == "prune":
            timers.prune()
        else:
            now += time
            timers.run(now)
            assert sorted(fired) == sorted(number for number, due in plain.items() if due <= now)
            plain = {number: due for number, due in plain.items() if due > now}
            fired.clear()
        assert timers.next_due == min(plain.values(), default=None)
