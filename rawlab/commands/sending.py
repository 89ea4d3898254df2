"""What `rawlab replay FILE --to …` does: a capture's packets on a wire again, and what came of them.

    capture ─▶ columns.plan: who sends, and when ─▶ live.replay ─▶ stage ─▶ a report; with -o, a capture of both ends

`--to lab` is a wire between two private hosts on which nothing else is. An interface of the present network is outside
of any lab: only with --outside, a count and a rate, and as root.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rawlab import __version__
from rawlab.errors import Damaged, FormatError, LabError, OutputError, PermissionMissing, UsageError
from rawlab.model.replay import MOST_OCTETS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rawlab.columns.plan import Planner
    from rawlab.live.replay import Ended, Replayer
    from rawlab.model.replay import Replayed
    from rawlab.store import Opened

LAB = "lab"
_ETHERNET, _LOOPBACK = 1, 772  # ARPHRD_* of <linux/if_arp.h>
_TOLD_SECONDS = 0.5
_PIECE = 1 << 20
_SHOWN = ("live", "step", "over", "ladder", "notes", "where", "sort", "table", "width", "full", "endpoint_calls")
"options of what is shown of a capture"
_ORDERED_OCTETS = 64 << 20
"of a file that is put in the order of time; a larger one stands in the order in which the two ends handed it over"


def send(arguments: argparse.Namespace, read: Callable[..., Opened]) -> int:
    """Sends the capture; the exit code. Raises RawlabError."""
    check(arguments)
    from rawlab.live.replay import Replayer

    replayer = Replayer()  # gets ready while we do, and holds what privilege we have; we give up ours
    try:
        replayer.stop_on_signals()
        opened = read(arguments.file, os.path.dirname(arguments.output or "") or ".")
        return _send(arguments, opened, replayer)
    finally:
        replayer.close()


# ------------------------------------------------------------------------------------------------ words


def check(arguments: argparse.Namespace) -> None:
    """What does not go together. Raises UsageError, PermissionMissing."""
    if arguments.to is None:
        raise UsageError("--topspeed, --loop, --count, --rate, --outside: are about sending: say --to lab as well")
    if not arguments.to:
        raise UsageError("--to: lab, or the name of an interface expected, '' came")
    if arguments.against is not None:
        raise UsageError("--to sends both sides' packets, --against speaks with a server: one or the other")
    for name in (*_SHOWN, "strace"):
        if getattr(arguments, name, None) not in (None, False):
            raise UsageError(f"--to: what it prints is a report: leave --{name.replace('_', '-')} out")
    if arguments.format not in ("simple", "json"):
        raise UsageError(f"--to: its report is simple or json, not {arguments.format}")
    if arguments.output == "-":
        raise UsageError("-o -: the report goes to standard output; name a file for what is captured")
    if arguments.force and arguments.output is None:
        raise UsageError("--force: goes with -o OUT")
    _check_output(arguments)
    if arguments.to != LAB:
        _check_outside(arguments)
    elif arguments.outside:
        raise UsageError("--to lab: nothing of it goes outside: leave --outside out, or name an interface")
    elif arguments.topspeed and (arguments.speed or arguments.rate):
        raise UsageError("--topspeed: as fast as it goes: leave --speed and --rate out")


def _check_output(arguments: argparse.Namespace) -> None:
    """What is captured does not take the place of what is sent."""
    with contextlib.suppress(OSError):
        read = os.stat(0 if arguments.file == "-" else arguments.file)
        if arguments.output and os.path.samestat(os.stat(arguments.output), read):
            raise UsageError(f"-o {arguments.output}: is the capture that is sent; name another file")


def _check_outside(arguments: argparse.Namespace) -> None:
    """Nothing is sent outside unless all of it was asked for in words."""
    import socket

    from rawlab.live.interface import addresses, hardware_type

    name = arguments.to
    names = [known for _, known in socket.if_nameindex()]
    if name not in names:
        raise UsageError(f"--to {name}: no such interface; --to lab, or one of: {', '.join(names)}")
    if arguments.topspeed:
        raise UsageError(f"--to {name}: outside of the lab --rate says how fast: leave --topspeed out")
    if arguments.output:
        raise UsageError(f"--to {name}: nothing is captured there, -o goes with --to lab: leave it out")
    wanted = {"--outside": arguments.outside, "--count N": arguments.count, "--rate PPS": arguments.rate}
    if missing := [word for word, given in wanted.items() if not given]:
        words = " and ".join([", ".join(missing[:-1]), missing[-1]] if missing[1:] else missing)
        raise UsageError(f"--to {name}: is outside the lab: say {words} as well")
    if hardware_type(name) not in (_ETHERNET, _LOOPBACK):
        raise UsageError(f"--to {name}: its frames are no Ethernet's, and these alone are sent")
    if not addresses(name).up:
        raise UsageError(f"--to {name}: is down: nothing can be sent there")
    if os.geteuid():
        raise PermissionMissing("sending outside of a lab needs root: use sudo")


# -------------------------------------------------------------------------------------------------- run


def _send(arguments: argparse.Namespace, opened: Opened, replayer: Replayer) -> int:
    from rawlab.columns.plan import Pace, Planner, paced
    from rawlab.live.replay import Replaying

    lab = arguments.to == LAB
    planner = Planner(opened.octets, flow=arguments.flow, longest=MOST_OCTETS if lab else _longest(arguments.to))
    pace = Pace(
        speed=arguments.speed or 1.0, loops=arguments.loop or 1, count=arguments.count, rate=arguments.rate
    )
    plan = paced(planner, pace)
    first = next(plan, None)
    if first is None:
        raise _nothing_to_send(arguments, planner)
    if not lab:
        words = f"at most {arguments.count:,} packets, at most {arguments.rate:g} a second"
        print(f"rawlab: warning: {words}, leave on {arguments.to}, which is outside of any lab", file=sys.stderr)
    descriptor, capture = _descriptor(opened), _output(arguments)
    ordered = True
    replaying = Replaying(interface=None if lab else arguments.to, topspeed=arguments.topspeed, capture=capture)
    progress = _Progress()
    rows = itertools.chain([first], plan)
    try:
        ended = replayer.replay(
            replaying, rows, planner.planned, opened.octets, descriptor, progress.told, __version__
        )
    finally:
        progress.end()
        if capture is not None:
            ordered = _keep(Path(arguments.output), capture)
    _tell(arguments, ended, ordered=ordered)
    return _verdict(arguments, ended, replayer.signal, planner, opened)


def _longest(interface: str) -> int:
    """Octets of a frame that the interface takes."""
    from rawlab.live.interface import addresses

    return addresses(interface).mtu + 14


def _nothing_to_send(arguments: argparse.Namespace, planner: Planner) -> Exception:
    """Why the plan is empty."""
    planned, file = planner.planned, arguments.file
    told = ", ".join(f"{count:,} {why}" for why, count in planned.left_out.items())
    if planner.damage is not None:
        where = f"damaged at byte {planner.damage.offset}: {planner.damage.why}"
        return Damaged(f"{file}: nothing to send{f' ({told})' if told else ''}, {where}")
    if told:
        return LabError(f"{file}: none of its frames can be sent: {told}")
    if not planner.flow_seen:
        return UsageError(f"--flow {arguments.flow}: {file} has no such flow; `rawlab replay {file}` lists them")
    return FormatError(f"{file}: holds no packet; there is nothing to send")


def _descriptor(opened: Opened) -> int:
    """A file with the capture's octets, for the stage, which may read nothing else of ours. Raises OutputError."""
    octets = opened.octets
    if opened.packed is None and opened.name != "-" and len(octets) > _PIECE:
        with contextlib.suppress(OSError):  # root opened it, and we may not any more
            descriptor = os.open(opened.name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if os.pread(descriptor, _PIECE, 0) == octets[:_PIECE] and os.fstat(descriptor).st_size == len(octets):
                return descriptor
            os.close(descriptor)
    from rawlab import store

    try:
        small = len(octets) <= 16 * _PIECE
        descriptor = os.memfd_create("capture") if small else store.nameless()
        for begin in range(0, len(octets), _PIECE):
            os.write(descriptor, octets[begin : begin + _PIECE])
        return descriptor
    except OSError as error:
        raise OutputError(f"{opened.name}: its octets can't be kept for sending: {error.strerror}") from None


def _output(arguments: argparse.Namespace) -> int | None:
    if arguments.output is None:
        return None
    from rawlab import store

    return store.create(Path(arguments.output), force=arguments.force)


def _keep(path: Path, descriptor: int) -> bool:
    """The file with what both ends saw, none where nothing was captured; whether it is in the order of time."""
    from rawlab import store

    store.discard_empty(path, descriptor)
    size = os.fstat(descriptor).st_size
    if 0 < size <= _ORDERED_OCTETS:
        store.save(store.load(path), path)
    return size <= _ORDERED_OCTETS


class _Progress:
    """How far it is, in one line on a terminal."""

    def __init__(self) -> None:
        self._began = self._said = time.monotonic()
        self._shown = False

    def told(self, sent: int) -> None:
        now = time.monotonic()
        if now - self._said > _TOLD_SECONDS and sys.stderr.isatty():
            self._said, self._shown = now, True
            what = f"{sent:,} packets sent" if sent else "reading the capture"
            print(f"\r\x1b[Krawlab: {what}, {now - self._began:.0f} s", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


# ----------------------------------------------------------------------------------------------- report


def _tell(arguments: argparse.Namespace, ended: Ended, *, ordered: bool) -> None:
    told = ended.replayed
    if arguments.format == "json":
        print(json.dumps(_known(told), indent=2))
    else:
        from tabulate import tabulate

        rows = [*_sent(told), *_arrived(told), *_not_sent(told)]
        print(tabulate(rows, ("packets", "octets", ""), disable_numparse=True, colalign=("right", "right", "left")))
        if told.gaps is not None and told.schedule is not None:
            of = (("between a packet and the one before", told.gaps), ("since the first packet", told.schedule))
            times = [(_micro(spread.median_ns), _micro(spread.most_ns), f"in the time {what}") for what, spread in of]
            timed = told.schedule.of + 1
            names = ("off by, median", "99 in 100 at most", f"of the first {timed:,}" if timed < told.equal else "")
            print()
            print(tabulate(times, names, disable_numparse=True, colalign=("right", "right", "left")))
    sys.stdout.flush()
    if arguments.output is not None:
        large = f"; above {_ORDERED_OCTETS >> 20} MiB it is not put in the order of time: reordercap(1) does that"
        print(f"rawlab: what both ends saw is in {arguments.output}{'' if ordered else large}", file=sys.stderr)


def _micro(ns: int) -> str:
    return f"{ns / 1000:,.1f} µs"


def _known(told: Replayed) -> dict[str, object]:
    """The report's values: None of what nobody looked at, which is the other end outside, and what was not captured."""
    values = dataclasses.asdict(told)
    unseen = ("dropped", "equal", "unseen", "strange", "overtaken") if told.captured is None else ()
    return values | dict.fromkeys(unseen) | dict.fromkeys(("others", "lost") if told.received is None else ())


def _rate(packets: int, took_ns: int) -> str:
    """How many a second, where that can be said."""
    if packets < 2 or took_ns <= 0 or (rate := packets / took_ns * 1e9) < 0.1:
        return ""
    return f", {rate:,.0f} a second" if rate >= 10 else f", {rate:.1f} a second"


def _sent(told: Replayed) -> Iterator[tuple[str, str, str]]:
    rate = _rate(sum(told.sent), told.took_ns)
    sides = f": the client {told.sent[0]:,}, the server {told.sent[1]:,}"
    took = f"sent in {told.took_ns / 1e9:.3f} s{rate}{sides if told.received is not None else ''}"
    yield f"{sum(told.sent):,}", f"{sum(told.octets):,}", took
    if told.refused:
        yield f"{told.refused:,}", "", f"that the kernel refused ({told.refused_errno})"


def _arrived(told: Replayed) -> Iterator[tuple[str, str, str]]:
    if told.received is None or told.received_octets is None:
        return
    where = "came in at the other end, by the interfaces' counts"
    yield f"{sum(told.received):,}", f"{sum(told.received_octets):,}", where
    if told.lost:
        yield f"{told.lost:,}", "", "lost on the way"
    yield f"{told.others:,}", "", "others on that wire"
    if told.captured is None:
        return
    yield f"{told.equal:,}", "", "captured at the other end, equal octet by octet"
    if told.unseen:
        why = f"; the capture had no room for {told.dropped:,} frames" if told.dropped else ""
        what = "not captured there, or not compared" if told.dropped else "not captured there"
        yield f"{told.unseen:,}", "", f"sent, and {what}{why}"
    if told.strange:
        lost = "captured there and not compared, after frames that the capture had no room for"
        yield f"{told.strange:,}", "", lost if told.dropped else "captured there, and none of those sent"
    yield f"{told.overtaken:,}", "", "came in before one that was sent earlier"


def _not_sent(told: Replayed) -> Iterator[tuple[str, str, str]]:
    """What is to be known of the capture."""
    planned = told.planned
    for why, count in planned.left_out.items():
        yield f"{count:,}", "", f"left out: {why}"
    if planned.seen_twice:
        yield f"{planned.seen_twice:,}", "", "left out: seen a second time, where the packet came in"
    if planned.cut:
        yield f"{planned.cut:,}", "", "of which the capture holds the beginning alone, which is what was sent"
    if planned.headed:
        yield f"{planned.headed:,}", "", "that had no Ethernet header, and got one of the lab's"
    if planned.backwards:
        yield f"{planned.backwards:,}", "", "that stand behind later ones in the file, and left right after those"


def _verdict(
    arguments: argparse.Namespace, ended: Ended, signal: int | None, planner: Planner, opened: Opened
) -> int:
    """The exit code; what did not go as asked is said."""
    from rawlab.views.counting import count

    told, file = ended.replayed, arguments.file
    if ended.error:
        raise OutputError(f"{arguments.output}: {ended.error}; what was captured after that is lost")
    if signal:
        print(f"rawlab: the replay was {ended.stopped}; {count(sum(told.sent), 'packet')} sent", file=sys.stderr)
        return 128 + signal
    if told.error or ended.stopped:
        why = f"the kernel refused a packet ({told.error})" if told.error else ended.stopped
        raise LabError(f"replay: {why}; {sum(told.sent):,} packets were sent before it")
    if planner.damage is not None:
        where = f"damaged at byte {planner.damage.offset}: {planner.damage.why}"
        raise Damaged(f"{file}: {count(sum(told.sent), 'packet')} sent, {where}")
    if opened.broken is not None:
        raise Damaged(f"{file}: {count(sum(told.sent), 'packet')} sent, {opened.broken}")
    if told.refused:
        raise LabError(f"replay: the kernel refused {told.refused:,} of the packets ({told.refused_errno})")
    return 0
