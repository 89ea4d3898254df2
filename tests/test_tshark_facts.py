"""What rawlab reads of every frame is what tshark reads of it: addresses, ports, numbers, lengths, times, fragments.

Every file in the shared captures, every capture of the repository and every case of `tests.wire.tunnelled` is read by
both. Of a tunnel the innermost packet counts, of an ICMP error the error itself. What differs stands in `EXPLAINED`
with the reason, which the test prints; an entry that no longer differs is an error, too.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from random import Random

import pytest

from rawlab.attribution.pairing import pair
from rawlab.attribution.reassembly import assemblies
from rawlab.errors import RawlabError
from rawlab.model.facts import Facts, TcpSegment, UdpDatagram
from rawlab.model.sctp import SctpPacket
from rawlab.model.timeline import Timeline
from rawlab.store import load
from rawlab.wire import pcapng
from rawlab.wire.decode import decode
from tests.wire.frames import NAMES, capture, ipv4, ipv6, tool, udp, write_pcap
from tests.wire.tunnelled import CASES, ether, gre, pieces, tagged, vxlan

CAPTURES = sorted(Path(__file__).parents[1].joinpath("captures").glob("*.pcapng"))
TIMES = ("frame.len", "frame.cap_len", "frame.time_epoch")
ADDRESSES = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst")
TRANSPORTS: Mapping[str, tuple[str, ...]] = {
    "tcp": ("srcport", "dstport", "seq_raw", "ack_raw", "flags", "len", "window_size_value"),
    "udp": ("srcport", "dstport", "length"),
    "sctp": ("srcport", "dstport"),
}
FIELDS = (
    *("frame.protocols", *TIMES, *ADDRESSES),
    *(f"{protocol}.{field}" for protocol, fields in TRANSPORTS.items() for field in fields),
)
RAW = ("ip.defragment:FALSE", "ipv6.defragment:FALSE", "tcp.desegment_tcp_streams:FALSE")
Row = Mapping[str, list[str]]
Told = dict[str, str]

# (file, frame as tshark counts, field): why the two differ.
CUT = "a TCP header that is cut, or longer than its packet: tshark gives what is there of it, rawlab says so"
HEADER = ("srcport", "dstport", "seq_raw", "ack_raw", "flags", "window_size_value")
EXPLAINED: Mapping[tuple[str, int, str], str] = {
    **{("fuzz-be-2.pcap", frame, f"tcp.{field}"): CUT for frame in (27, 80) for field in HEADER},
    **{("fuzz-be-2.pcap", 111, f"tcp.{field}"): CUT for field in ("srcport", "dstport")},
    ("tcp-rst-inject.pcap", 2, "tcp.flags"): "tshark counts three reserved bits, 0x0e00, with the flags",
    ("file-bad-caplen.pcap", 1, "ip.src"): "tshark takes the file for a Kuznetzov pcap, with longer record headers",
    ("file-bad-caplen.pcap", 1, "ip.dst"): "as before",
    ("file-truncated.pcap", 1, "frame.time_epoch"): "tshark prints 1,882,137,472 ns behind the point",
}


def ask(path: Path, *names: str, preferences: tuple[str, ...] = RAW) -> list[Row]:
    """The named fields of each frame by tshark, each with all its values."""
    options = [part for preference in preferences for part in ("-o", preference)]
    wanted = [part for name in names for part in ("-e", name)]
    command = [tool("tshark"), "-n", "-r", str(path), "-T", "fields", "-E", "separator=|", *options, *wanted]
    run = subprocess.run(command, capture_output=True, text=True, errors="replace")
    rows = [line.split("|") for line in run.stdout.splitlines()]
    return [dict(zip(names, (value.split(",") if value else [] for value in row), strict=True)) for row in rows]


def outside_of_errors(row: Row) -> list[str]:
    """The layers by tshark, without those of a packet that an ICMP error quotes."""
    layers = row["frame.protocols"][0].split(":")
    ends = [layers.index(name) for name in ("icmp", "icmpv6") if name in layers]
    return layers[: min(ends, default=len(layers))]


def by_tshark(row: Row) -> Told:
    """The innermost packet's fields."""
    told = {name: row[name][0] for name in ("frame.len", "frame.cap_len")}
    if row["frame.time_epoch"]:  # a Simple Packet Block has none
        told["frame.time_epoch"] = in_ns(row["frame.time_epoch"][0])
    layers = outside_of_errors(row)
    ip = next((name for name in reversed(layers) if name in ("ip", "ipv6")), None)
    if ip is not None:
        told |= {name: row[name][layers.count(ip) - 1] for name in (f"{ip}.src", f"{ip}.dst") if row[name]}
    for protocol, fields in TRANSPORTS.items():
        behind = layers[max((at for at, name in enumerate(layers) if name == ip), default=0) :]
        if protocol in behind and row[f"{protocol}.srcport"]:
            count = layers.count(protocol) - 1
            names = [f"{protocol}.{field}" for field in fields]
            told |= {name: row[name][min(count, len(row[name]) - 1)] for name in names if row[name]}
    return told


def by_rawlab(at_ns: int, captured: int, length: int, facts: Facts) -> Told:
    """The same of the facts, as tshark writes it."""
    told = {"frame.len": length, "frame.cap_len": captured, "frame.time_epoch": at_ns}
    words: Told = {name: str(value) for name, value in told.items()}
    if facts.ip is not None:
        ip = "ip" if facts.ip.version == 4 else "ipv6"
        words |= {f"{ip}.src": facts.ip.source, f"{ip}.dst": facts.ip.destination}
    match facts.transport:
        case TcpSegment() as tcp:
            flags = sum(1 << "FSRPAUEWe".index(flag) for flag in tcp.flags)
            numbers = (tcp.seq.value, tcp.ack.value, f"0x{flags:04x}", tcp.length, tcp.window)
            words |= named("tcp", tcp.source_port, tcp.destination_port, *numbers)
        case UdpDatagram() as udp:
            words |= named("udp", udp.source_port, udp.destination_port, udp.length + 8)
        case SctpPacket() as sctp:
            words |= named("sctp", sctp.source_port, sctp.destination_port)
    return words


def named(protocol: str, *values: object) -> Told:
    return {f"{protocol}.{name}": str(value) for name, value in zip(TRANSPORTS[protocol], values, strict=True)}


def in_ns(epoch: str) -> str:
    """tshark's seconds with their fraction as nanoseconds."""
    seconds, _, fraction = epoch.partition(".")
    return str(int(seconds) * 10**9 + int(fraction.ljust(9, "0")[:9] or 0))


def compared(name: str, path: Path, timeline: Timeline) -> Iterator[tuple[tuple[str, int, str], str]]:
    """(file, frame, field) of every difference, and what each of the two says."""
    rows = ask(path, *FIELDS)
    for frame in timeline.frames:  # numbered as Wireshark counts: with the records that are no packets
        row, number = rows[frame.number - 1], frame.number
        facts = decode(frame.data, timeline.points[frame.point].linktype, frame.length)
        theirs = by_tshark(row)
        ours = by_rawlab(frame.at_ns, len(frame.data), frame.length, facts)
        for field in theirs.keys() | ours.keys() - {"frame.time_epoch"}:
            if theirs.get(field) != ours.get(field):
                yield (name, number, field), f"tshark {theirs.get(field)}, rawlab {ours.get(field)}"


@cache
def read(path: Path) -> Timeline:
    return load(path)


def check(name: str, path: Path) -> None:
    """Every frame; what differs is explained, and what is explained differs."""
    try:
        timeline = read(path)
    except RawlabError as error:
        pytest.fail(f"{name}: {error}")
    found = dict(compared(name, path, timeline))
    for difference in sorted(found):
        print(*difference, found[difference], EXPLAINED.get(difference, "NOT EXPLAINED"), sep=": ")
    assert {difference: said for difference, said in found.items() if difference not in EXPLAINED} == {}
    assert {entry for entry in EXPLAINED if entry[0] == name} <= found.keys(), "explained, but the same"


@pytest.mark.parametrize("name", NAMES)
def test_every_shared_capture(name: str) -> None:
    """Captures that others made."""
    check(name, capture(name))


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_every_capture_of_the_repository(path: Path) -> None:
    """Captures that rawlab made, with calls between the frames."""
    check(path.name, path)


def test_every_link_type_and_tunnel(tmp_path: Path) -> None:
    """Frames made by hand, all in one file, each case on an interface of its own."""
    blocks = [pcapng.section_header([])]
    blocks += [pcapng.interface_description(linktype, name) for name, (linktype, _) in CASES.items()]
    for n, (_, frames) in enumerate(CASES.values()):
        for frame in frames:
            record = pcapng.PacketRecord(interface=n, at_ns=n, data=memoryview(frame), length=len(frame))
            blocks.append(pcapng.enhanced_packet(record))
    path = tmp_path / "cases.pcapng"
    path.write_bytes(b"".join(blocks))
    timeline = read(path)
    assert len(timeline.frames) == sum(len(frames) for _, frames in CASES.values())
    assert len(timeline.points) == len(CASES)
    check("cases", path)


# ---- put together


def put_together_by_tshark(path: Path) -> dict[int, list[int]]:
    """The fragments of each datagram, by the frame that completes it."""
    rows = ask(path, "ip.fragment", "ipv6.fragment", preferences=("ip.defragment:TRUE", "ipv6.defragment:TRUE"))
    found = {}
    for number, row in enumerate(rows, 1):
        if parts := row["ip.fragment"] or row["ipv6.fragment"]:
            found[number] = sorted(map(int, parts))
    return found


def put_together(path: Path) -> dict[int, list[int]]:
    """The same by rawlab: of datagrams without overlaps."""
    timeline = read(path)
    found = {}
    for assembly in assemblies(pair(timeline, decode)):
        if assembly.whole_at is not None:
            parts = sorted(piece.draft.frames[0] for piece in assembly.parts)
            found[assembly.whole_at.frames[0]] = parts
    return found


ODD = {"frag4-udp.pcap": {3}}
"""Completed by tshark alone: what goes beyond the end that the last fragment set is no datagram (RFC 791)."""


@pytest.mark.parametrize("name", NAMES)
def test_fragments_of_every_shared_capture_are_put_together(name: str) -> None:
    """Which frames are which datagram, and which of them completes it."""
    path = capture(name)
    drafts = pair(read(path), decode)
    if any(ip.is_fragment for draft in drafts if (ip := draft.facts.ip) is not None):
        theirs = put_together_by_tshark(path)
        ours = put_together(path)
        assert {frame for frame in theirs | ours if theirs.get(frame) != ours.get(frame)} == ODD.get(name, set())


@pytest.mark.parametrize("around", ["ethernet", "VLAN", "IP in IP", "GRE", "VXLAN"])
def test_fragments_in_any_order_are_put_together(around: str, tmp_path: Path) -> None:
    """Out of order and among those of other datagrams, IPv4's and IPv6's, with a copy of one, with one missing."""
    wrap = WRAPS[around]
    packets = [make(17, udp(bytes(size))) for size in (300, 301, 302) for make in (ipv4, ipv6)]
    cuts = [[wrap(piece) for piece in renumbered(pieces(packet, 104), n)] for n, packet in enumerate(packets, 1)]
    shuffled = Random(7).sample([frame for frames in cuts[:-2] for frame in frames], 12)
    frames = [*shuffled, cuts[-2][0], cuts[-2][2], cuts[-1][0], cuts[-1][0], cuts[-1][1], cuts[-1][2]]
    path = write_pcap(tmp_path / "pieces.pcap", [(frame, 1, len(frame)) for frame in frames])
    found = put_together(path)
    assert len(found) == 5
    theirs = put_together_by_tshark(path)
    copy = 16  # tshark counts it with them
    assert {number: [n for n in parts if n != copy] for number, parts in theirs.items()} == found


WRAPS: Mapping[str, Callable[[bytes], bytes]] = {
    "ethernet": ether,
    "VLAN": lambda packet: tagged(packet, (0x8100, 5)),
    "IP in IP": lambda packet: ether(ipv4(41 if packet[0] >> 4 == 6 else 4, packet)),
    "GRE": lambda packet: ether(ipv4(47, gre(packet))),
    "VXLAN": lambda packet: ether(ipv4(17, vxlan(ether(packet)))),
}


def renumbered(fragments: list[bytes], number: int) -> list[bytes]:
    """The same with another identification."""
    at = 4 if fragments[0][0] >> 4 == 4 else 46
    return [piece[:at] + struct.pack("!H", number) + piece[at + 2 :] for piece in fragments]
