"""Whose socket a packet belongs to, by the kernel's own tables, of this very process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from rawlab.live.owners import Owner
from rawlab.model.address import Endpoint, Flow


@pytest.fixture
def owner() -> Iterator[Owner]:
    """Of this process."""
    mine = Owner(os.getpid())
    yield mine
    mine.close()


def flow(protocol: str, source: tuple[str, int], destination: tuple[str, int]) -> Flow:
    return Flow(protocol, Endpoint(*source[:2]), Endpoint(*destination[:2]))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_both_ends_of_a_connection(owner: Owner, address: str) -> None:
    """Where a process holds both, one of the two is found; the listening socket is not."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        with socket.create_connection(server.getsockname()[:2]) as client:
            accepted, _ = server.accept()
            with accepted:
                found = owner.label(flow("tcp", client.getsockname(), server.getsockname()))
                numbers = (client.fileno(), accepted.fileno())
        assert found in [f"{owner.name}[{os.getpid()}] fd {number}" for number in numbers]


def test_a_connection_that_is_not_accepted_yet(owner: Owner) -> None:
    """Its packets are the listening socket's, and that is said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        other = ("127.0.0.1", 9)
        label = owner.label(flow("tcp", other, server.getsockname()))
        assert label == f"{owner.name}[{os.getpid()}] fd {server.fileno()} (listening)"


def test_a_connection_keeps_its_own_socket(owner: Owner) -> None:
    """Also when that is closed already, and only the listening one is left that its packets would fit."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        talk = flow("tcp", client.getsockname(), server.getsockname())
        accepted, _ = server.accept()
        number = accepted.fileno()
        mine = f"{owner.name}[{os.getpid()}] fd "
        client.close()
        assert owner.label(talk) == f"{mine}{number}"
        accepted.close()
        for _ in range(2):
            owner._looked = 0
            assert owner.label(talk) == f"{mine}{number}, closed already"


def test_an_ipv4_client_of_an_ipv6_socket(owner: Owner) -> None:
    """The kernel's ::ffff:127.0.0.1 is 127.0.0.1."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            with accepted:
                label = owner.label(flow("tcp", ("127.0.0.1", port), client.getsockname()))
                assert label is not None
                assert label.endswith((f" fd {accepted.fileno()}", f" fd {client.fileno()}"))


def test_udp_sockets_that_name_no_peer(owner: Owner) -> None:
    """Bound to any address: every datagram to that port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("", 0))
        port = one.getsockname()[1]
        datagram = flow("udp", ("192.0.2.1", 9), ("192.0.2.2", port))
        assert owner.label(datagram) == f"{owner.name}[{os.getpid()}] fd {one.fileno()}"
        assert owner.label(flow("tcp", ("192.0.2.1", 9), ("192.0.2.2", port))) is None
    assert owner.left_out == 1


def test_a_socket_that_is_closed(owner: Owner) -> None:
    """Its flow was known: that it is closed already is said. Of a flow never seen before nothing can be known."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        datagram = flow("udp", ("127.0.0.1", 9), one.getsockname())
        other = flow("udp", ("127.0.0.1", 10), one.getsockname())
        number = one.fileno()
        assert owner.label(datagram) == f"{owner.name}[{os.getpid()}] fd {number}"
    owner._looked = 0
    assert owner.label(datagram) == f"{owner.name}[{os.getpid()}] fd {number}, closed already"
    assert owner.label(other) is None
