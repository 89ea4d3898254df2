"""The links of an endpoint of ours: packets between private hosts, over raw and packet sockets."""

from __future__ import annotations

import json
import struct
import subprocess
import sys

import pytest

from rawlab.live.links import ip_header, read_ip
from tests.live import runs


def exchanged(kind: str, version: int) -> tuple[list[list[object]], list[str]]:
    """For each direction whether all arrived as sent, and how many; the calls that were told."""
    runs.need_networks()
    command = [sys.executable, "-m", "tests.live.linked", kind, str(version)]
    done = subprocess.run(command, cwd=runs.REPOSITORY, capture_output=True, text=True, timeout=runs.SECONDS)
    assert done.returncode == 0, done.stderr
    *directions, calls = map(json.loads, done.stdout.splitlines())
    return directions, calls


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", ["raw", "beside"])
def test_packets_arrive_as_they_were_sent(kind: str, version: int) -> None:
    """From the transport header on, with both addresses, in order; each call is told; to nowhere is no error."""
    directions, calls = exchanged(kind, version)
    count = 4 if version == 4 else 3
    assert directions == [[True, count], [True, count]]
    names = [call.split()[0] for call in calls]
    assert names.count("recvfrom") == 2 * count
    assert names.count("sendto") >= 2 * count
    assert names[0] == "socket"


@pytest.mark.parametrize("version", [4, 6])
def test_packets_to_an_address_of_our_own_arrive_once_it_is_known(version: int) -> None:
    """All of them, though they were sent before the answer came; it is asked for once, then both know each other."""
    directions, calls = exchanged("own", version)
    count = 4 if version == 4 else 3
    assert directions == [[True, count], [True, count]]
    names = [call.split()[0] for call in calls]
    question, answer, to_nowhere = 1, 1, 1
    assert names.count("send") == 2 * count + question + answer + to_nowhere
    assert names.count("recv") == 2 * count + question + answer
    assert names[0] == "socket"


@pytest.mark.parametrize(("source", "destination"), [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")])
def test_an_ip_packet_is_read_as_it_was_written(source: str, destination: str) -> None:
    """What is behind its end (an Ethernet frame is filled up) is not of it; another protocol's is none."""
    packet = ip_header(132, 5, source, destination) + b"hello"
    assert read_ip(packet + bytes(20), 132) == (b"hello", source, destination)
    assert read_ip(packet, 6) is None
    assert read_ip(packet[:-1], 132) is None


def test_an_ipv4_header_s_checksum_is_right() -> None:
    """RFC 791: the ones' complement sum of all its words is all ones."""
    words = struct.unpack("!10H", ip_header(132, 100, "192.168.255.254", "172.16.200.1"))
    assert (sum(words) & 0xFFFF) + (sum(words) >> 16) == 0xFFFF


def test_a_fragment_is_no_packet() -> None:
    """Its rest is elsewhere."""
    packet = bytearray(ip_header(132, 5, "10.0.0.1", "10.0.0.2") + b"hello")
    for offset in (0x2000, 0x0001):
        packet[6:8] = struct.pack("!H", offset)
        assert read_ip(bytes(packet), 132) is None


@pytest.mark.parametrize("cut", range(0, 45, 4))
def test_a_cut_packet_is_none(cut: int) -> None:
    """Wherever it was cut."""
    for source, destination in (("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")):
        packet = ip_header(132, 5, source, destination) + b"hello"
        if cut < len(packet):
            assert read_ip(packet[:cut], 132) is None
