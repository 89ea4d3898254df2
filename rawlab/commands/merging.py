"""What `rawlab merge A B` does: two machines' captures of the same traffic become one, on one clock."""

from __future__ import annotations

import os
from pathlib import Path

from rawlab import __version__
from rawlab.errors import FormatError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from rawlab.attribution.clocks import Ahead
    from rawlab.attribution.joining import Joined, Numbers
    from rawlab.model.timeline import Timeline
    from rawlab.store import Opened

_DRIFTS = 1e-9
"a slope below is told as none"


def merge(arguments: argparse.Namespace, read_input: Callable[[str, str], Opened]) -> int:
    """Joins the captures, and says how; the exit code. Raises RawlabError; then nothing is written."""
    from dataclasses import replace

    from rawlab import store

    names = _names(arguments)
    out = Path(arguments.output)
    store.refuse_input(out, (arguments.first, arguments.second))
    # Both are open before root gives up its rights, and neither is looked at before.
    rest: list[Opened] = []
    first = store.opened(arguments.first, then=lambda: rest.append(read_input(arguments.second, str(out.parent))))
    (second,) = rest
    one, other = (_captured(store.parse(opened, opened.name), opened.name) for opened in (first, second))
    joined = _joined(one, other, arguments, names)
    lines = list(_said(joined, one, other, arguments))
    run = replace(joined.timeline.run, rawlab=__version__, merged="; ".join(lines[-2:]))
    descriptor = store.create(out, force=arguments.force)
    _write(replace(joined.timeline, run=run), out, descriptor)
    print("\n".join(lines))
    return 0


def _names(arguments: argparse.Namespace) -> tuple[str, str] | None:
    if not arguments.names:
        return None
    one, other = arguments.names
    for name in (one, other):
        if not name.isidentifier() or name[-1].isdigit():
            raise UsageError(f"--names {name}: expected a name of letters, as client")
    if one == other:
        raise UsageError(f"--names {one} {other}: expected two names, one for each capture's machine")
    return one, other


def _captured(timeline: Timeline, name: str) -> Timeline:
    """A capture that can be joined: whole, and with its packets' times. Raises FormatError."""
    from rawlab.errors import Damaged

    if timeline.damaged_at is not None:
        raise Damaged(f"{name}: damaged at byte {timeline.damaged_at}: {timeline.damage}; nothing is written")
    if not timeline.frames:
        raise FormatError(f"{name}: holds no packet; nothing is written")
    if timeline.untimed:
        raise FormatError(f"{name}: holds packets without time stamps, which tell of no clock; nothing is written")
    if len({frame.point for frame in timeline.frames}) > 1 and len({point.host for point in timeline.points}) > 1:
        raise FormatError(f"{name}: holds both hosts' packets already, on one clock; nothing is written")
    return timeline


def _joined(
    one: Timeline, other: Timeline, arguments: argparse.Namespace, names: tuple[str, str] | None
) -> Joined:
    from rawlab.attribution.clocks import NoClock
    from rawlab.attribution.joining import NothingInCommon, join
    from rawlab.wire.decode import decode

    both = f"{arguments.first} and {arguments.second}"
    if [(frame.at_ns, bytes(frame.data)) for frame in one.frames[:64]] == [
        (frame.at_ns, bytes(frame.data)) for frame in other.frames[:64]
    ]:
        raise UsageError(f"{both}: hold the same packets at the same times: expected two machines' captures")
    try:
        return join(one, other, decode, names)
    except NothingInCommon as error:
        if error.translated:
            raise FormatError(
                f"{both}: the same data are in both, from other addresses: a translator (NAT) lies between, "
                "through which merge does not look; nothing is written"
            ) from None
        raise FormatError(
            f"{both}: no packet is in both; are they of the same traffic? nothing is written"
        ) from None
    except NoClock as error:
        raise FormatError(f"{both}: their clocks can't be joined: {error}; nothing is written") from None


def _write(timeline: Timeline, path: Path, descriptor: int) -> None:

    from rawlab import store
    from rawlab.errors import OutputError

    try:
        store.write(timeline, descriptor)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OutputError(f"{path}: {error.strerror}; nothing is kept; free some space, or use -o") from None
    finally:
        os.close(descriptor)


# ------------------------------------------------------------------------------------------------- words


def _said(joined: Joined, one: Timeline, other: Timeline, arguments: argparse.Namespace) -> Iterator[str]:
    """What was joined, a line each; the last two tell of the clocks, and of the times on the way."""
    from rawlab.views.counting import count

    first, second = arguments.first, arguments.second
    names = joined.names
    for name, host, timeline, i in ((first, names[0], one, 0), (second, names[1], other, 1)):
        alone = len(timeline.frames) - joined.both
        yield (
            f"{name}: {count(len(timeline.frames), 'packet')} at {_the(host)}: {joined.both} in both, "
            f"{alone} only here{_of_these(joined, i)}"
        )
    if joined.guessed:
        yield f"only packets of one direction are in both: that they are from {first}'s machine is assumed (--names)"
    yield _clocks(joined.ahead, first, second)
    yield _on_the_way(joined, names)


def _the(host: str) -> str:
    """'the client'; a machine that the user named by that name."""
    return f"the {host}" if host in ("client", "server") else host


def _of_these(joined: Joined, i: int) -> str:
    told = (
        (joined.sent_only[i], "sent, and lost on the way or not captured there"),
        (joined.came_only[i], "came, and not captured where sent"),
        (joined.others[i], "not between the two"),
    )
    said = ", ".join(f"{number} {what}" for number, what in told if number)
    return f" ({said})" if said else ""


def _clocks(ahead: Ahead, first: str, second: str) -> str:
    """'b.pcap's clock is 2.000123 s ahead of a.pcap's, ± 0.051 ms; no drift is to be seen'."""
    exact = ahead.margin_ns is not None and ahead.margin_ns < 1000
    far, leads = _seconds(abs(ahead.ahead_ns), 9 if exact else 6), ahead.ahead_ns >= 0
    side = f"{'ahead of' if leads else 'behind'} {first}'s"
    if ahead.margin_ns is None:
        at_most = leads == (ahead.high_ns is not None)
        return (
            f"{second}'s clock is at {'most' if at_most else 'least'} {far} {side}: packets of one direction alone "
            "tell no more; taken as if the fastest took no time"
        )
    said = f"{second}'s clock is {far} {side}, ± {_milliseconds(ahead.margin_ns)}"
    if abs(ahead.slope) > _DRIFTS:
        return f"{said}, and gains {ahead.slope * 1e6:+.3f} ppm ({_ppm(ahead)} fit)"
    return f"{said}; no drift is to be seen ({_ppm(ahead)} would fit)"


def _ppm(ahead: Ahead) -> str:
    return f"{ahead.least_slope * 1e6:+.3g} to {ahead.most_slope * 1e6:+.3g} ppm"


def _on_the_way(joined: Joined, names: tuple[str, str]) -> str:
    margin = joined.ahead.margin_ns
    about = f", each ± {_milliseconds(margin)}" if margin is not None else ", not bounded"
    ways = ((names, joined.forth_ns), (names[::-1], joined.back_ns))
    told = (f"{a} to {b} {_range(times)}" for (a, b), times in ways if times is not None)
    return f"on the way, least and median: {', '.join(told)}{about}"


def _range(times: Numbers) -> str:
    return f"{_milliseconds(times[0])} and {_milliseconds(times[1])}"


def _milliseconds(ns: int) -> str:
    return f"{ns / 1e6:.3f} ms"


def _seconds(ns: int, digits: int) -> str:
    unit = 10 ** (9 - digits)
    told = (ns + unit // 2) // unit
    return f"{told // 10**digits}.{told % 10**digits:0{digits}d} s"
