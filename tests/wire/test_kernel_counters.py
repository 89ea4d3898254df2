"""The kernel's counters, read from what /proc/net has."""

from __future__ import annotations

from rawlab.wire.kernel_counters import MEANINGS, parse

TEXT = """\
TcpExt: SyncookiesSent SyncookiesRecv ListenDrops
TcpExt: 3129 0 7
IpExt: InNoRoutes InTruncatedPkts
IpExt: 1 2
Tcp: RtoAlgorithm MaxConn InSegs
Tcp: 1 -1 12
"""


def test_pairs_of_lines() -> None:
    """netstat and snmp: a line of names, a line of numbers, which may be below zero."""
    found = parse(TEXT)
    assert found == {
        "TcpExt.SyncookiesSent": 3129,
        "TcpExt.SyncookiesRecv": 0,
        "TcpExt.ListenDrops": 7,
        "IpExt.InNoRoutes": 1,
        "IpExt.InTruncatedPkts": 2,
        "Tcp.RtoAlgorithm": 1,
        "Tcp.MaxConn": -1,
        "Tcp.InSegs": 12,
    }


def test_a_counter_a_line() -> None:
    """snmp6: name and number."""
    text = "Ip6InReceives                   \t9\nIcmp6OutEchoReplies\t8\nUdp6NoPorts  7\nUdpLite6InErrors 0\n"
    assert parse(text) == {"Ip6.InReceives": 9, "Icmp6.OutEchoReplies": 8, "Udp6.NoPorts": 7, "UdpLite6.InErrors": 0}


def test_what_is_no_counter_is_left() -> None:
    """Any text: no exception."""
    assert parse("") == parse("Tcp: A B\n") == parse("nonsense\nTcp 1 2\n") == {}


def test_the_running_kernel_knows_the_names() -> None:
    """Words are for counters that exist: nearly all of them on the kernel that runs this (older ones have fewer)."""
    found: dict[str, int] = {}
    for name in ("netstat", "snmp", "snmp6"):
        with open(f"/proc/self/net/{name}") as file:
            found |= parse(file.read())
    known = [name for name in MEANINGS if name in found or name.startswith(("Ip6", "Icmp6", "Udp6"))]
    assert len(known) > len(MEANINGS) * 0.9
