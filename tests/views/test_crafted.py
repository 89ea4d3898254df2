"""Packets made by hand, as they are shown: places, checksums, what is wrong, and nothing that harms a terminal."""

from __future__ import annotations

from rawlab.model.craft import Crafted, Ends
from rawlab.views.crafted import MOST_SHOWN, before
from rawlab.wire.craft import build
from rawlab.wire.description import parse


def made(*texts: str) -> list[Crafted]:
    return [packet for text in texts for packet in build(parse(text), Ends())]


def test_a_packet_field_by_field() -> None:
    """A line in tcpdump's words, the way it goes, each field with its octet, each checksum with what it covers."""
    lines = before(made('IP()/UDP(dport=9)/"hello"')).splitlines()
    assert lines[0] == "packet 1: IP 10.0.0.1.40000 > 10.0.0.2.9: UDP, length 5"
    assert lines[1] == "33 octets, by a raw socket to 10.0.0.2 (IP_HDRINCL: its IP header is the program's)"
    rows = [line.split() for line in lines]
    assert ["12", "32", "src", "10.0.0.1"] in rows
    assert ["0", "4+4", "ihl", "5"] in rows
    assert any(row[:3] == ["26–27", "UDP", "checksum"] and row[-1] == "right" for row in rows)
    assert not any(line.startswith("wrong") for line in lines)


def test_what_is_wrong_stands_above() -> None:
    """One line for each, with what would be right; why it goes by a packet socket."""
    lines = before(made("IP(chksum=1)/UDP()"), 3).splitlines()
    assert lines[1].startswith("42 octets, 3 times, by a packet socket (a raw socket's kernel would put the IP header")
    assert lines[2] == "wrong on the wire: IP header checksum is 0x0001; 0x66ce would be right"


def test_many_packets_are_counted() -> None:
    """The first ones are shown."""
    text = before(made("IP(ttl=(1, 200))/ICMP()"))
    assert text.count("\npacket ") + 1 == MOST_SHOWN
    assert text.endswith("… and 190 packets more")


def test_payloads_are_inert() -> None:
    """No control character of a payload or a name reaches the terminal."""
    shown = before(made(r'IP()/UDP()/"\x1b[31m\r\u202e"', r'IP()/UDP()/DNS(qd=DNSQR(qname="\x1b[2J"))'))
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "\u202e" not in shown
