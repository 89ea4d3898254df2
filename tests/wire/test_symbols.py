"""The tables of names: they fit the registries that Python and scapy know; an unknown number is itself."""

from __future__ import annotations

import re
import socket

import pytest

from rawlab.wire import symbols
from rawlab.wire.link_types import link_type
from tests.wire.frames import scapy


@pytest.mark.parametrize(
    ("flags", "letters"),
    [
        ("S", "S"),
        ("SA", "S."),
        ("PA", "P."),
        ("FA", "F."),
        ("R", "R"),
        ("A", "."),
        ("", "none"),
        ("SEW", "SEW"),
    ],
)
def test_flags_are_tcpdumps_letters(flags: str, letters: str) -> None:
    """ACK is a dot, no flag at all is 'none', the order stays."""
    assert symbols.tcp_flags(flags) == letters


def test_unknown_numbers_are_themselves() -> None:
    """No table guesses."""
    assert [symbols.tcp_option(kind) for kind in (2, 5, 200)] == ["mss", "sack", "unknown-200"]
    assert [symbols.ethertype(number) for number in (0x0800, 0x0900)] == ["IPv4", "0x0900"]
    assert [symbols.protocol(number) for number in (6, 58, 253)] == ["tcp", "icmp6", "ip:253"]
    assert [link_type(number) for number in (1, 276, 9999)] == ["EN10MB", "LINUX_SLL2", "9999"]


def test_numbers_are_the_registries() -> None:
    """IP protocols as the C library has them; EtherTypes and TCP options as scapy has them."""
    names = {"icmp6": "IPPROTO_ICMPV6"}
    for number, name in symbols.IP_PROTOCOLS.items():
        assert getattr(socket, names.get(name, f"IPPROTO_{name.upper()}")) == number
    assert set(symbols.TCP_OPTIONS) >= set(scapy().layers.inet.TCPOptions[0]) - {14, 15, 25}
    assert set("".join(symbols.TCP_FLAGS)) == {"F", "S", "R", "P", "A", "U", "E", "W", "e"}
    assert {0x0800, 0x0806, 0x86DD} < symbols.ETHERTYPES.keys()
    assert symbols.ETHERTYPES.keys() > symbols.VLAN_TYPES


@pytest.mark.parametrize("version", [4, 6])
def test_templates_of_one_version_are_told_apart(version: int) -> None:
    """Text and slots: no two types or codes share a line, so that each can be read again."""
    lines = list(symbols.icmp_messages(version).values())
    assert len(set(lines)) == len(lines)
    slots = {slot for line in lines for slot in re.findall(r"\{(\w+)\}", line)}
    assert slots <= {
        "to",
        "origin",
        "target",
        "protocol",
        "upper",
        "port",
        "mtu",
        "code",
        "identifier",
        "sequence",
    }
