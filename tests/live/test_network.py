"""The private hosts: a router between them, neighbours that are known, a wire that is silent until someone speaks."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rawlab.live.network import NOBODY, ROUTER, UNOWNED, Network, hosts, links, points
from rawlab.live.ring import Ring
from rawlab.model.lab import Wire

CLONE_NEWNET = 0x40000000
PORT = 7
SECONDS = 5

Make = Callable[[Wire], Network]


@pytest.fixture
def network() -> Iterator[Make]:
    """Makes networks, which are gone after the test; skips where none may be made."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    made: list[Network] = []

    def make(wire: Wire) -> Network:
        try:
            made.append(Network(wire))
        except PermissionError as error:
            pytest.skip(f"a network namespace is refused: {error}")
        return made[-1]

    try:
        yield make
    finally:
        assert not made or not libc.setns(before, CLONE_NEWNET)
        os.close(before)
        for descriptor in (fd for it in made for fd in it.namespaces.values()):
            os.close(descriptor)


@contextlib.contextmanager
def rings(network: Network) -> Iterator[list[Ring]]:
    """A ring at every end of every link."""
    with contextlib.ExitStack() as stack:
        opened = []
        for index, point in enumerate(points(False, network.wire)):
            with network.inside(point.host or ""):
                opened.append(Ring(point.name, interface_id=index))
            stack.callback(opened[-1].close)
        yield opened


def captured(opened: list[Ring]) -> list[int]:
    """How many frames each has seen."""
    return [ring.statistics().captured for ring in opened]


def datagram_through(network: Network, address: str) -> tuple[bytes, str]:
    """What the server gets of what the client sends it, and from whom."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with network.inside("server"):
        server = socket.socket(family, socket.SOCK_DGRAM)
    with network.inside("client"):
        client = socket.socket(family, socket.SOCK_DGRAM)
    with server, client:
        server.bind((address, PORT))
        server.settimeout(SECONDS)
        client.sendto(b"hello", (address, PORT))
        data, source = server.recvfrom(99)
        return data, source[0]


@pytest.mark.parametrize("ipv6", [False, True])
def test_a_router_joins_two_networks(network: Make, ipv6: bool) -> None:
    """A datagram goes from one to the other, over both links, and nothing else does."""
    made = network(Wire(router=True))
    client, _, server = hosts(False, made.wire)
    with rings(made) as opened:
        assert captured(opened) == [0, 0, 0, 0]
        assert datagram_through(made, server.addresses[ipv6]) == (b"hello", client.addresses[ipv6])
        assert captured(opened) == [1, 1, 1, 1]


def test_only_the_router_routes(network: Make) -> None:
    """Whatever the machine does: what comes to a host and is for nobody is not sent on."""
    made = network(Wire(router=True))
    found = {}
    for host in made.namespaces:
        with made.inside(host):
            settings = [Path("/proc/sys/net") / name for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding")]
            found[host] = tuple(setting.read_text().strip() for setting in settings)
    assert found == {"client": ("0", "0"), "router": ("1", "1"), "server": ("0", "0")}


@pytest.mark.parametrize("ipv6", [False, True])
def test_what_is_for_an_unowned_address_reaches_the_client_and_nobody_answers(network: Make, ipv6: bool) -> None:
    """No question for its link-layer address, no ICMP, no RST: the client's kernel is silent."""
    made = network(Wire(neighbours_known=True))
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    with rings(made) as opened:
        with made.inside("server"), socket.socket(family, socket.SOCK_STREAM) as asked:
            asked.setblocking(False)
            assert asked.connect_ex((UNOWNED[ipv6], PORT)) != 0
        with made.inside("server"), socket.socket(family, socket.SOCK_DGRAM) as other:
            other.sendto(b"hello", (UNOWNED[ipv6], PORT))
        deadline = time.monotonic() + SECONDS
        while captured(opened) != [2, 2] and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        assert captured(opened) == [2, 2]


def test_ends_are_told_apart() -> None:
    """No two interfaces share a name, an address of a link layer or of IP; each link's ends are two points in order."""
    for wire in (Wire(), Wire(paths=2), Wire(router=True)):
        ends = [end for pair in links(wire) for end in pair]
        addresses = [address for end in ends for address in end.addresses]
        assert len({end.number for end in ends}) == len({end.interface for end in ends}) == len(ends)
        assert len({*addresses, *NOBODY, *UNOWNED}) == len(addresses) + 4
        assert [(it.name, it.host) for it in points(False, wire)] == [(end.interface, end.host) for end in ends]
        assert sorted(addresses) == sorted(address for host in hosts(False, wire) for address in host.addresses)
    assert ROUTER in hosts(False, Wire(router=True))
