"""The wire between two private hosts, each test with networks of its own: named faults, chance, a second path.

What is sent and what arrives are the kernel's: sockets on the hosts, and rings at each end of each path.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rawlab import store
from rawlab.attribution.pairing import Draft, pair
from rawlab.live.network import SERVER, Network, hosts, points
from rawlab.live.ring import Ring
from rawlab.model import timeline
from rawlab.model.faults import AnyFault, Chance, Cut, Delay, Drop, Duplicate, Reorder
from rawlab.model.lab import Wire
from rawlab.wire import capture
from rawlab.wire.decode import decode

CLONE_NEWNET = 0x40000000
PORT = 7
SECONDS = 5

Make = Callable[..., Network]


@pytest.fixture
def network() -> Iterator[Make]:
    """Makes a network, which is gone after the test; skips where none may be made."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    made: list[Network] = []

    def make(*faults: AnyFault, delay_ms: int = 0, paths: int = 1) -> Network:
        if made:
            end(made.pop())
        try:
            made.append(Network(Wire(delay_ms=delay_ms, faults=faults, paths=paths)))
        except PermissionError as error:
            pytest.skip(f"a network namespace is refused: {error}")
        return made[0]

    def end(it: Network) -> None:
        if it.relay:
            os.kill(it.relay, signal.SIGKILL)
            os.waitpid(it.relay, 0)
        for descriptor in it.namespaces.values():
            os.close(descriptor)

    try:
        yield make
    finally:
        assert not libc.setns(before, CLONE_NEWNET)
        os.close(before)
        for it in made:
            end(it)


@contextlib.contextmanager
def datagrams(network: Network, path: int = 1, *, ipv6: bool = False) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's socket, connected to the server's, on one path."""
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    address = hosts(False, Wire(paths=2))[1].addresses[2 * (path - 1) + ipv6]
    with network.inside("server"):
        server = socket.socket(family, socket.SOCK_DGRAM)
    with network.inside("client"):
        client = socket.socket(family, socket.SOCK_DGRAM)
    with client, server:
        server.bind((address, PORT))
        client.connect((address, PORT))
        yield client, server


def arrived(server: socket.socket, most: int, seconds: float = SECONDS) -> list[bytes]:
    """What comes, up to `most` datagrams or so many seconds of silence."""
    server.settimeout(seconds)
    found: list[bytes] = []
    with contextlib.suppress(TimeoutError):
        while len(found) < most:
            found.append(server.recv(2048))
    return found


def sent_and_arrived(network: Network, *messages: bytes, last: bytes = b"last") -> list[bytes]:
    """Sends the messages and one more, whose arrival says that no other will come."""
    with datagrams(network) as (client, server):
        for message in messages:
            client.send(message)
        found = []
        deadline = time.monotonic() + SECONDS
        client.send(last)
        while time.monotonic() < deadline and last not in found:
            found += arrived(server, 1)
        return [*found, *arrived(server, 99, 0.3)]


def test_without_faults_there_is_no_relay(network: Make) -> None:
    """Two hosts and a veth pair between them, nothing else."""
    made = network()
    assert (list(made.namespaces), made.relay) == (["client", "server"], None)
    assert sent_and_arrived(made, b"1") == [b"1", b"last"]


def test_the_named_packet_is_lost(network: Make) -> None:
    """The second datagram of the client, and no other."""
    made = network(Drop(way="client>", protocol="udp", number=2))
    assert sent_and_arrived(made, b"1", b"2", b"3") == [b"1", b"3", b"last"]


def test_the_named_packet_arrives_twice(network: Make) -> None:
    """One behind the other."""
    assert sent_and_arrived(network(Duplicate(number=2)), b"1", b"2", b"3") == [b"1", b"2", b"2", b"3", b"last"]


def test_the_named_packet_arrives_behind_the_next(network: Make) -> None:
    """And where none follows, a moment later."""
    assert sent_and_arrived(network(Reorder(number=2)), b"1", b"2", b"3") == [b"1", b"3", b"2", b"last"]
    assert sent_and_arrived(network(Reorder(number=2, ms=50)), b"1") == [b"1", b"last"]


def test_the_named_packet_is_late(network: Make) -> None:
    """All that is sent within that time overtakes it."""
    assert sent_and_arrived(network(Delay(number=1, ms=100)), b"1", b"2", b"3") == [b"2", b"3", b"last", b"1"]


def test_the_first_syn_ack_is_lost(network: Make) -> None:
    """TCP's connection comes about by a second one; with data lost and doubled the stream stays whole."""
    made = network(
        Drop(flags="SA"), Drop(way="client>", data=True, number=2), Duplicate(way="client>", data=True, number=4)
    )
    text = os.urandom(20_000)
    with made.inside("server"):
        listener = socket.create_server((SERVER.addresses[0], PORT))
    with made.inside("client"):
        client = socket.socket()
    with listener, client:
        client.settimeout(SECONDS)
        client.connect((SERVER.addresses[0], PORT))
        connection, _ = listener.accept()
        with connection:
            client.sendall(text)
            client.shutdown(socket.SHUT_WR)
            connection.settimeout(SECONDS)
            assert b"".join(iter(lambda: connection.recv(65536), b"")) == text


def test_chance_strikes_the_same_in_every_run(network: Make) -> None:
    """Lost, doubled and out of order by the seed: of 150 datagrams the same ones; and none is invented."""
    messages = [b"%d" % number for number in range(150)]

    def run() -> list[bytes]:
        made = network(Chance(seed=7, drop=10, duplicate=10, reorder=10))
        with datagrams(made) as (client, server):
            for message in messages:
                client.send(message)
                time.sleep(0.0003)  # what a socket's buffer has no room for would be no fault of the wire
            return arrived(server, 999, 0.5)

    one, other = run(), run()
    assert one == other
    assert set(one) < set(messages)
    assert len(one) > len(set(one))
    assert one != sorted(one, key=int)


@pytest.mark.parametrize("ipv6", [False, True])
def test_two_paths_are_two_networks(network: Make, ipv6: bool) -> None:
    """Each with its addresses; without faults and with a relay."""
    for delay_ms in (0, 5):
        made = network(delay_ms=delay_ms, paths=2)
        for path in (1, 2):
            with datagrams(made, path, ipv6=ipv6) as (client, server):
                client.send(b"hello")
                assert arrived(server, 1) == [b"hello"]


def test_a_path_is_taken_away(network: Make) -> None:
    """The datagram that is named is the last on its path; the other path does not notice."""
    made = network(Cut(path=1, way="client>", protocol="udp", number=2), paths=2)
    with datagrams(made, 1) as (client, server), datagrams(made, 2) as (client2, server2):
        for message in (b"1", b"2", b"3"):
            client.send(message)
            client2.send(message)
        assert arrived(server2, 3) == [b"1", b"2", b"3"]
        assert arrived(server, 3, 0.2) == [b"1", b"2"]
        server.sendto(b"back", client.getsockname())
        assert arrived(client, 1, 0.2) == []


def recorded(network: Network, paths: int, folder: Path, speak: Callable[[], object]) -> list[Draft]:
    """The packets that rings at all points saw while this was spoken, through a file and back."""
    places = points(False, Wire(paths=paths))
    rings = []
    for index, point in enumerate(places):
        with network.inside(point.host or ""):
            rings.append(Ring(point.name, interface_id=index))
    speak()
    time.sleep(0.1)  # more than a ring's retire time
    run = timeline.Run(lab=None, stack="kernel", rawlab="0", kernel="0")
    blocks = [capture.header(run, hosts(False, Wire(paths=paths)), places)]
    for index, ring in enumerate(rings):
        blocks += [bytes(block) for block in ring.take()]
        ring.release()
        counts = ring.statistics()
        places[index] = replace(places[index], captured=counts.captured, dropped=counts.dropped)
        ring.close()
    blocks.append(capture.statistics(places, time.time_ns()))
    (folder / "x.pcapng").write_bytes(b"".join(blocks))
    return pair(store.load(folder / "x.pcapng"), decode)


def of_udp(drafts: list[Draft]) -> list[tuple[bytes, str | None, bool, bool]]:
    """Data, sender, whether it left, whether it arrived."""
    found = []
    for draft in drafts:
        if draft.facts.ip is not None and draft.facts.ip.protocol == 17:
            data = bytes(draft.data[42:])
            found.append((data, draft.sender, draft.sent_ns is not None, draft.arrived_ns is not None))
    return found


def test_what_is_lost_has_left_and_what_is_doubled_arrives_twice(network: Make, tmp_path: Path) -> None:
    """As the capture has it: lost at the sender's end only, the copy at the receiver's end only."""
    made = network(Drop(protocol="udp", number=2), Duplicate(protocol="udp", number=3))
    drafts = recorded(made, 1, tmp_path, lambda: sent_and_arrived(made, b"1", b"2", b"3"))
    assert sorted(of_udp(drafts), key=lambda entry: (entry[0], entry[1] or "")) == [
        (b"1", "client", True, True),
        (b"2", "client", True, False),
        (b"3", "client", True, True),
        (b"3", "client", False, True),
        (b"last", "client", True, True),
    ]
    assert [bytes(draft.data[42:]) for draft in drafts if draft.lost] == [b"2"]


def test_both_interfaces_of_a_host_are_that_hosts(network: Make, tmp_path: Path) -> None:
    """Four points of observation, two hosts: each packet is one, whatever path it took."""
    made = network(paths=2)

    def speak() -> None:
        for path in (1, 2):
            with datagrams(made, path) as (client, server):
                client.send(b"%d" % path)
                assert arrived(server, 1) == [b"%d" % path]

    assert [point.host for point in points(False, Wire(paths=2))] == ["client", "server"] * 2
    drafts = recorded(made, 2, tmp_path, speak)
    assert of_udp(drafts) == [(b"1", "client", True, True), (b"2", "client", True, True)]
    assert {draft.receiver for draft in drafts} == {"client", "server"}  # ARP goes both ways
