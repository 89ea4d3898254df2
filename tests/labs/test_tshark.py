"""tshark as a witness: what the story says of each frame is what Wireshark's dissectors read in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlab.model.facts import IcmpMessage, TcpSegment, UdpDatagram
from rawlab.model.sctp import SctpData, SctpPacket, SctpSack
from rawlab.model.story import Packet
from tests.labs.runs import IPV6, NAMES, SCTP, Run, parameters
from tests.live import runs as live

FIELDS = [
    *("frame.number", "frame.interface_id"),
    *("tcp.flags", "tcp.seq", "tcp.ack", "tcp.len", "udp.length"),
    *("icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code"),
    *("sctp.verification_tag", "sctp.chunk_type", "sctp.data_tsn_raw", "sctp.sack_cumulative_tsn_ack_raw"),
]
FLAGS = "FSRPAUEW"
MALFORMED = "_ws.malformed || (sctp && !(sctp.checksum.status == 1))"  # 1: verified, and right
PREFERENCES = ("ip.defragment:FALSE", "ipv6.defragment:FALSE", "tcp.relative_sequence_numbers:TRUE")


def seen(file: Path) -> Iterator[dict[str, str]]:
    """tshark's fields of each frame.

    A frame that stands twice in the file, as it left and as it arrived, is a retransmission to Wireshark: that
    changes none of these.
    """
    options = [word for preference in PREFERENCES for word in ("-o", preference)]
    options += [word for field in FIELDS for word in ("-e", field)]
    for line in live.tshark(file, *options, "-T", "fields", "-E", "occurrence=f"):
        yield dict(zip(FIELDS, line.split("\t"), strict=True))


def wanted(packet: Packet) -> dict[str, int]:
    """The fields that tshark must show for the packet."""
    match packet.facts.transport:
        case TcpSegment() as segment:
            flags = sum(1 << FLAGS.index(flag) for flag in segment.flags)
            fields = {"tcp.flags": flags, "tcp.seq": packet.seq, "tcp.ack": packet.ack, "tcp.len": segment.length}
        case UdpDatagram(length=length):
            fields = {"udp.length": length + 8}
        case IcmpMessage(version=version, type=type, code=code):
            name = "icmp" if version == 4 else "icmpv6"
            fields = {f"{name}.type": type, f"{name}.code": code}
        case SctpPacket() as sctp:
            fields = {"sctp.verification_tag": sctp.verification_tag, "sctp.chunk_type": sctp.chunks[0].type}
            for chunk in sctp.chunks[::-1]:
                if isinstance(chunk, SctpData):
                    fields["sctp.data_tsn_raw"] = chunk.tsn.value
                elif isinstance(chunk, SctpSack):
                    fields["sctp.sack_cumulative_tsn_ack_raw"] = chunk.cumulative_tsn.value
        case _:
            fields = {}
    return {field: value for field, value in fields.items() if value is not None}


@pytest.mark.parametrize("run", [*parameters(NAMES), *parameters(IPV6, ipv6=True)], indirect=True)
def test_every_frame_is_what_tshark_reads(run: Run) -> None:
    """TCP: flags, relative sequence and acknowledgment numbers, length; SCTP: verification tag, the first chunk's type,
    the first TSN, the cumulative one; UDP: length; ICMP: type and code."""
    live.need("tshark")
    story = run.succeeded().story
    packets = {frame: packet for packet in story.packets for frame in packet.frames}
    wrong, frames = [], 0
    for fields in seen(run.file):
        if not fields["frame.interface_id"]:  # a record of calls, between the frames
            continue
        frames += 1
        number = int(fields["frame.number"])
        for field, value in wanted(packets[number]).items():
            if int(fields[field] or "-1", 0) != value:
                wrong.append(f"frame {number} (p{packets[number].n}): {field} {value}, tshark {fields[field]}")
    assert not wrong
    assert frames == len(packets) == len(story.frames)


@pytest.mark.parametrize("run", [*parameters(SCTP), *parameters(SCTP, ipv6=True)], indirect=True)
def test_tshark_finds_nothing_wrong_with_our_sctp(run: Run) -> None:
    """No malformed chunk, and each checksum verified and right."""
    live.need("tshark")
    assert run.succeeded().story.timeline.run.stack in ("user", "kernel")
    assert list(live.tshark(run.file, "-o", "sctp.checksum:CRC 32c", "-Y", MALFORMED)) == []
