"""What tables of a capture say, column by column: the one list that `--where`, `--sort`, `rawlab export` and its
documentation share.

A column's name is that of its field in a file and in an expression; there a dot may stand for the underscore, and the
ending `_ns` may be left out: `tcp.retransmissions > 0`, `duration > 1s`. What fills them is `columns.totals`,
`columns.frames` and the story.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["number", "text", "truth", "host", "port"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table."""

    name: str
    type: Type
    unit: str = ""
    "'octets', 'ns', 'packets'; '' for what has none"
    meaning: str
    may_lack: bool = False
    "some rows have no value in it"


def _column(words: str, meaning: str) -> Column:
    """'packets number packets', 'stream? number': name, type, unit; ? for one that may lack."""
    name, kind, *unit = words.split(" ", 2)
    bare = name.removesuffix("?")
    return Column(
        name=bare,
        type=kind,  # type: ignore[arg-type] # the tables below are the only callers
        unit=unit[0] if unit else "",
        meaning=meaning,
        may_lack=bare != name,
    )


TCP_MARKS = (
    ("tcp_retransmissions", "RETRANSMISSION", "segments that carry octets sent before"),
    ("tcp_fast_retransmissions", "FAST_RETRANSMISSION", "of those, after duplicate acknowledgments (RFC 5681)"),
    ("tcp_spurious_retransmissions", "SPURIOUS_RETRANSMISSION", "of octets that were acknowledged already"),
    ("tcp_out_of_order", "OUT_OF_ORDER", "segments that came after later ones"),
    ("tcp_lost_segments", "LOST_SEGMENT", "segments before which octets had not been captured by then"),
    ("tcp_ack_lost_segments", "ACK_LOST_SEGMENT", "acknowledgments of octets that were not captured"),
    ("tcp_duplicate_acks", "DUPLICATE_ACK", "acknowledgments that repeat the one before"),
    ("tcp_keep_alives", "KEEP_ALIVE", "keep-alive probes (RFC 9293 section 3.8.4)"),
    ("tcp_keep_alive_acks", "KEEP_ALIVE_ACK", "answers to those"),
    ("tcp_zero_windows", "ZERO_WINDOW", "segments whose sender has no room left"),
    ("tcp_zero_window_probes", "ZERO_WINDOW_PROBE", "segments of one octet that ask whether there is room again"),
    ("tcp_zero_window_probe_acks", "ZERO_WINDOW_PROBE_ACK", "answers to those"),
    ("tcp_window_updates", "WINDOW_UPDATE", "segments that only tell of a new window"),
    ("tcp_window_full", "WINDOW_FULL", "segments that fill what the receiver has room for"),
    ("tcp_reused_ports", "REUSED_PORTS", "a SYN between two ends that had a connection before"),
)
"(column, `model.analysis.Mark`, meaning)"

OPENED = {
    "handshake": "SYN, SYN-ACK and ACK; of SCTP: INIT, INIT ACK, COOKIE ECHO, COOKIE ACK",
    "unfinished": "the handshake breaks off after its second packet",
    "SYN only": "nothing answers; of SCTP: INIT only",
    "refused": "a RST answers the SYN",
    "simultaneous": "both ends sent a SYN (RFC 9293 section 3.5)",
    "partial": "a part of the handshake was captured",
    "joined": "the capture begins in the middle: no SYN",
}
"how a TCP connection opened, or by the chunks for that an SCTP association, as far as the capture shows it"
FLOWS = (
    _column("flow number", "its number, from 1, in the order of first frames"),
    _column("protocol text", "tcp, udp, sctp, icmp, icmp6, arp, ip:253, …; else the link type: EN10MB, link:9999"),
    _column("source? host", "address of A: who opened it, or sent first"),
    _column("source_port? port", "A's port"),
    _column("destination? host", "address of B"),
    _column("destination_port? port", "B's port"),
    _column("stream? number", "tshark's tcp.stream or udp.stream"),
    _column("first_frame number", "record number of its first frame, as Wireshark counts"),
    _column("packets number packets", "frames, both ways, at every point of observation"),
    _column("packets_out number packets", "from A to B"),
    _column("packets_in number packets", "from B to A"),
    _column("bytes number octets", "of those frames, on the wire, headers included"),
    _column("bytes_out number octets", "from A to B"),
    _column("bytes_in number octets", "from B to A"),
    _column("payload_out number octets", "of data that TCP or UDP carried from A to B, what was sent again included"),
    _column("payload_in number octets", "from B to A"),
    _column("at_ns number ns", "its first frame, since the epoch"),
    _column("start_ns number ns", "its first frame, since the capture's first"),
    _column("duration_ns number ns", "from its first frame to its last"),
    _column("opened? text", f"{'; '.join(f'{word}: {what}' for word, what in OPENED.items())}"),
    _column("ended? text", "FIN both, FIN by A or B, RST by A or B, open; of SCTP SHUTDOWN, ABORT by A or B"),
    _column(
        "handshake_rtt_ns? number ns",
        "TCP: from the SYN to the ACK that completes the handshake; none where the SYN was sent again (Karn's "
        "algorithm, RFC 6298 section 3), or captured after the SYN-ACK",
    ),
    *(_column(f"{name} number", meaning) for name, _, meaning in TCP_MARKS),
    _column("tcp_missing number", "gaps that no later segment filled: octets that were not captured"),
    _column("tcp_syn_data number packets", "SYNs that carry data, as TCP Fast Open has them (RFC 7413)"),
    _column("tcp_urgent number packets", "segments with URG: urgent data (RFC 9293 section 3.8.5)"),
    _column("icmp_errors number packets", "ICMP errors that quote a packet of it"),
    _column("fragments number packets", "frames that hold a fragment of an IP packet"),
    _column("tunnelled number packets", "frames in which a tunnel carries it"),
    _column("cut number packets", "frames that were captured shorter than they were (snaplen)"),
    _column("notable text", "what stands out, in words"),
)
EITHER = (
    _column("host host", "the address of either end; 10.0.0.0/8: any of that network"),
    _column("port port", "the port of either end"),
)
"of an expression only"

FRAMES = (
    _column("number number", "record number, as Wireshark counts"),
    _column("at_ns number ns", "since the epoch"),
    _column("flow number", "the flow's number in the table of flows"),
    _column("forward truth", "from the flow's A to its B"),
    _column("source? text", "address and port: 10.0.0.1:80, [fd00::1]:80"),
    _column("destination? text", "address and port"),
    _column("protocol text", "as the flow's"),
    _column("length number octets", "on the wire, headers included"),
    _column("captured number octets", "of those, in the file"),
    _column("flags? text", "TCP's, in tcpdump's letters: S SYN, F FIN, R RST, P PSH, . ACK, U URG, E ECE, W CWR, e AE"),
    _column("seq? number", "TCP's sequence number, from the initial one, which is 0; joined in the middle: from 1"),
    _column("ack? number", "TCP's acknowledgment number, likewise"),
    _column("seq_absolute? number", "as it stands in the header"),
    _column("ack_absolute? number", "as it stands in the header"),
    _column("window? number", "TCP's, as it stands in the header: not scaled"),
    _column("payload? number octets", "of data that TCP or UDP carries"),
    _column("marks? text", "what following the connection tells of the segment, in words, with commas"),
    _column("point number", "index of the interface that saw it, from 0"),
)
ROW = (
    _column("number number", FRAMES[0].meaning),
    _column("time number s", "since the capture's first frame"),
    *(column for column in FRAMES if column.name in ("flow", "source", "destination", "protocol", "length")),
    *(column for column in FRAMES if column.name in ("flags", "seq", "ack", "window", "payload", "marks")),
)
"a frame in lines: `--table frames`"

CALLS = (
    _column("call number", "its number in the story, from 1: c1, c2, …"),
    _column("host text", "whose process called"),
    _column("pid number", "the process's"),
    _column("name text", "connect, read, …"),
    _column("fd? number", "the descriptor that it acts on, or that it made"),
    _column("result? number", "what it returned; none where it did not return"),
    _column("errno? text", "ECONNREFUSED, …"),
    _column("entered_ns number ns", "since the epoch"),
    _column("returned_ns? number ns", "since the epoch"),
    _column("text text", "the call in strace's words"),
    _column("state_after? text", "the socket's state after it, by the kernel's word"),
    _column("why text", "one sentence"),
    _column("inferred truth", "not recorded: the packets imply it"),
)
EDGES = (
    _column("packet number", "the packet's number in the story, from 1: p1, p2, …"),
    _column("frame number", "record number of the first frame that holds it"),
    _column("call? number", "the call's number in the story; none: no recorded call had to do with it"),
    _column(
        "kind text",
        "sent: the call put it on the wire; kernel: the kernel did, for the call if there is one; awaited: the call "
        "waited for it; implied: a call that was not recorded sent it; unknown",
    ),
    _column("first? number octets", "the first octet of the call's data that the packet carries, from 0"),
    _column("last? number octets", "the last one"),
    _column("confidence text", "exact, inferred, unknown"),
    _column("reason text", "one sentence"),
)
TABLES = {"frames": FRAMES, "calls": CALLS, "flows": FLOWS, "edges": EDGES}
