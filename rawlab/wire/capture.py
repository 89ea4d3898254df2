"""A timeline as the blocks of a pcapng file, and back.

    Section Header          rawlab's version, the kernel's release; a comment with the lab and the hosts
    Interface Description   one a point of observation
    Enhanced Packet …       the frames
    Journal Export …        the calls, one block at entry and one at return (`wire.journal`)
    Interface Statistics    at the orderly end: frames captured and dropped at each point

While a lab runs, the blocks stand in the order of their arrival; `blocks_of` puts them into the order of time.
What does *not* belong here: files (`store`).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from rawlab.model.event import Call, Frame
from rawlab.model.timeline import Host, Point, Run, Timeline
from rawlab.wire import journal, pcap, pcapng
from rawlab.wire.maker import USERAPPL
from rawlab.wire.pcapng import INBOUND, OUTBOUND, Damage, Interface, PacketRecord

Part = TypeVar("Part")


def header(run: Run, hosts: Sequence[Host], points: Sequence[Point]) -> bytes:
    """The blocks that begin a file."""
    said = ("lab", run.lab), ("stack", run.stack), ("merged", run.merged)
    about = [f"{key}: {' '.join(value.split())}" for key, value in said if value]
    about += [" ".join(("host:", host.name, *host.addresses)) for host in hosts]
    about += [" ".join(("own-tcp:", host.name, *host.own_tcp)) for host in hosts if host.own_tcp]
    items = [
        (pcapng.COMMENT, "\n".join(about).encode()),
        (pcapng.SHB_OS, (run.kernel or "").encode()),
        (pcapng.SHB_USERAPPL, f"{USERAPPL}{run.rawlab or ''}".encode()),
    ]
    addresses = {host.name: [ipaddress.ip_address(a).packed for a in host.addresses] for host in hosts}
    described = [
        pcapng.interface_description(point.linktype, point.name, addresses.get(point.host or "", ()))
        for point in points
    ]
    return b"".join((pcapng.section_header([item for item in items if item[1]]), *described))


def call_block(call: Call, id: str, *, at_return: bool) -> bytes:
    """The block of a call's entry or of its return; `id` ties the two."""
    return pcapng.journal(journal.entry_of(call, id, at_return=at_return))


def statistics(points: Sequence[Point], at_ns: int) -> bytes:
    """The blocks that end a file: what was captured and what was lost at each point."""
    return b"".join(
        pcapng.interface_statistics(index, at_ns, point.captured, point.dropped or 0)
        for index, point in enumerate(points)
        if point.captured is not None
    )


def blocks_of(timeline: Timeline) -> Iterator[bytes]:
    """The whole file, in the order of time. Only for timelines of one section, as rawlab records them."""
    yield header(timeline.run, timeline.hosts, timeline.points)
    last_ns = 0
    for at_ns, _, event, id in _records(timeline):
        last_ns = at_ns
        if isinstance(event, Frame):
            yield pcapng.enhanced_packet(_packet_record(event))
        else:
            yield call_block(event[0], id, at_return=event[1])
    yield statistics(timeline.points, last_ns)


def in_order(timeline: Timeline) -> Timeline:
    """The timeline as `blocks_of` writes it: its frames in the order of time, numbered as the file numbers them."""
    numbered = (
        replace(event, number=number)
        for number, (_, _, event, _) in enumerate(_records(timeline), 1)
        if isinstance(event, Frame)
    )
    return replace(timeline, frames=tuple(numbered))


def _records(timeline: Timeline) -> list[tuple[int, int, Frame | tuple[Call, bool], str]]:
    """(time, rank, a frame or a call and whether it is its return, the call's id), in order.

    At one instant a call's entry goes first and its return last.
    """
    records: list[tuple[int, int, Frame | tuple[Call, bool], str]] = []
    for n, call in enumerate(timeline.calls, 1):
        records.append((call.entered_ns, 0, (call, False), str(n)))
        if call.returned_ns is not None:
            records.append((call.returned_ns, 2, (call, True), str(n)))
    records += [(frame.at_ns, 1, frame, "") for frame in timeline.frames]
    return sorted(records, key=lambda record: record[:2])


def _packet_record(frame: Frame) -> PacketRecord:
    direction = {True: OUTBOUND, False: INBOUND, None: 0}[frame.outgoing]
    return PacketRecord(
        interface=frame.point,
        at_ns=frame.at_ns,
        data=memoryview(frame.data),
        length=frame.length,
        direction=direction,
        comments=frame.comments,
    )


def read(data: bytes | memoryview) -> Timeline | None:
    """The timeline that the file holds, as far as it is whole; None if it is neither pcapng nor pcap."""
    if bytes(data[:4]) == b"\x0a\x0d\x0d\x0a":
        return _Reader(data).read()
    if (found := pcap.read(data)) is not None:
        reader = _Reader(data)
        reader.interfaces = [found[0]]
        return reader.take_all(found[1], reader.packet)
    return None


def _has_name(words: tuple[str, ...]) -> bool:
    """Whether a line of the comment has something behind its key."""
    return len(words) > 1


class _Reader:
    """What has been read so far."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = data
        self.run = Run()
        self.hosts: list[Host] = []
        self.interfaces: list[Interface] = []
        self.described: list[Interface] = []  # the present section's
        self.base = 0  # index of its first
        self.counts: dict[int, tuple[int | None, int | None]] = {}
        self.calls: dict[str, Call] = {}
        self.frames: list[Frame] = []
        self.records = 0  # as Wireshark counts
        self.now_ns: int | None = None  # the last packet's time
        self.untimed = 0

    def read(self) -> Timeline:
        return self.take_all(pcapng.blocks(self.data), self.block)

    def take_all(self, parts: Iterator[Part], take: Callable[[Part], None]) -> Timeline:
        """Takes every part until the last, or until the file ceases to be whole."""
        damage: Damage | None = None
        try:
            for part in parts:
                take(part)
        except Damage as found:
            damage = found
        return self.timeline(damage)

    def block(self, block: pcapng.Block) -> None:
        if block.type in pcapng.PACKETS:
            self.packet(pcapng.read_packet(block, self.described))
        elif block.type == pcapng.JOURNAL:
            self.journal(block)
        elif block.type == pcapng.INTERFACE:
            self.described.append(pcapng.read_interface(block))
            self.interfaces.append(self.described[-1])
        elif block.type == pcapng.STATISTICS:
            number, captured, dropped = pcapng.read_statistics(block)
            self.counts[self.base + number] = captured, dropped
        elif block.type == pcapng.SECTION_HEADER:
            pcapng.check_section(block)
            self.base, self.described = len(self.interfaces), []
            self.section(pcapng.read_options(block.body, 16, block.order))
        elif block.type in pcapng.RECORDS:
            self.records += 1

    def section(self, items: pcapng.Options) -> None:
        application = next(iter(pcapng.texts(items, pcapng.SHB_USERAPPL)), "")
        if not application.startswith(USERAPPL):
            return
        about = [
            line.partition(": ") for text in pcapng.texts(items, pcapng.COMMENT) for line in text.splitlines()
        ]
        said = {key: value for key, _, value in about}
        self.run = Run(
            lab=said.get("lab"),
            stack=said.get("stack"),
            merged=said.get("merged"),
            rawlab=application.removeprefix(USERAPPL),
            kernel=next(iter(pcapng.texts(items, pcapng.SHB_OS)), None),
        )
        named = [(key, *value.split()) for key, _, value in about]
        own = {name: tuple(addresses) for key, name, *addresses in filter(_has_name, named) if key == "own-tcp"}
        self.hosts = [
            Host(name=name, addresses=tuple(addresses), own_tcp=own.get(name, ()))
            for key, name, *addresses in filter(_has_name, named)
            if key == "host"
        ]

    def packet(self, record: PacketRecord) -> None:
        self.records += 1
        if record.is_timed:
            self.now_ns = record.at_ns
        else:
            self.untimed += 1
            self.now_ns = pcapng.first_time(self.data) if self.now_ns is None else self.now_ns
        self.frames.append(
            Frame(
                number=self.records,
                at_ns=self.now_ns,
                point=self.base + record.interface,
                outgoing={OUTBOUND: True, INBOUND: False}.get(record.direction),
                data=record.data,
                length=record.length,
                comments=record.comments,
            )
        )

    def journal(self, block: pcapng.Block) -> None:
        self.records += 1
        try:
            fields = journal.parse(entry := bytes(block.body))
            if (text := fields.get("RAWLAB_CALL")) is None:
                return
            record: dict[str, Any] = json.loads(text)
            call, id = journal.from_record(record, fields.get("RAWLAB_DATA", b"")), str(record["id"])
            notes = journal.notes_of(entry) if journal.NOTE in fields else ()
            # A return, which knows all, takes the place of its entry.
            before = self.calls[id].notes if id in self.calls else ()
            self.calls[id] = replace(call, notes=before + notes) if before or notes else call
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Damage(block.offset, f"a recorded call expected: {str(error)[:200]}") from error

    def timeline(self, damage: Damage | None) -> Timeline:
        names = {host.name for host in self.hosts}
        points = [
            Point(
                name=(name := interface.name or f"interface {index}"),
                linktype=interface.linktype,
                host=next((host for host in (name, name.rstrip("0123456789")) if host in names), None),  # 'client2'
                captured=self.counts.get(index, (None, None))[0],
                dropped=self.counts.get(index, (None, None))[1],
            )
            for index, interface in enumerate(self.interfaces)
        ]
        return Timeline(
            run=self.run,
            hosts=tuple(self.hosts),
            points=tuple(points),
            calls=tuple(sorted(self.calls.values(), key=lambda call: call.entered_ns)),
            frames=tuple(self.frames),
            untimed=self.untimed,
            complete=damage is None and (self.run.rawlab is None or 0 < len(points) == len(self.counts)),
            damaged_at=damage.offset if damage else None,
            damage=damage.why if damage else None,
        )
