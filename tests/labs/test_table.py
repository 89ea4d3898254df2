"""Each lab's table against its ladder: the calls and packets that must appear, and what ties them together.

RAWLAB_RUNS=20 runs each lab twenty times: the same causes and the same guaranteed order every time.
"""

from __future__ import annotations

import pytest

from rawlab import labs
from rawlab.views import story_json
from tests.labs import ladder
from tests.labs.runs import IPV6, NAMES, Run, Runs, parameters


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("run", [*parameters(NAMES), *parameters(IPV6, ipv6=True)], indirect=True)
def test_a_run_shows_what_the_lab_is_there_to_show(run: Run, all_runs: Runs) -> None:
    """Calls, packets, causes, waits and states are the ladder's, over IPv4 and IPv6; nothing is left behind."""
    differences = ladder.of_run(run, all_runs)
    assert not differences, f"{run.wanted}\n{differences}"


@pytest.mark.parametrize("run", [*parameters(NAMES), *parameters(IPV6, ipv6=True)], indirect=True)
def test_every_packet_has_its_cause_and_every_call_its_reason(run: Run) -> None:
    """No cause is unknown; a call sent something, waited for something, or says that nothing is sent."""
    story = run.succeeded().story
    unknown = [packet.n for packet in story.packets if packet.cause.kind == "unknown" or not packet.cause.reason]
    silent = [
        (told.n, told.call.name, told.why)
        for told in story.calls
        if not (told.sent or told.waited_for or "nothing is sent" in told.why or "sent nothing" in told.why)
    ]
    assert (unknown, silent) == ([], [])
    assert all(not loss["dropped"] for loss in run.json["losses"])


@pytest.mark.parametrize("run", [*parameters(NAMES), *parameters(IPV6, ipv6=True)], indirect=True)
def test_no_effect_comes_before_its_cause(run: Run) -> None:
    """A packet leaves after its calls were entered and its packets arrived; what a call waited for came in time.

    But for the neighbour's address that a packet needs: that is asked for before the packet leaves.
    """
    story = run.succeeded().story
    late = []
    for packet in story.packets:
        causes = [story.packets[n - 1] for n in packet.cause.packets if not ladder.finds_neighbours(packet)]
        before = [cause.arrived_ns or cause.at_ns for cause in causes if cause.sender != packet.sender]
        before += [story.calls[n - 1].call.entered_ns for n in packet.cause.calls]
        late += [f"p{packet.n}"] if any(at_ns > packet.at_ns for at_ns in before) else []
    for told in story.calls:
        came = [story.packets[n - 1].arrived_ns or story.packets[n - 1].at_ns for n in told.waited_for]
        late += [f"c{told.n}"] if any(at_ns > (told.call.returned_ns or at_ns) for at_ns in came) else []
    assert not late


@pytest.mark.parametrize("run", [*parameters(NAMES), *parameters(IPV6, ipv6=True)], indirect=True)
def test_what_is_printed_is_what_is_saved(run: Run) -> None:
    """`--format json` prints the same story that is told of the saved capture."""
    assert run.succeeded().json == story_json.value(run.story)


@pytest.mark.parametrize("run", parameters(["tcp-backlog"]), indirect=True)
def test_the_syn_ack_answers_the_syn_that_was_not_dropped(run: Run) -> None:
    """A SYN-ACK that leaves after a SYN came again answers the last that came."""
    packets = run.succeeded().story.packets
    again = [packet for packet in packets if "is full" in packet.cause.reason]
    answer = next(packet for packet in packets if packet.at_ns > again[-1].at_ns and packet.sender == "server")
    assert answer.cause.packets == (again[-1].n,)


def test_each_lab_has_a_ladder() -> None:
    """And no ladder is left of a lab that is gone."""
    assert sorted(file.stem for file in ladder.LADDERS.glob("*.ladder")) == sorted(labs.NAMES)
