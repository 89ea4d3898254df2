"""SCTP against tshark and tcpdump: every chunk kind as built here, and the captures of others' stacks."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from rawlab.model import sctp as m
from rawlab.model.sctp import SctpChunk, SctpData, SctpError, SctpInit, SctpPacket, SctpSack, SctpShutdown
from rawlab.wire import sctp_build as build
from rawlab.wire import symbols
from rawlab.wire.decode import decode
from rawlab.wire.packets import format_packet
from tests.wire.chunks import KINDS
from tests.wire.frames import Raw, capture, ethernet, frames, ipv4, ipv6, tool, tshark, write_pcap

CAPTURES = ["sctp-full.pcap", "sctp-init-collision.cap", "sctp-test-bulk.cap"]

VERIFIED = "sctp.checksum:CRC 32c"
FIELDS = [
    "sctp.srcport",
    "sctp.dstport",
    "sctp.verification_tag",
    "sctp.checksum",
    "sctp.checksum.status",
    "sctp.chunk_type",
    "sctp.chunk_flags",
    "sctp.chunk_length",
    "sctp.data_tsn_raw",
    "sctp.data_sid",
    "sctp.data_ssn",
    "sctp.data_payload_proto_id",
    "sctp.init_initiate_tag",
    "sctp.init_credit",
    "sctp.init_nr_out_streams",
    "sctp.init_nr_in_streams",
    "sctp.init_initial_tsn",
    "sctp.initack_initiate_tag",
    "sctp.initack_credit",
    "sctp.initack_nr_out_streams",
    "sctp.initack_nr_in_streams",
    "sctp.initack_initial_tsn",
    "sctp.sack_cumulative_tsn_ack_raw",
    "sctp.sack_a_rwnd",
    "sctp.sack_gap_block_start",
    "sctp.sack_gap_block_end",
    "sctp.sack_duplicate_tsn",
    "sctp.shutdown_cumulative_tsn_ack",
    "sctp.cause_code",
]


def crafted() -> list[Raw]:
    """A frame for each chunk kind over IPv4 and over IPv6, one with many chunks, and one with a wrong checksum."""
    packets = [build.packet(40000, 7, 0x1A2B3C4D, [chunk]) for chunk in KINDS.values()]
    several = ["COOKIE ECHO", "DATA", "DATA, middle", "SACK, gaps", "ERROR", "HEARTBEAT"]
    packets.append(build.packet(40000, 7, 9, [KINDS[name] for name in several]))
    packets.append(packets[0][:8] + b"\0\0\0\1" + packets[0][12:])
    framed = [ethernet(0x0800, ipv4(132, packet)) for packet in packets]
    framed += [ethernet(0x86DD, ipv6(132, packet)) for packet in packets]
    return [(frame, 1, len(frame)) for frame in framed]


def captured(name: str, folder: Path) -> tuple[Path, list[SctpPacket]]:
    """A capture, or the crafted one, and its packets as decoded here."""
    if name == "crafted":
        raw: Iterable[Raw] = crafted()
        path = write_pcap(folder / "crafted.pcap", list(raw))
    else:
        path = capture(name)
        raw = frames(path)
    packets = [decode(*frame).transport for frame in raw]
    return path, [packet for packet in packets if isinstance(packet, SctpPacket)]


def told_by_tshark(packet: SctpPacket) -> dict[str, list[str]]:
    """The facts as tshark would print them."""
    chunks = packet.chunks
    data = [chunk for chunk in chunks if isinstance(chunk, SctpData)]
    sacks = [chunk for chunk in chunks if isinstance(chunk, SctpSack)]
    told: dict[str, Iterable[object]] = {
        "sctp.srcport": [packet.source_port],
        "sctp.dstport": [packet.destination_port],
        "sctp.verification_tag": [f"0x{packet.verification_tag:08x}"],
        "sctp.checksum": [f"0x{packet.checksum:08x}"],
        "sctp.checksum.status": [1 if packet.checksum_right else 0],
        "sctp.chunk_type": [chunk.type for chunk in chunks],
        "sctp.chunk_flags": [f"0x{chunk.flags:02x}" for chunk in chunks],
        "sctp.chunk_length": [chunk.length for chunk in chunks],
        "sctp.data_tsn_raw": [chunk.tsn.value for chunk in data],
        "sctp.data_sid": [f"0x{chunk.stream:04x}" for chunk in data],
        "sctp.data_ssn": [chunk.ssn for chunk in data if chunk.fsn is None],
        "sctp.data_payload_proto_id": [chunk.ppid for chunk in data if chunk.fsn is None or chunk.begins],
        "sctp.sack_cumulative_tsn_ack_raw": [chunk.cumulative_tsn.value for chunk in sacks],
        "sctp.sack_a_rwnd": [chunk.a_rwnd for chunk in sacks],
        "sctp.sack_gap_block_start": [start for chunk in sacks for start, _ in chunk.gaps],
        "sctp.sack_gap_block_end": [end for chunk in sacks for _, end in chunk.gaps],
        "sctp.sack_duplicate_tsn": [tsn.value for chunk in sacks for tsn in chunk.duplicates],
        "sctp.shutdown_cumulative_tsn_ack": [
            chunk.cumulative_tsn.value for chunk in chunks if isinstance(chunk, SctpShutdown)
        ],
        "sctp.cause_code": [
            f"0x{cause.type:04x}" for chunk in chunks if isinstance(chunk, SctpError) for cause in chunk.causes
        ],
    }
    for kind, name in ((m.INIT, "init"), (m.INIT_ACK, "initack")):
        inits = [chunk for chunk in chunks if isinstance(chunk, SctpInit) and chunk.type == kind]
        told[f"sctp.{name}_initiate_tag"] = [f"0x{chunk.initiate_tag:08x}" for chunk in inits]
        told[f"sctp.{name}_credit"] = [chunk.a_rwnd for chunk in inits]
        told[f"sctp.{name}_nr_out_streams"] = [chunk.outbound_streams for chunk in inits]
        told[f"sctp.{name}_nr_in_streams"] = [chunk.inbound_streams for chunk in inits]
        told[f"sctp.{name}_initial_tsn"] = [chunk.initial_tsn.value for chunk in inits]
    return {name: [str(value) for value in values] for name, values in told.items()}


@pytest.mark.parametrize("name", ["crafted", *CAPTURES])
def test_tshark_says_the_same(name: str, tmp_path: Path) -> None:
    """Header, checksum's status, and every field of every chunk that tshark names."""
    path, packets = captured(name, tmp_path)
    rows = tshark(path, *FIELDS, options=[VERIFIED])
    assert len(rows) == len(packets)
    assert rows == [told_by_tshark(packet) for packet in packets]


def test_tshark_finds_nothing_malformed(tmp_path: Path) -> None:
    """Every chunk kind as built here; the one frame with a wrong checksum is the only complaint."""
    path, _ = captured("crafted", tmp_path)
    command = [
        tool("tshark"),
        "-n",
        "-r",
        str(path),
        "-o",
        VERIFIED,
        "-Y",
        "_ws.malformed || sctp.checksum.status == 0",
    ]
    found = subprocess.run([*command, "-T", "fields", "-e", "sctp.checksum"], capture_output=True, text=True)
    assert found.stdout.split() == ["0x00000001"] * 2


def _newer(found: re.Match[str]) -> str:
    return f"{symbols.sctp_chunk(int(found[1], 16))}]"


# What tcpdump prints and rawlab does not, and the other way round: a pattern, its replacement, and why.
Rule = tuple[str, str | Callable[[re.Match[str]], str], str]
THEIRS: list[Rule] = [
    (r"\n\t\t", " ", "gap blocks on lines of their own"),
    (r"REL CTRL ACK", "I-FORWARD-TSN", "tcpdump before 5.0 knows an older draft's names"),
    (r"REL CTRL", "ASCONF", "the same"),
    (r"Unknown chunk type: 0x(40|80|82|84|f)\]", _newer, "tcpdump before 5.0"),
    (r" +,", ",", "a blank"),
    (r" +", " ", "a blank"),
]
OURS: list[Rule] = [
    (r" \[(cause|param): [^\]]*\]", "", "tcpdump prints causes and parameters with -vv or not at all"),
    (r"\(I\)| \(T\)", "", "flags that tcpdump has no letter for"),
    (r" \[len \d+\]", "", "tcpdump prints no length of user data"),
    (r"(\[SHUTDOWN\]) \[cum ack \d+\]", r"\1", "not printed"),
    (r"(\[(?:FOR CUM TSN|I-FORWARD-TSN)\]) \[TSN: \d+\]", r"\1", "not printed"),
    (r"(\[ASCONF(?:-ACK)?\]) \[SEQ: \d+\]", r"\1", "not printed before 5.0"),
    (r"(\[I-DATA\])(?: \([A-Z()]+\))?(?: \[(?:TSN|SID|MID|FSN|PPID)[^\]]*\])+", r"\1", "not printed before 5.0"),
]


def tcpdump_lines(path: Path) -> list[str]:
    """What `tcpdump -t -n` prints, a text a packet."""
    run = subprocess.run([tool("tcpdump"), "-t", "-n", "-r", str(path)], capture_output=True, text=True)
    return re.split(r"\n(?!\t)", run.stdout.rstrip("\n"))


@pytest.mark.parametrize("name", ["crafted", *CAPTURES])
def test_tcpdump_writes_the_same(name: str, tmp_path: Path) -> None:
    """Every packet's line, but for what only one of the two says."""
    path, _ = captured(name, tmp_path)
    theirs, ours = tcpdump_lines(path), [format_packet(decode(*frame)) for frame in frames(path)]
    for pattern, instead, _ in THEIRS:
        theirs = [re.sub(pattern, instead, line) for line in theirs]
    for pattern, instead, _ in OURS:
        ours = [re.sub(pattern, instead, line) for line in ours]
    assert [line.strip() for line in theirs] == [line.strip() for line in ours]


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_hold_nothing_malformed(name: str, tmp_path: Path) -> None:
    """Whole packets of three stacks, whose chunks are all of a known kind."""
    _, packets = captured(name, tmp_path)
    chunks: list[SctpChunk] = [chunk for packet in packets for chunk in packet.chunks]
    assert {packet.malformed for packet in packets} == {None}
    assert {chunk.type for chunk in chunks} <= set(symbols.SCTP_CHUNKS)
    # sctp-full.pcap was captured before its interface put the checksums in.
    assert {packet.checksum_right for packet in packets} == {name != "sctp-full.pcap"}
