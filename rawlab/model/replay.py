"""A capture put on a wire again: the rows of the plan, and what became of it.

`columns.plan` makes the rows, `live.replay_sender` sends them, `live.replay` compares, `commands.sending` tells.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ROW = {
    "due_ns": "=i8",
    "offset": "=i8",
    "length": "=u4",
    "side": "u1",
    "head": "u1",
    "end": "=u2",
}
"""One packet of a plan, as numpy's dtypes have it: when it is due, since the beginning; where its octets begin in the
capture, and how many; 0 the client's, 1 the server's; which of HEADS goes before it, 0: none. `end` is 1 in the row
behind the last one, which is no packet."""

MACS = (bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
"""The client's and the server's, in the headers that are the lab's own."""
TYPES = (0x0800, 0x86DD, 0x0806, 0x8035, 0x8847, 0x8848, 0x8863, 0x8864, 0x888E, 0x88CC)
"""EtherTypes of those headers: IPv4, IPv6, ARP, RARP, MPLS, PPPoE, 802.1X, LLDP."""
HEADS = tuple(
    MACS[1 - side] + MACS[side] + ether_type.to_bytes(2, "big") for side in (0, 1) for ether_type in TYPES
)
"""Ethernet headers for frames that have none: the client's, then the server's. A row's `head` counts them from 1."""
MOST_OCTETS = 65_535 + 14
"""The longest frame on the lab's wire: the largest MTU of veth(4), and the header."""
MOST_PACKETS = 1_000_000_000
MOST_A_SECOND = 1_000_000


@dataclass(slots=True, kw_only=True)
class Spread:
    """How far something was off."""

    median_ns: int
    most_ns: int
    "of 99 in 100"
    of: int
    "how many there were"


@dataclass(slots=True, kw_only=True)
class Planned:
    """What was to be sent, and what of the capture was not; counted while it is planned."""

    packets: int = 0
    octets: int = 0
    "of them, as they are on the wire"
    sides: list[int] = field(default_factory=lambda: [0, 0])
    "packets that the client, that the server sends"
    cut: int = 0
    "packets of which the capture holds the beginning only"
    headed: int = 0
    "packets that got an Ethernet header of the lab's"
    backwards: int = 0
    "packets that the file has behind later ones"
    seen_twice: int = 0
    "frames left out because the same packet was captured where it was sent"
    left_out: dict[str, int] = field(default_factory=dict)
    "frames that can't be sent, by the reason"
    span_ns: int = 0
    "from the first packet to when the last is due"


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What became of the plan, by the counts of the sender, of the interfaces' kernels, and of the capture."""

    planned: Planned
    sent: list[int]
    "packets by side, that the kernel took"
    octets: list[int]
    refused: int
    "packets that it refused, one by one"
    refused_errno: str | None
    error: str | None
    "the errno that ended it before its time"
    took_ns: int
    "from the first packet's time to the last one sent"
    received: list[int] | None
    "packets that came in at the other end, by what side sent them, by the interfaces' counts; None: outside of a lab"
    received_octets: list[int] | None
    others: int
    "packets that an interface's kernel counted as sent, and that were none of ours"
    lost: int
    "packets that the interfaces dropped on the way"
    captured: int | None
    "frames that the capture took; None: there was none"
    dropped: int
    "frames that it had no room for"
    equal: int = 0
    "packets that were captured at the other end, octet by octet as they were sent"
    unseen: int = 0
    "packets sent and not captured there"
    strange: int = 0
    "frames captured there that are none of the packets sent"
    overtaken: int = 0
    "packets that were captured before one that was sent before them"
    gaps: Spread | None = None
    "by how much the time between a packet and the one before it was off"
    schedule: Spread | None = None
    "by how much the time since the first packet was off"
