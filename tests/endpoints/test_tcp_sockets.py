"""Calls on our own TCP's sockets: what each returns, in which state, with which errno; Linux's is the measure."""

from __future__ import annotations

from typing import Any

import pytest

from rawlab.endpoints.tcp import Settings, TcpError
from rawlab.model.address import Endpoint
from tests.endpoints.hosts import SERVER, Side, World

SMALL = 10_000
"octets of each buffer"
SETTINGS = Settings(receive_buffer=SMALL, send_buffer=SMALL, window_events=False)


@pytest.fixture
def world() -> World:
    return World(client=Side(("10.0.0.1", "fd00::1"), 1, SETTINGS), server=Side(("10.0.0.2", "fd00::2"), 2, SETTINGS))


def send(socket: Any, data: bytes, flags: str = "0") -> Any:
    """A call, to be driven."""
    return socket.sockets.send(socket, data, flags, None, None)


def receive(socket: Any, size: int = 65536, flags: str = "0") -> Any:
    """A call, to be driven."""
    return socket.sockets.receive(socket, size, flags)


def read(world: World, socket: Any, size: int = 65536, flags: str = "0") -> bytes:
    """What a read gives."""
    return world.returns(receive(socket, size, flags)).data


def errno_of(call: Any) -> str:
    """Of a call that never blocks, and must fail."""
    with pytest.raises(TcpError) as caught:
        call()
    return caught.value.errno


def polled(world: World, socket: Any, events: str = "POLLIN|POLLOUT|POLLPRI|POLLRDHUP") -> str:
    """What poll says of a socket now."""
    return str(world.returns(socket.sockets.poll([(socket, events)], 0)).value[0])


def option(socket: Any, name: str) -> Any:
    """Its value."""
    value = socket.sockets.getsockopt(socket, name, (0,)).value
    return value[0] if len(value) == 1 else value


# --------------------------------------------------------------------------------------------- connecting


@pytest.mark.parametrize(("domain", "address"), [("AF_INET", "10.0.0.2"), ("AF_INET6", "fd00::2")])
def test_an_echo(world: World, domain: str, address: str) -> None:
    """connect, accept, write, read both ways; close ends the stream for the peer, over either IP version."""
    listener = world.server.socket(domain=domain)
    listener.bind(Endpoint("::" if domain == "AF_INET6" else "0.0.0.0", 7))
    listener.listen(5)
    client = world.client.socket(domain=domain)
    world.returns(client.connect((Endpoint(address, 7),)))
    accepted = world.returns(listener.accept())
    server: Any = accepted.made
    assert accepted.address == client.getsockname().address == server.getpeername().address
    assert server.getsockname().address == client.getpeername().address == Endpoint(address, 7)
    assert world.returns(send(client, b"hello")).result == 5
    assert read(world, server) == b"hello"
    world.returns(send(server, b"hello yourself"))
    assert read(world, client) == b"hello yourself"
    assert client.state == server.state == "ESTABLISHED"
    world.returns(client.close())
    assert [read(world, server) for _ in range(2)] == [b"", b""]
    assert server.state == "CLOSE-WAIT"
    world.returns(server.close())


def test_nobody_listens(world: World) -> None:
    """connect fails with ECONNREFUSED, and the socket may try again, from another port."""
    client = world.client.socket()
    assert world.fails(client.connect((SERVER,))) == "ECONNREFUSED"
    assert client.getsockname().address.address == "0.0.0.0"
    assert errno_of(client.getpeername) == "ENOTCONN"
    world.server.listening(7)
    world.returns(client.connect((SERVER,)))
    assert client.state == "ESTABLISHED"
    assert world.fails(client.connect((SERVER,))) == "EISCONN"


def test_nobody_answers(world: World) -> None:
    """connect fails with ETIMEDOUT when SYN was sent as often as tcp_syn_retries says."""
    world.lost = lambda packet, _: True
    assert world.fails(world.client.socket().connect((SERVER,))) == "ETIMEDOUT"
    assert len(world.seen) == 1 + SETTINGS.syn_retries


def test_a_connect_that_must_not_wait(world: World) -> None:
    """EINPROGRESS, EALREADY, then POLLOUT; SO_ERROR says 0, connect once more 0, then EISCONN."""
    world.server.listening(7)
    client = world.client.socket()
    client.nonblocking = True
    with pytest.raises(TcpError, match="EINPROGRESS"):
        next(client.connect((SERVER,)))
    assert (client.state, polled_now(client)) == ("SYN-SENT", set())
    with pytest.raises(TcpError, match="EALREADY"):
        next(client.connect((SERVER,)))
    assert world.fails(send(client, b"early", "MSG_DONTWAIT")) == "EAGAIN"
    world.rest(1)
    assert polled(world, client) == "POLLOUT"
    assert option(client, "SO_ERROR") == "0"
    world.returns(client.connect((SERVER,)))
    assert world.fails(client.connect((SERVER,))) == "EISCONN"


def polled_now(socket: Any) -> set[str]:
    """What poll would say, while nothing moves."""
    ready: set[str] = socket.ready()
    return ready


def test_a_connect_that_must_not_wait_and_is_refused(world: World) -> None:
    """poll says so, unasked, and SO_ERROR why, once; the next connect tells that it was aborted, then it may begin."""
    client = world.client.socket()
    client.nonblocking = True
    assert world.fails(client.connect((SERVER,))) == "EINPROGRESS"
    world.rest(1)
    assert polled(world, client) == "POLLIN|POLLOUT|POLLERR|POLLHUP|POLLRDHUP"
    assert [option(client, "SO_ERROR") for _ in range(2)] == ["ECONNREFUSED", "0"]
    assert world.fails(client.connect((SERVER,))) == "ECONNABORTED"
    assert world.fails(client.connect((SERVER,))) == "EINPROGRESS"


def test_a_write_while_it_connects_waits(world: World) -> None:
    """It goes on when the handshake is done."""
    listener, client = world.server.listening(7), world.client.socket()
    client.nonblocking = True
    with pytest.raises(TcpError, match="EINPROGRESS"):
        next(client.connect((SERVER,)))
    client.nonblocking = False
    assert world.returns(send(client, b"hello")).result == 5
    server: Any = world.returns(listener.accept()).made
    assert read(world, server) == b"hello"


def test_a_socket_that_was_never_connected(world: World) -> None:
    """ENOTCONN, EPIPE; poll says POLLHUP, as Linux does."""
    fresh = world.client.socket()
    assert fresh.getsockname().address == Endpoint("0.0.0.0", 0)
    assert world.fails(receive(fresh)) == "ENOTCONN"
    assert world.fails(receive(fresh, 1, "MSG_OOB")) == "ENOTCONN"
    assert world.fails(send(fresh, b"x")) == "EPIPE"
    assert errno_of(lambda: fresh.shutdown("SHUT_WR")) == "ENOTCONN"
    assert world.fails(fresh.accept()) == "EINVAL"
    assert polled(world, fresh) == "POLLOUT|POLLHUP"
    assert world.fails(fresh.connect((Endpoint("fd00::2", 7),))) == "EAFNOSUPPORT"
    world.returns(fresh.close())


def test_addresses_that_can_t_be_had(world: World) -> None:
    """Another host's, one in use, a second one; what is closed can be had again."""
    first, second = world.server.listening(7), world.server.socket()
    assert errno_of(lambda: second.bind(Endpoint("0.0.0.0", 7))) == "EADDRINUSE"
    assert errno_of(lambda: second.bind(Endpoint("10.0.0.1", 7))) == "EADDRNOTAVAIL"
    assert errno_of(lambda: first.bind(Endpoint("0.0.0.0", 8))) == "EINVAL"
    world.returns(first.close())
    second.bind(Endpoint("0.0.0.0", 7))


@pytest.mark.parametrize("reuse", [0, 1])
def test_a_port_that_has_connections_left(world: World, reuse: int) -> None:
    """TIME-WAIT keeps the port from a server that starts again, unless SO_REUSEADDR is set, then and now."""
    listener = world.server.socket()
    world.set(listener, "SO_REUSEADDR", reuse)
    listener.bind(Endpoint("0.0.0.0", 7))
    listener.listen(5)
    client, server = world.connected()
    world.returns(server.close())
    read(world, client)
    world.returns(client.close())
    world.returns(listener.close())
    world.rest(1)
    again = world.server.socket()
    if reuse:
        assert errno_of(lambda: again.bind(Endpoint("0.0.0.0", 7))) == "EADDRINUSE"
        world.set(again, "SO_REUSEADDR", 1)
        again.bind(Endpoint("0.0.0.0", 7))
        return
    world.set(again, "SO_REUSEADDR", 1)
    assert errno_of(lambda: again.bind(Endpoint("0.0.0.0", 7))) == "EADDRINUSE"
    world.rest(61)
    again.bind(Endpoint("0.0.0.0", 7))


# ---------------------------------------------------------------------------------------------- accepting


def test_accept_waits_for_a_connection(world: World) -> None:
    """As long as nobody connects; with O_NONBLOCK it says EAGAIN."""
    listener = world.server.listening(7)
    accepting = world.start(listener.accept())
    assert not accepting.over
    world.returns(world.client.socket().connect((SERVER,)))
    assert accepting.over
    listener.nonblocking = True
    assert world.fails(listener.accept()) == "EAGAIN"
    assert world.fails(receive(listener)) == "ENOTCONN"
    assert world.fails(send(listener, b"x")) == "EPIPE"


def test_what_came_before_accept_is_there_after_it(world: World) -> None:
    """Octets, and the end of the stream; poll had told of the connection."""
    listener, client = world.server.listening(7), world.client.socket()
    assert polled(world, listener) == "0"
    world.returns(client.connect((SERVER,)))
    world.returns(send(client, b"early"))
    world.returns(client.close())
    world.rest(1)
    assert polled(world, listener) == "POLLIN"
    accepted = world.returns(listener.accept()).made
    assert polled(world, accepted) == "POLLIN|POLLOUT|POLLRDHUP"
    assert [read(world, accepted) for _ in range(2)] == [b"early", b""]


def test_a_full_queue_leaves_the_next_waiting(world: World) -> None:
    """A backlog of 1 holds two; the third's SYN is dropped, and comes again when there is room."""
    listener = world.server.listening(7, backlog=1)
    clients = [world.client.socket() for _ in range(3)]
    going = [world.start(client.connect((SERVER,))) for client in clients]
    assert [connecting.over for connecting in going] == [True, True, False]
    world.returns(listener.accept())
    world.rest(10)
    assert going[2].answer is not None


def test_who_listens_no_more_resets_those_who_wait(world: World) -> None:
    """close of the listening socket: who was not accepted reads ECONNRESET, who comes now is refused."""
    listener, client = world.server.listening(7), world.client.socket()
    world.returns(client.connect((SERVER,)))
    world.returns(listener.close())
    assert world.fails(receive(client)) == "ECONNRESET"
    assert world.fails(world.client.socket().connect((SERVER,))) == "ECONNREFUSED"


# ------------------------------------------------------------------------------------------ reads and writes


def test_a_read_takes_what_is_there(world: World) -> None:
    """As much as fits; MSG_PEEK takes nothing; MSG_WAITALL waits for all, or for the end; EAGAIN instead of waiting."""
    client, server = world.connected()
    world.returns(send(client, b"0123456789"))
    assert read(world, server, 4, "MSG_PEEK") == b"0123"
    assert read(world, server, 4) == b"0123"
    waiting = world.start(receive(server, 10, "MSG_WAITALL"))
    assert not waiting.over
    world.returns(send(client, b"abcdef"))
    world.rest(1)
    assert waiting.answer is not None
    assert waiting.answer.data == b"456789abcd"
    assert read(world, server) == b"ef"
    assert world.fails(receive(server, 1, "MSG_DONTWAIT")) == "EAGAIN"
    waiting = world.start(receive(server, 10, "MSG_WAITALL|MSG_PEEK"))
    world.returns(send(client, b"end"))
    client.shutdown("SHUT_WR")
    world.rest(1)
    assert waiting.answer is not None
    assert waiting.answer.data == b"end"
    assert read(world, server) == b"end"
    assert read(world, server) == b""
    assert read(world, server, 0) == b""


def test_a_write_takes_all_or_what_fits(world: World) -> None:
    """One that waits goes on as the peer reads; one that must not wait takes what fits, then says EAGAIN."""
    client, server = world.connected()
    waiting = world.start(send(client, b"x" * 50_000))
    assert not waiting.over
    assert "POLLOUT" not in polled(world, client)
    got = b""
    while len(got) < 50_000:
        got += read(world, server)
    assert waiting.answer is not None
    assert waiting.answer.result == 50_000
    taken = 0
    while (moved := world.ends(send(client, b"y" * 9000, "MSG_DONTWAIT"))).answer:
        taken += moved.answer.result
    assert moved.error == "EAGAIN"
    assert 9000 < taken < 50_000


def test_a_write_that_the_peer_s_reset_interrupts(world: World) -> None:
    """It says what was taken; the next says why it was not more, and then it is EPIPE."""
    client, server = world.connected()
    waiting = world.start(send(client, b"x" * 50_000))
    world.returns(server.close())
    world.rest(1)
    assert waiting.answer is not None
    assert 0 < waiting.answer.result < 50_000
    assert [world.fails(send(client, b"x")) for _ in range(2)] == ["ECONNRESET", "EPIPE"]
    assert errno_of(client.getpeername) == "ENOTCONN"


def test_no_octets(world: World) -> None:
    """A write of nothing takes nothing, and sends nothing."""
    client, _ = world.connected()
    sent = len(world.seen)
    assert world.returns(send(client, b"")).result == 0
    assert len(world.seen) == sent


def test_urgent_data(world: World) -> None:
    """A read stops before the urgent octet and passes over it; MSG_OOB takes it, once; poll tells of it."""
    client, server = world.connected()
    assert world.fails(receive(server, 1, "MSG_OOB")) == "EINVAL"
    world.returns(send(client, b"abc", "MSG_OOB"))
    world.returns(send(client, b"de"))
    world.rest(1)
    assert polled(world, server) == "POLLIN|POLLPRI|POLLOUT"
    assert read(world, server) == b"ab"
    assert read(world, server, 10, "MSG_PEEK") == b"de"
    assert read(world, server, 1, "MSG_OOB|MSG_PEEK") == b"c"
    assert read(world, server, 1, "MSG_OOB") == b"c"
    assert world.fails(receive(server, 1, "MSG_OOB")) == "EINVAL"
    assert read(world, server, 2, "MSG_WAITALL") == b"de"
    assert polled(world, server) == "POLLOUT"


def test_an_urgent_octet_alone(world: World) -> None:
    """It makes nothing readable; a later mark makes it an octet like others."""
    client, server = world.connected()
    world.returns(send(client, b"a", "MSG_OOB"))
    world.rest(1)
    assert polled(world, server) == "POLLPRI|POLLOUT"
    assert world.fails(receive(server, 10, "MSG_DONTWAIT")) == "EAGAIN"
    world.returns(send(client, b"b", "MSG_OOB"))
    world.rest(1)
    assert read(world, server, 1, "MSG_OOB") == b"b"


# ------------------------------------------------------------------------------------------------ the end


def test_close_with_unread_data_resets(world: World) -> None:
    """RFC 2525 section 2.17: the peer reads ECONNRESET once, then 0; its writes fail with EPIPE."""
    client, server = world.connected()
    world.returns(send(client, b"nobody reads this"))
    world.returns(server.close())
    world.rest(1)
    assert polled(world, client) == "POLLIN|POLLOUT|POLLERR|POLLHUP|POLLRDHUP"
    assert world.fails(receive(client)) == "ECONNRESET"
    assert read(world, client) == b""
    assert world.fails(send(client, b"x")) == "EPIPE"


def test_what_had_come_before_a_reset_can_be_read(world: World) -> None:
    """As Linux: the octets first, then why there are no more."""
    client, server = world.connected()
    world.returns(send(server, b"before"))
    world.rest(1)
    world.set(server, "SO_LINGER", 1, 0)
    world.returns(server.close())
    world.rest(1)
    assert read(world, client) == b"before"
    assert world.fails(receive(client)) == "ECONNRESET"


def test_a_reset_after_the_peer_s_fin(world: World) -> None:
    """CLOSE-WAIT: a write into a closed connection brings RST, the next write fails with EPIPE."""
    client, server = world.connected()
    world.returns(server.close())
    assert read(world, client) == b""
    assert world.returns(send(client, b"late")).result == 4
    world.rest(1)
    assert world.fails(send(client, b"x")) == "EPIPE"


def test_half_close(world: World) -> None:
    """After SHUT_WR the peer reads the end, and may write on; SHUT_RD ends reads here, and tells the peer nothing."""
    client, server = world.connected()
    client.shutdown("SHUT_WR")
    assert world.fails(send(client, b"x")) == "EPIPE"
    assert read(world, server) == b""
    world.returns(send(server, b"still"))
    assert read(world, client) == b"still"
    client.shutdown("SHUT_RD")
    assert read(world, client) == b""
    assert (client.state, server.state) == ("FIN-WAIT-2", "CLOSE-WAIT")
    assert errno_of(lambda: client.shutdown("SHUT_UP")) == "EINVAL"


def test_a_close_that_lingers_waits_for_the_acknowledgment(world: World) -> None:
    """SO_LINGER (1, 5): at most 5 s; the call does not fail if none came."""
    client, _ = world.connected()
    world.set(client, "SO_LINGER", 1, 5)
    world.lost = lambda packet, _: True
    closing = world.start(client.close())
    assert not closing.over
    world.rest(4)
    assert not closing.over
    world.rest(2)
    assert closing.answer is not None


def test_the_last_of_several_holders_closes(world: World) -> None:
    """fork: FIN leaves when nobody holds the socket any more."""
    client, server = world.connected()
    client.holders += 1
    world.returns(client.close())
    world.rest(1)
    assert server.state == "ESTABLISHED"
    world.returns(client.close())
    assert read(world, server) == b""


def test_a_socket_closed_while_it_connects(world: World) -> None:
    """No more SYN is sent, and its port is free."""
    world.lost = lambda packet, _: True
    client = world.client.socket()
    client.nonblocking = True
    assert world.fails(client.connect((SERVER,))) == "EINPROGRESS"
    port = client.getsockname().address.port
    world.returns(client.close())
    world.rest(10)
    assert len(world.seen) == 1
    world.client.socket().bind(Endpoint("0.0.0.0", port))


def test_shutdown_while_it_connects_or_listens(world: World) -> None:
    """It is as if it had not begun."""
    world.lost = lambda packet, _: True
    client = world.client.socket()
    client.nonblocking = True
    assert world.fails(client.connect((SERVER,))) == "EINPROGRESS"
    client.shutdown("SHUT_RDWR")
    assert client.state == "CLOSED"
    listener = world.server.listening(7)
    listener.shutdown("SHUT_WR")
    assert listener.state == "LISTEN"
    listener.shutdown("SHUT_RD")
    assert listener.state == "CLOSED"


# ------------------------------------------------------------------------------------------------ options


def test_options(world: World) -> None:
    """As socket(7) and tcp(7) say; buffers are doubled; accept's sockets inherit; what there is not is ENOPROTOOPT."""
    listener = world.server.listening(7)
    for name, value in (("SO_REUSEADDR", 1), ("TCP_NODELAY", 1), ("SO_LINGER", (1, 3))):
        world.set(listener, name, *(value if isinstance(value, tuple) else (value,)))
        assert option(listener, name) == value
    for name in ("SO_RCVBUF", "SO_SNDBUF"):
        world.set(listener, name, 30_000)
        assert option(listener, name) == 60_000
    _, server = world.connected()
    assert [option(server, name) for name in ("SO_REUSEADDR", "TCP_NODELAY", "SO_LINGER")] == [1, 1, (1, 3)]
    assert server.connection.nodelay
    assert server.connection.rcv_wnd == 30_000
    for name, value in (("SO_KEEPALIVE", 1), ("TCP_INFO", 0)):
        assert world.fails(listener.sockets.setsockopt(listener, name, (value,))) == "ENOPROTOOPT"
        assert errno_of(lambda name=name: option(listener, name)) == "ENOPROTOOPT"
    assert world.fails(listener.sockets.setsockopt(listener, "TCP_NODELAY", (1, 2, 3))) == "EINVAL"


def test_nodelay_lets_what_waits_go(world: World) -> None:
    """Nagle holds a small segment back as long as one is under way (RFC 9293 section 3.7.4)."""
    client, server = world.connected()
    server.connection.inbound.ack_every = 100  # its ACK takes a while
    world.returns(send(client, b"one"))
    world.returns(send(client, b"two"))
    assert read(world, server) == b"one"
    world.set(client, "TCP_NODELAY", 1)
    world.settle()
    assert read(world, server, 100, "MSG_DONTWAIT") == b"two"


def test_a_kind_of_socket_that_there_is_not(world: World) -> None:
    """TCP has streams only."""
    assert errno_of(lambda: world.client.sockets.socket("AF_INET", "SOCK_SEQPACKET")) == "ESOCKTNOSUPPORT"
