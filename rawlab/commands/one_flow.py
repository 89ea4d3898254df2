"""`rawlab replay FILE --flow N`: one flow of many as a story: its frames, and the ICMP errors that quote them.

The capture is read once, as columns; only the frames that are told become objects. In a capture of rawlab's own, the
calls on the flow's sockets are told with it.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from rawlab.commands import listing, pacing, progress, showing
from rawlab.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from rawlab.columns.reading import Reading
    from rawlab.columns.window import Window
    from rawlab.model.event import Frame
    from rawlab.model.timeline import Timeline
    from rawlab.store import Opened

_ICMP = (1, 58)


def show(opened: Opened, arguments: argparse.Namespace) -> None:
    """Tells it. Raises RawlabError."""
    from rawlab.api import explain
    from rawlab.columns.reading import Reading

    reading = Reading(opened.octets)
    timeline = timeline_of(opened, reading, arguments)
    arguments.table = arguments.table or "both"
    (showing.show_live if pacing.is_paced(arguments) else showing.show)(explain(timeline), arguments)
    listing.complain_of_damage(opened, reading, reading.records)


def timeline_of(opened: Opened, reading: Reading, arguments: argparse.Namespace) -> Timeline:
    """The flow's frames, and the errors that quote it. Raises UsageError where there is no such flow."""
    from rawlab import store
    from rawlab.wire.maker import is_own

    frames = frames_of(reading, arguments, opened)
    if is_own(opened.octets):
        return part(store.parse(opened, opened.name), {frame.number for frame in frames})
    return listing.timeline_of(opened, reading, frames)


def frames_of(reading: Reading, arguments: argparse.Namespace, opened: Opened) -> list[Frame]:
    """The flow's, and the errors that quote it. Raises UsageError where there is no such flow."""
    from rawlab.columns.names import Names
    from rawlab.columns.quotes import Quotes

    found: list[tuple[Window, int]] = []
    wanted, total = arguments.flow - 1, 0
    most = sys.maxsize if arguments.full else listing.MOST_TOLD
    quotes = Quotes(opened.octets, reading, Names(reading))
    with progress.shown(opened.name) as tell:
        for window in reading.windows(tell):
            rows = (window.flow == wanted).nonzero()[0].tolist()
            total += len(rows)
            if total:  # an error quotes what was sent before
                rows = sorted({*rows, *(row for row, flow in quotes.of(window) if flow == wanted)})
            found += [(window, row) for row in rows[: most - len(found)]]
    if not total:
        raise UsageError(f"{opened.name}: --flow {arguments.flow}: no such flow; {_there_are(len(reading.flows))}")
    if total > most:
        print(
            f"rawlab: {opened.name}: flow {arguments.flow} has {total:,} packets: the first {most:,} are told; "
            "--full tells all, in its own time",
            file=sys.stderr,
        )
    return [_frame(opened.octets, window, row) for window, row in found]


def _there_are(flows: int) -> str:
    return f"there are 1 to {flows}" if flows > 1 else "there is one" if flows else "there is none"


def _frame(octets: memoryview, window: Window, row: int) -> Frame:
    """One frame as an object."""
    from rawlab.model.event import Frame
    from rawlab.wire import pcapng

    at, captured = int(window.offset[row]), int(window.captured[row])
    direction, comments = _said(octets, at, captured)
    return Frame(
        number=int(window.number[row]),
        at_ns=int(window.at_ns[row]),
        point=int(window.point[row]),
        outgoing={pcapng.OUTBOUND: True, pcapng.INBOUND: False}.get(direction),
        data=octets[at : at + captured],
        length=int(window.length[row]),
        comments=comments,
    )


def _said(octets: memoryview, at: int, captured: int) -> tuple[int, tuple[str, ...]]:
    """Which way the frame went and the comments on it, as its block's options say (pcapng)."""
    from rawlab.wire import pcapng

    if bytes(octets[:4]) != b"\x0a\x0d\x0d\x0a":
        return 0, ()
    head = bytes(octets[at - 28 : at - 20])
    for order in ("little", "big"):
        kind, size = (int.from_bytes(head[index : index + 4], order) for index in (0, 4))
        if kind in (pcapng.ENHANCED_PACKET, pcapng.PACKET_OBSOLETE) and captured + 32 <= size <= pcapng.MAX_BLOCK:
            body = octets[at : at - 28 + size - 4]
            items = pcapng.read_options(body, captured + -captured % 4, "<" if order == "little" else ">")
            flags = next((value for code, value in items if code == pcapng.EPB_FLAGS and len(value) == 4), bytes(4))
            return int.from_bytes(flags, order) & 3, pcapng.texts(items, pcapng.COMMENT)
    return 0, ()


def part(whole: Timeline, numbers: set[int]) -> Timeline:
    """Those frames of a capture with calls, and the calls on their sockets."""
    from rawlab.api import explain
    from rawlab.views.conversations import Conversations

    story = explain(whole)
    conversations = Conversations(story)
    packets = {packet.n for packet in story.packets if numbers.intersection(packet.frames)}
    mine = {conversations.of_packet[n] for n in packets if n in conversations.of_packet}
    calls = tuple(
        told.call
        for told in story.calls
        if mine & conversations.of_call.get(told.n, frozenset()) or packets.intersection((*told.sent, *told.waited_for))
    )
    frames = tuple(frame for frame in whole.frames if frame.number in numbers)
    own = tuple(told.call for told in story.endpoint_calls if packets.intersection((*told.sent, *told.waited_for)))
    return replace(whole, frames=frames, calls=tuple(sorted((*calls, *own), key=lambda call: call.entered_ns)))
