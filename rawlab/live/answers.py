"""Answers counted by kind as they leave an interface, by the kernel: no packet of them is read.

How it works: a packet socket for each kind, with a filter that keeps that kind alone (Linux, filter.rst) and next to no
room; PACKET_STATISTICS (packet(7)) says how many came by, those for which there was no room among them.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

from rawlab.live.ring import PACKET_STATISTICS, SOL_PACKET, attach_filter

_LDH, _LDB, _LDB_X, _LDX_IHL, _AND, _JEQ, _RET = 0x28, 0x30, 0x50, 0xB1, 0x54, 0x15, 0x06
_PACKET_TYPE, _OUTGOING = 0xFFFFF000 + 4, 4  # SKF_AD_OFF + SKF_AD_PKTTYPE
_TCP_FLAGS = 13
_ALL = 0xFF
_FRS_A = 0x17
"FIN, SYN, RST, ACK"
Kind = tuple[int, int, int, int]
"protocol, octet of its header, mask, value"

_TCP: dict[str, Kind] = {
    "TCP SYN-ACK": (6, _TCP_FLAGS, _FRS_A, 0x12),
    "TCP RST": (6, _TCP_FLAGS, 0x04, 0x04),
    "TCP ACK": (6, _TCP_FLAGS, _FRS_A, 0x10),
}
_KINDS: dict[int, dict[str, Kind]] = {
    4: _TCP
    | {
        "ICMP destination unreachable": (1, 0, _ALL, 3),
        "ICMP echo reply": (1, 0, _ALL, 0),
        "UDP": (17, 0, 0, 0),
    },
    6: _TCP
    | {
        "ICMPv6 destination unreachable": (58, 0, _ALL, 1),
        "ICMPv6 parameter problem": (58, 0, _ALL, 4),
        "ICMPv6 echo reply": (58, 0, _ALL, 129),
        "UDP": (17, 0, 0, 0),
    },
}


class Answers:
    """The answers that leave an interface of the present network namespace."""

    def __init__(self, interface: str, versions: Iterable[int]) -> None:
        """`versions`: of IP, those that are counted. Raises OSError."""
        self._sockets: list[tuple[str, socket.socket]] = []
        for version in sorted(set(versions)):
            for name, kind in _KINDS[version].items():
                opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
                self._sockets.append((name, opened))
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                attach_filter(opened, _program(version, *kind), 64)
                opened.bind((interface, 3))  # ETH_P_ALL

    def counts(self) -> dict[str, int]:
        """How many of each kind since it began, of those that there were; ends the counting."""
        found: dict[str, int] = {}
        for name, opened in self._sockets:
            packets, _ = struct.unpack("=II", opened.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
            found[name] = found.get(name, 0) + packets
            opened.close()
        self._sockets = []
        return {name: count for name, count in found.items() if count}


def _program(version: int, protocol: int, octet: int, mask: int, value: int) -> bytes:
    """Keeps what goes out, is that protocol's, and has that value there: an array of struct sock_filter."""
    tests = [(_LDB, _PACKET_TYPE, _OUTGOING), (_LDH, 12, 0x0800 if version == 4 else 0x86DD)]
    tests.append((_LDB, 23 if version == 4 else 20, protocol))
    steps: list[tuple[int, int, bool]] = []
    for load, place, wanted in tests:
        steps += [(load, place, False), (_JEQ, wanted, True)]
    if mask:
        where = [(_LDX_IHL, 14, False), (_LDB_X, 14 + octet, False)] if version == 4 else [(_LDB, 54 + octet, False)]
        steps += [*where, (_AND, mask, False), (_JEQ, value, True)]
    steps += [(_RET, 64, False), (_RET, 0, False)]
    last = len(steps) - 1
    jumps = ((code, 0, last - n - 1 if test else 0, k) for n, (code, k, test) in enumerate(steps))
    return b"".join(struct.pack("=HBBI", *step) for step in jumps)


