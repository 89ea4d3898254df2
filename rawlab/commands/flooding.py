"""What `rawlab craft --flood` does: packets of templates by the hundred thousand, inside a lab, and a report of them.

    descriptions ─▶ crafting ─▶ wire.vary ─▶ templates ─▶ live.craft ─▶ stage ─▶ a report, and a file

The file has the first and the last packets, or all that the ring took where -o names it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rawlab import __version__
from rawlab.commands import crafting
from rawlab.commands.showing import no_capture_on_a_terminal, show_before
from rawlab.errors import LabError, OutputError, UsageError
from rawlab.model.craft import Crafted, Ends
from rawlab.model.flood import MARK, MOST_PACKETS, MOST_SECONDS, SHOWN, Flood

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rawlab.live.craft import Flooding
    from rawlab.live.session import Outcome
    from rawlab.model.timeline import Timeline
    from rawlab.store import Opened
    from rawlab.wire.template import Template

Output = Callable[[argparse.Namespace], tuple[Path | None, int]]
"""How `cli` makes the file: its path (None: standard output), and a descriptor."""


def flood(arguments: argparse.Namespace, read: Callable[[str], Opened], output: Output) -> int:
    """The command's exit code. `read`: a named capture's octets. Raises RawlabError."""
    _check_words(arguments)
    from rawlab.commands import rights
    from rawlab.live import craft
    from rawlab.live.session import Session
    from rawlab.views import flood as view

    session = Session()  # gets ready while we do, and holds what privilege we have; we give up ours
    try:
        session.stop_on_signals()
        rights.give_up("." if arguments.output in (None, "-") else os.path.dirname(arguments.output) or ".")
        packets = crafting.packets(arguments, Ends(destination_port=crafting.port(arguments)), read)
        flooding = _flooding(arguments, packets)
        shown = arguments.format == "simple" and arguments.output != "-"
        if shown:
            show_before(f"{view.before(packets, arguments.varied)}\n")
        path, descriptor = output(arguments)
        try:
            outcome = craft.run(session, flooding, descriptor, __version__)
        finally:
            from rawlab import store

            store.discard_empty(path, descriptor)
        told = Flood(**outcome.report or {})
        _show(told, flooding.templates, arguments, path, descriptor)
        return _verdict(told, outcome, path)
    finally:
        session.close()


def _check_words(arguments: argparse.Namespace) -> None:
    """What does not go together. Raises UsageError."""
    from rawlab import labs

    for name, value in (("interface", arguments.interface is not None), ("outside", arguments.outside)):
        if value:
            raise UsageError(f"--flood: never leaves the lab: leave --{name} out")
    for name, value in (("rate", arguments.rate), ("show", arguments.show)):
        if value:
            raise UsageError(f"--flood: as fast as it goes: leave --{name} out")
    if arguments.format not in ("simple", "json"):
        raise UsageError(f"--flood: its report is simple or json, not {arguments.format}")
    if arguments.seconds is not None and arguments.seconds <= 0:
        raise UsageError("--seconds 0: more than 0 expected")
    crafting.check_words(arguments)
    wire = labs.lab(arguments.against).wire if arguments.against else None
    if wire is not None and (wire.delay_ms or wire.faults):
        raise UsageError(f"--flood --against {arguments.against}: on its wire is a relay, far slower than a flood")
    no_capture_on_a_terminal(arguments)


def _flooding(arguments: argparse.Namespace, packets: Sequence[Crafted]) -> Flooding:
    from rawlab.live.craft import Flooding
    from rawlab.wire import vary
    from rawlab.wire.decode import decode

    ends = Ends()
    frames = [crafting.framed(packet, ends) for packet in packets]
    varied = [vary.parse_vary(text) for text in arguments.varied]
    of_each = [[one for one in varied if len(frames) == 1 or vary.has_field(frame, 1, one)] for frame in frames]
    for one in varied:
        if not any(one in mine for mine in of_each):
            vary.template(next((frame for frame in frames if vary.has_layer(frame, 1, one)), frames[0]), 1, [one])
    templates = [vary.template(frame, 1, mine) for frame, mine in zip(frames, of_each, strict=True)]
    versions = {ip.version for frame in frames if (ip := decode(frame, 1).ip) is not None}
    bounded = arguments.count is not None
    return Flooding(
        templates=tuple(templates),
        versions=tuple(sorted(versions)),
        count=arguments.count or MOST_PACKETS,
        seconds=arguments.seconds or (MOST_SECONDS if bounded else 1.0),
        wait=arguments.wait,
        against=arguments.against,
        ipv6=crafting.version(packets[0]) == 6,
        whole=arguments.output is not None,
    )


def _show(
    told: Flood, templates: Sequence[Template], arguments: argparse.Namespace, path: Path | None, descriptor: int
) -> None:
    """The report; the file finished, or copied to standard output."""
    from rawlab import store
    from rawlab.views import flood as view

    captured: Timeline | None = None
    if not told.whole:
        captured = _commented(store.parse(store.read(descriptor), str(path)), templates, told)
        captured = store.save(captured, path) if path is not None else captured
    if path is None:
        _copy(descriptor)
        print(view.report(told), file=sys.stderr)
    elif arguments.format == "json":
        print(view.to_json(told))
    else:
        if captured is not None:
            print(f"{view.sample(captured, told)}\n")
        print(view.report(told))
    sys.stdout.flush()
    if path is not None:
        what = "all that was captured is" if told.whole else f"the first {SHOWN} and the last {SHOWN} packets are"
        print(f"rawlab: {what} in {path}", file=sys.stderr)


def _commented(captured: Timeline, templates: Sequence[Template], told: Flood) -> Timeline:
    """The flood's own packets say so, and the one after which some are left out, to whoever opens the file."""
    left_out = told.captured - len(captured.frames)
    frames = list(captured.frames)
    for index, frame in enumerate(frames):
        data = bytes(frame.data)
        own = not frame.outgoing and any(template.made(data) for template in templates)
        said = [MARK] if own else []
        if left_out > 0 and index == SHOWN - 1:
            said.append(f"{left_out} packets that were captured after this one are left out of the file")
        frames[index] = replace(frame, comments=tuple(said))
    return replace(captured, frames=tuple(frames))


def _copy(descriptor: int) -> None:
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        while piece := file.read(1 << 20):
            sys.stdout.buffer.write(piece)


def _verdict(told: Flood, outcome: Outcome, path: Path | None) -> int:
    """The exit code; what did not go as asked is said."""
    if outcome.error:
        raise OutputError(f"{path or 'standard output'}: {outcome.error}: {told.kept} packets at the most are saved")
    if outcome.signal:
        print(f"rawlab: the flood was {outcome.stopped}", file=sys.stderr)
        return 128 + outcome.signal
    if outcome.stopped:
        raise LabError(f"craft: {outcome.stopped}")
    if told.error:
        raise LabError(f"craft: the kernel refused a packet ({told.error}); {told.sent} were sent before it")
    return 0
