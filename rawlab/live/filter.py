"""Classic BPF programs for a packet socket, by hand: no libpcap is needed (Linux, filter.rst; bpf(4)).

On loopback a lab shares the wire with everyone, and captures its own port only:

    ethertype IPv4?  TCP, UDP or SCTP, no later fragment: either port is ours → keep;  ICMP → keep
    ethertype IPv6?  TCP, UDP or SCTP next: either port is ours → keep;  ICMPv6 → keep
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import ip_address

# Opcodes: load word, half-word or byte at an offset, X-relative half-word, X = 4 * (IP header length), jumps, return.
_LD, _LDH, _LDB, _LDH_X, _LDX_IHL, _JEQ, _JSET, _RET = 0x20, 0x28, 0x30, 0x48, 0xB1, 0x15, 0x45, 0x06
_KEEP, _DROP = "keep", "drop"
_MOST_ADDRESSES = 8  # a jump passes over 255 steps at the most
_Step = tuple[str, int, int, str, str]
"(label, opcode, operand, where if true, where if false); an empty label's step is reached from the one before"


def ports_program(port: int) -> bytes:
    """Keeps TCP, UDP, SCTP from or to the port, ICMP and ICMPv6: an array of struct sock_filter for Ethernet frames."""
    steps: list[_Step] = [
        ("", _LDH, 12, "", ""),
        ("", _JEQ, 0x0800, "ipv4", ""),
        ("", _JEQ, 0x86DD, "ipv6", _DROP),
        ("ipv4", _LDB, 23, "", ""),
        ("", _JEQ, 1, _KEEP, ""),
        ("", _JEQ, 6, "ports4", ""),
        ("", _JEQ, 17, "ports4", ""),
        ("", _JEQ, 132, "ports4", _DROP),
        ("ports4", _LDH, 20, "", ""),
        ("", _JSET, 0x1FFF, _DROP, ""),
        ("", _LDX_IHL, 14, "", ""),
        ("", _LDH_X, 14, "", ""),
        ("", _JEQ, port, _KEEP, ""),
        ("", _LDH_X, 16, "", ""),
        ("", _JEQ, port, _KEEP, _DROP),
        ("ipv6", _LDB, 20, "", ""),
        ("", _JEQ, 58, _KEEP, ""),
        ("", _JEQ, 6, "ports6", ""),
        ("", _JEQ, 17, "ports6", ""),
        ("", _JEQ, 132, "ports6", _DROP),
        ("ports6", _LDH, 54, "", ""),
        ("", _JEQ, port, _KEEP, ""),
        ("", _LDH, 56, "", ""),
        ("", _JEQ, port, _KEEP, _DROP),
        (_KEEP, _RET, 0x40000, "", ""),
        (_DROP, _RET, 0, "", ""),
    ]
    return _assemble(steps)


def protocol_program(version: int, protocol: int) -> bytes:
    """Keeps one protocol of one IP version: for packets without a link header (SOCK_DGRAM, packet(7))."""
    steps: list[_Step] = [
        ("", _LDB, 6 if version == 6 else 9, "", ""),
        ("", _JEQ, protocol, _KEEP, _DROP),
        (_KEEP, _RET, 0x40000, "", ""),
        (_DROP, _RET, 0, "", ""),
    ]
    return _assemble(steps)


def hosts_program(addresses: Sequence[str]) -> bytes:
    """Keeps IP packets from or to these addresses, ICMP, ICMPv6, ARP, and what is no IP, of Ethernet frames."""
    packed = [ip_address(address).packed for address in addresses][:_MOST_ADDRESSES]
    steps: list[_Step] = [
        ("", _LDH, 12, "", ""),
        ("", _JEQ, 0x0800, "ipv4", ""),
        ("", _JEQ, 0x86DD, "ipv6", _KEEP),
        ("ipv4", _LDB, 23, "", ""),
        ("", _JEQ, 1, _KEEP, ""),
    ]
    for place in (26, 30):
        steps.append(("", _LD, place, "", ""))
        steps += [("", _JEQ, int.from_bytes(address, "big"), _KEEP, "") for address in packed if len(address) == 4]
    steps += [("", _RET, 0, "", ""), ("ipv6", _LDB, 20, "", ""), ("", _JEQ, 58, _KEEP, "")]
    for place in (22, 38):
        for address in (address for address in packed if len(address) == 16):
            after = f"after {place} {address.hex()}"
            for word in range(0, 16, 4):
                steps.append(("", _LD, place + word, "", ""))
                value = int.from_bytes(address[word : word + 4], "big")
                steps.append(("", _JEQ, value, _KEEP if word == 12 else "", after))
            steps.append((after, _LDB, 20, "", ""))
    steps += [(_DROP, _RET, 0, "", ""), (_KEEP, _RET, 0x40000, "", "")]
    return _assemble(steps)


def _assemble(steps: list[_Step]) -> bytes:
    """Jumps count the steps that they pass over, struct sock_filter."""
    at = {label: index for index, (label, *_) in enumerate(steps) if label}
    return b"".join(
        struct.pack("=HBBI", opcode, *(at[to] - index - 1 if to else 0 for to in (true, false)), operand)
        for index, (_, opcode, operand, true, false) in enumerate(steps)
    )
