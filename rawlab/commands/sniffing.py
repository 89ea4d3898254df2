"""What `rawlab sniff` does: packets of an interface or of a lab that runs, each told as it comes.

    filter words ─▶ wire.filter_words ─▶ live.sniff ─▶ attribution.following ─▶ views.live_table, a row at a time

The stage, which keeps what privilege it needs until its sockets are open, is handed a program and gives frames; this
side, which decodes and prints, has given up all. Nothing is sent, ever: no name is looked up, no interface is changed.
`replay` shows the rows of a saved one again, by the same way.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import select
import sys
import textwrap
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rawlab import __version__
from rawlab.commands.showing import coloured, columns, nearest, show_before
from rawlab.errors import LabError, OutputError, RawlabError, UsageError
from rawlab.model.facts import Facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rawlab.attribution.following import Follower
    from rawlab.live.labs_running import RunningLab
    from rawlab.live.owners import Owner
    from rawlab.live.sniff import Ended, Sniffer, Sniffing, Source
    from rawlab.model.event import Frame
    from rawlab.model.timeline import Host, Point, Timeline
    from rawlab.views.live_table import LiveTable

FORMATS = ("simple", "json")
_ROWS_AT_ONCE = 100  # between two looks at what else there is to do
_PATIENCE_SECONDS = 1.0  # for rows that come after ^C
_TOO_LATE = (
    "sniff --lab: the lab ended before it could be listened to; run `rawlab capture`, whose file has all its packets, "
    "or listen to one that lasts: capture LAB --interactive, craft --count N"
)
_STACK = "the host's SCTP"  # whose it is, the kernel's or a program's, no packet says


def sniff(arguments: argparse.Namespace) -> int:
    """The command's exit code. Raises RawlabError."""
    from rawlab.commands import rights
    from rawlab.live.owners import Owner
    from rawlab.live.sniff import Sniffer

    sniffing, lab = _sniffing(arguments)
    owner = Owner(arguments.pid) if arguments.pid is not None else None
    ending = None if lab is None else _ending(lab)
    sniffer = Sniffer()
    try:
        sniffer.stop_on_signals()
        rights.give_up(os.path.dirname(arguments.output or "") or ".")
        return _run(arguments, sniffer, sniffing, ending, owner)
    finally:
        sniffer.close()
        if owner is not None:
            owner.close()


# ------------------------------------------------------------------------------------------------ words


def _sniffing(arguments: argparse.Namespace) -> tuple[Sniffing, RunningLab | None]:
    """What is asked for, checked. Raises UsageError, PermissionMissing."""
    from rawlab.live.sniff import Sniffing
    from rawlab.wire.filter_words import compile_words

    if arguments.format not in FORMATS:
        raise UsageError(f"--format {arguments.format}: a live table is simple or json")
    if arguments.output == "-":
        raise UsageError("-o -: the table goes to standard output; name a file for the packets")
    if arguments.force and arguments.output is None:
        raise UsageError("--force: goes with -o FILE")
    program = compile_words(arguments.filter)
    if arguments.interface is not None and arguments.lab is not None:
        raise UsageError("sniff: -i or --lab, not both")
    if arguments.interface is None and arguments.lab is None:
        raise UsageError(f"sniff: say -i INTERFACE or --lab; {_what_is_there()}")
    lab = None
    if arguments.interface is not None:
        _check_interface(arguments.interface)
    else:
        lab = _find_lab(arguments.lab)
    asked = Sniffing(interface=arguments.interface, lab=lab, program=program, version=__version__)
    return asked, lab


def _check_interface(name: str) -> None:
    import socket

    from rawlab.live.interface import hardware_type

    names = [known for _, known in socket.if_nameindex()]
    if name not in names:
        raise UsageError(f"-i {name}: no such interface{nearest(name, names)}")
    if (kind := hardware_type(name)) not in (1, 772):  # ARPHRD_ETHER, ARPHRD_LOOPBACK of <linux/if_arp.h>
        raise UsageError(f"-i {name}: its frames are no Ethernet's (ARPHRD {kind}), and these alone are read here")


def _find_lab(pid: int) -> RunningLab:
    """The lab of that rawlab (0: the only one of this user's). Raises UsageError."""
    from rawlab.live.labs_running import labs_running

    labs = labs_running()
    if pid:
        found = [lab for lab in labs if pid in (lab.pid, lab.stage)]
        if not found:
            raise UsageError(f"--lab {pid}: no lab of that process runs; {_labs_in_words(labs)}")
        return found[0]
    user = os.environ.get("SUDO_UID", "") if os.geteuid() == 0 else ""
    users = {os.geteuid(), int(user) if user.isdecimal() else os.geteuid()}
    mine = [lab for lab in labs if lab.user in users]
    if len(mine) != 1:
        what = "several labs run: say --lab PID" if mine else "no lab of yours runs now"
        raise UsageError(f"--lab: {what}; {_labs_in_words(labs)}")
    return mine[0]


def _labs_in_words(labs: Sequence[RunningLab]) -> str:
    told = ", ".join(f"{lab.pid} ({textwrap.shorten(lab.words, 60, placeholder=' …')})" for lab in labs)
    return f"running labs: {told or 'none'}"


def _what_is_there() -> str:
    """The interfaces and the labs."""
    import socket

    from rawlab.live.interface import addresses
    from rawlab.live.labs_running import labs_running

    interfaces = []
    for _, name in socket.if_nameindex():
        with contextlib.suppress(OSError):  # gone since
            found = addresses(name)
            own = [address for address in (found.ipv4, found.ipv6) if address is not None]
            interfaces.append(" ".join((name, "up" if found.up else "down", *own)))
    return f"interfaces: {', '.join(interfaces)}; {_labs_in_words(labs_running())}"


# -------------------------------------------------------------------------------------------------- run


def _run(
    arguments: argparse.Namespace, sniffer: Sniffer, sniffing: Sniffing, ending: int | None, owner: Owner | None
) -> int:
    """`ending`: what is readable when the lab has ended."""
    from rawlab import store

    path = Path(arguments.output) if arguments.output is not None else None
    descriptor = store.create(path, force=arguments.force) if path is not None else None
    try:
        source = _begin(sniffer, sniffing, descriptor, ending)
        screen = Screen(arguments, sniffer.points, sniffer.hosts, owner)
        _tell_begin(arguments, sniffer)
        _show(arguments, sniffer, source, screen, ending)
    finally:
        if path is not None and descriptor is not None:
            store.discard_empty(path, descriptor)
    kept = path is not None and _keep(path, screen, sniffer)
    code = _tell_end(arguments, sniffer, screen, path if kept else None, owner)
    if screen.lost is not None:
        raise screen.lost
    return code


def _ending(lab: RunningLab) -> int:
    """A descriptor that is readable as soon as the lab has ended. Raises LabError where it has."""
    try:
        return os.pidfd_open(lab.stage)
    except ProcessLookupError:
        raise LabError(_TOO_LATE) from None


def _begin(sniffer: Sniffer, sniffing: Sniffing, descriptor: int | None, ending: int | None) -> Source:
    """The stage listens; why it can't, where the lab has ended meanwhile, is that. Raises RawlabError."""
    try:
        return sniffer.begin(sniffing, descriptor)
    except RawlabError:
        if ending is not None and select.select([ending], [], [], 0)[0]:
            raise LabError(_TOO_LATE) from None
        raise


def _tell_begin(arguments: argparse.Namespace, sniffer: Sniffer) -> None:
    where = ", ".join(point.name for point in sniffer.points)
    what = f", {' '.join(arguments.filter)}" if arguments.filter else ""
    _say(f"listening on {where}{what}; ^C ends it")


def _show(
    arguments: argparse.Namespace, sniffer: Sniffer, source: Source, screen: Screen, other: int | None
) -> None:
    """Rows until the end."""
    deadline = None if arguments.duration is None else time.monotonic() + arguments.duration
    dropped = 0
    said_at: float | None = None
    for frames in sniffer.frames(source, other, deadline):
        for first in range(0, len(frames), _ROWS_AT_ONCE):
            if screen.lost is not None or sniffer.hurried:
                break
            if sniffer.signal is not None:
                said_at = said_at or time.monotonic()
                if said_at < time.monotonic() - _PATIENCE_SECONDS:
                    _say("what was captured until then is still being shown; ^C again leaves it out")
                    said_at = math.inf
            screen.show(frames[first : first + _ROWS_AT_ONCE])
        if screen.lost is not None:
            sniffer.stop("nobody reads any more")
        elif screen.full:
            sniffer.stop("all that were asked for are shown")
        if sniffer.dropped > dropped:
            _say(f"{sniffer.dropped - dropped} frames were dropped: the capture could not keep up")
            dropped = sniffer.dropped


class Screen:
    """Frames in, rows printed."""

    def __init__(
        self, arguments: argparse.Namespace, points: Sequence[Point], hosts: Sequence[Host], owner: Owner | None
    ) -> None:
        self._table = _table(arguments, points, hosts, sockets=owner is not None)
        self._follower = _follower(points, hosts)
        self._points, self._owner, self._most = points, owner, arguments.count
        self.kept: dict[int, str | None] | None = {} if owner is not None or arguments.count is not None else None
        "where not every frame is shown: the numbers of those that are, and whose they are"
        header = self._table.header()
        self.lost = show_before(header) if header else None
        "why the rows can't be printed"

    @property
    def shown(self) -> int:
        """Rows so far."""
        return self._follower.packets

    @property
    def not_arrived(self) -> int:
        """Packets that left one end of a wire and were not seen at the other."""
        return self._follower.on_the_way

    @property
    def full(self) -> bool:
        """Whether as many as were asked for are shown."""
        return self._most is not None and self.shown >= self._most

    def show(self, frames: Iterable[Frame]) -> None:
        """Prints the rows of these frames; `lost` where they can't be printed."""
        try:
            for frame in frames:
                self._see(frame)
            sys.stdout.flush()
        except OSError as error:
            self.lost = error

    def _see(self, frame: Frame) -> None:
        label = None
        if self._owner is not None:
            flow = _decode(frame.data, self._points[frame.point].linktype, frame.length).flow
            label = None if flow is None else self._owner.label(flow)
            if label is None:
                return
        if self.full and not self._follower.is_arrival(frame):
            return
        if self.kept is not None:
            self.kept[frame.number] = label
        packet = self._follower.see(frame)
        if packet is not None:
            self._print(self._table.row(packet, label))
        for what in self._follower.forgotten:
            _say(what)
        self._follower.forgotten.clear()

    def _print(self, text: str) -> None:
        if text:
            sys.stdout.write(f"{text}\n")


def _decode(data: bytes | memoryview, linktype: int, length: int) -> Facts:
    from rawlab.wire.decode import decode

    return decode(data, linktype, length)


def _follower(points: Sequence[Point], hosts: Sequence[Host]) -> Follower:
    from rawlab.attribution.following import Follower
    from rawlab.wire.decode import decode

    return Follower(points, hosts, decode, _STACK)


def _table(
    arguments: argparse.Namespace, points: Sequence[Point], hosts: Sequence[Host], *, sockets: bool
) -> LiveTable:
    from rawlab.views.live_table import LiveTable

    return LiveTable(
        points,
        hosts,
        width=columns(arguments.width),
        colour=coloured(),
        sockets=sockets,
        as_json=arguments.format == "json",
    )


# -------------------------------------------------------------------------------------------------- end


def _keep(path: Path, screen: Screen, sniffer: Sniffer) -> bool:
    """Has the file hold what was shown, in the order of time; whether there is one."""
    from rawlab import store

    if not path.exists():
        return False
    if sniffer.ended.error or (screen.kept is None and len(sniffer.points) < 2):
        return True  # it stands as it was shown
    captured = store.load(path)
    if screen.kept is not None:
        frames = []
        for frame in captured.frames:
            if frame.number in screen.kept:
                label = screen.kept[frame.number]
                frames.append(frame if label is None else replace(frame, comments=(label,)))
        counts = [sum(frame.point == index for frame in frames) for index in range(len(captured.points))]
        points = [
            replace(point, captured=captured_here)
            for point, captured_here in zip(captured.points, counts, strict=True)
        ]
        captured = replace(captured, frames=tuple(frames), points=tuple(points))
    store.save(captured, path)
    return True


def _tell_end(
    arguments: argparse.Namespace, sniffer: Sniffer, screen: Screen, path: Path | None, owner: Owner | None
) -> int:
    """The summary, and the exit code. Raises OutputError, LabError."""
    from rawlab.live.sniff import LAB_ENDED
    from rawlab.views.counting import count

    ended: Ended = sniffer.ended
    frames = "" if len(sniffer.points) < 2 else f" (frames, at {len(sniffer.points)} interfaces)"
    told = f"{count(screen.shown, 'packet')} shown, {ended.captured} captured{frames}, {ended.dropped} dropped"
    if screen.not_arrived:
        told += f", {screen.not_arrived} left and not seen to arrive"
    if owner is not None and owner.left_out:
        told += f", {owner.left_out} of no socket of {owner.name}[{owner.pid}] that was there when they were looked at"
    if ended.stopped == LAB_ENDED:
        told = f"{ended.stopped}: {told}"
    _say(told + (f"; the packets are in {path}" if path is not None else ""))
    if ended.error:
        fix = "free some space, or name another place"
        raise OutputError(f"{arguments.output}: {ended.error}: what came after is lost; {fix}")
    if sniffer.signal is not None:
        return 128 + sniffer.signal
    if ended.stopped is not None and ": " in ended.stopped:
        raise LabError(f"sniff: {ended.stopped}")
    return 0


def _say(what: str) -> None:
    from rawlab.views.escape import terminal

    with contextlib.suppress(OSError):  # nobody is there to be told
        print(f"rawlab: {terminal(what)}", file=sys.stderr, flush=True)


# ----------------------------------------------------------------------------------------------- replay


def replay(captured: Timeline, arguments: argparse.Namespace) -> None:
    """Prints the rows of a capture that sniff made, as they were shown."""
    frames = list(captured.frames)
    if len(captured.points) > 1:
        frames.sort(key=lambda frame: frame.at_ns)
    sockets = any(frame.comments for frame in frames)
    table = _table(arguments, captured.points, captured.hosts, sockets=sockets)
    follower = _follower(captured.points, captured.hosts)
    print(table.header())
    for frame in frames:
        if (packet := follower.see(frame)) is not None:
            print(table.row(packet, next(iter(frame.comments), None)))
