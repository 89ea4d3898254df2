"""Calls on our own SCTP's sockets: what each returns, in which state, with which errno; Linux's is the measure."""

from __future__ import annotations

from typing import Any

import pytest

from rawlab.endpoints.sctp import SctpError
from rawlab.endpoints.sockets import Answer
from rawlab.endpoints.sockets.sctp import getsockopt, receive, send, setsockopt
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SndRcvInfo
from rawlab.wire import sctp_notification
from tests.endpoints.hosts import SERVER, World


@pytest.fixture
def world() -> World:
    return World()


def write(world: World, socket: Any, data: bytes, **more: Any) -> Answer:
    """A message, which must be taken."""
    info = SndRcvInfo(**more) if more else None
    return world.returns(send(socket, data, "0", None, info))


def read(world: World, socket: Any, size: int = 65536, flags: str = "0") -> bytes:
    """What a read gives."""
    return world.returns(receive(socket, size, flags)).data


def errno_of(call: Any) -> str:
    """Of a call that never blocks, and must fail."""
    with pytest.raises(SctpError) as caught:
        call()
    return caught.value.errno


# ------------------------------------------------------------------------------------------- one-to-one


def test_an_echo(world: World) -> None:
    """connect, accept, write, read both ways; close ends the association for both, and reads return 0."""
    client, server = world.connected()
    assert write(world, client, b"hello").result == 5
    assert read(world, server) == b"hello"
    write(world, server, b"hello yourself")
    assert read(world, client) == b"hello yourself"
    assert client.peer == SERVER
    assert server.getpeername().address == Endpoint("10.0.0.1", client.port)
    assert client.state == server.state == "ESTABLISHED"
    world.returns(client.close())
    assert read(world, server) == b""
    assert read(world, server) == b""
    assert server.state == "CLOSED"


def test_accept_waits_for_an_association_and_gives_its_peer(world: World) -> None:
    """As long as nobody connects it waits; with O_NONBLOCK it says EAGAIN."""
    listener = world.server.listening(7)
    accepting = world.start(listener.accept())
    assert not accepting.over
    client = world.client.socket()
    world.returns(client.connect((SERVER,)))
    assert accepting.answer is not None
    assert accepting.answer.address == Endpoint("10.0.0.1", client.port)
    listener.nonblocking = True
    assert world.fails(listener.accept()) == "EAGAIN"


def test_what_came_before_accept_is_there_after_it(world: World) -> None:
    """Messages, and the association's end, wait with it in the queue."""
    listener, client = world.server.listening(7), world.client.socket()
    world.returns(client.connect((SERVER,)))
    write(world, client, b"early")
    world.returns(client.close())
    world.rest()
    accepted = world.returns(listener.accept()).made
    assert accepted is not None
    assert read(world, accepted) == b"early"
    assert read(world, accepted) == b""


def test_nobody_listens(world: World) -> None:
    """connect fails with ECONNREFUSED, and the socket may try again."""
    client = world.client.socket()
    assert world.fails(client.connect((SERVER,))) == "ECONNREFUSED"
    world.server.listening(7)
    world.returns(client.connect((SERVER,)))
    assert client.state == "ESTABLISHED"


def test_nobody_answers(world: World) -> None:
    """connect fails with ETIMEDOUT when INIT was sent as often as SCTP_INITMSG says."""
    world.lost = lambda packet, _: True
    client = world.client.socket()
    world.set(client, "SCTP_INITMSG", 0, 0, 3, 0)
    assert world.fails(client.connect((SERVER,))) == "ETIMEDOUT"
    assert len(world.seen) == 1 + 3


def test_a_connect_that_must_not_wait(world: World) -> None:
    """EINPROGRESS; EALREADY in between; then poll says POLLOUT, and SO_ERROR 0."""
    world.server.listening(7)
    client = world.client.socket()
    client.nonblocking = True
    assert world.fails(client.connect((SERVER,))) == "EINPROGRESS"
    polled = world.returns(world.client.sockets.poll([(client, "POLLOUT")], 1000))
    assert (polled.result, polled.value) == (1, ("POLLOUT",))
    assert getsockopt(client, "SO_ERROR", (0,)).value == ("0",)
    assert world.fails(client.connect((SERVER,))) == "EISCONN"


def test_a_connect_that_must_not_wait_and_is_refused(world: World) -> None:
    """poll says so, unasked, and SO_ERROR why, once."""
    client = world.client.socket()
    client.nonblocking = True
    assert world.fails(client.connect((SERVER,))) == "EINPROGRESS"
    polled = world.returns(world.client.sockets.poll([(client, "POLLOUT")], 1000))
    assert "POLLERR" in str(polled.value[0])
    assert getsockopt(client, "SO_ERROR", (0,)).value == ("ECONNREFUSED",)
    assert getsockopt(client, "SO_ERROR", (0,)).value == ("0",)


def test_a_full_queue_refuses_the_next(world: World) -> None:
    """A backlog of 1 holds two; the third association is aborted."""
    listener = world.server.listening(7, backlog=1)
    clients = [world.client.socket() for _ in range(3)]
    for client in clients:
        world.start(client.connect((SERVER,)))
    world.rest()
    assert [client.state for client in clients] == ["ESTABLISHED", "ESTABLISHED", "CLOSED"]
    world.returns(listener.accept())
    world.returns(listener.accept())
    listener.nonblocking = True
    assert world.fails(listener.accept()) == "EAGAIN"


def test_the_peer_s_end_and_after(world: World) -> None:
    """Reads return 0, a write fails with EPIPE, again and again."""
    client, server = world.connected()
    world.returns(server.close())
    world.rest()
    assert read(world, client) == b""
    assert [world.fails(send(client, b"x", "0", None, None)) for _ in range(2)] == ["EPIPE", "EPIPE"]


def test_shutdown_knows_no_half_close(world: World) -> None:
    """SHUT_WR ends both directions: what was sent before arrives, then the peer reads 0 and can't write any more."""
    client, server = world.connected()
    write(world, client, b"the last")
    client.shutdown("SHUT_WR")
    assert world.fails(send(client, b"more", "0", None, None)) == "ESHUTDOWN"
    world.rest()
    assert read(world, server) == b"the last"
    assert read(world, server) == b""
    assert world.fails(send(server, b"too late", "0", None, None)) == "EPIPE"
    assert world.fails(receive(client, 100, "0")) == "ENOTCONN"  # Linux; it had not been told of a SHUTDOWN
    assert errno_of(lambda: client.shutdown("SHUT_WR")) == "ENOTCONN"


def test_an_abort_is_told_once(world: World) -> None:
    """SO_LINGER {1, 0} makes close abort: the peer's read fails with ECONNRESET, the next with ENOTCONN."""
    client, server = world.connected()
    world.set(client, "SO_LINGER", 1, 0)
    world.returns(client.close())
    assert world.fails(receive(server, 100, "0")) == "ECONNRESET"
    assert world.fails(receive(server, 100, "0")) == "ENOTCONN"


def test_close_with_unread_data_aborts(world: World) -> None:
    """Who sent it shall know that nobody read it."""
    client, server = world.connected()
    write(world, client, b"unread")
    world.returns(server.close())
    assert world.fails(receive(client, 100, "0")) == "ECONNRESET"


def test_close_without_unread_data_does_not(world: World) -> None:
    """What was sent is delivered before the association ends, though nobody holds the socket any more."""
    client, server = world.connected()
    for number in range(200):
        write(world, client, bytes([number]) * 1000)
    world.returns(client.close())
    assert [read(world, server)[0] for _ in range(200)] == list(range(200))
    assert read(world, server) == b""
    assert not list(world.client.sockets)


def test_close_with_a_linger_time_waits_for_the_end(world: World) -> None:
    """It returns when the association has ended, or the time is over."""
    client, _ = world.connected()
    world.set(client, "SO_LINGER", 1, 3)
    world.lost = lambda packet, destination: True
    begun = world.now_ns
    world.returns(client.close())
    assert world.now_ns - begun >= 3_000_000_000


def test_a_socket_that_two_processes_hold_is_closed_by_the_last(world: World) -> None:
    """As fork(2) has it."""
    client, server = world.connected()
    client.holders += 1
    world.returns(client.close())
    assert client.state == "ESTABLISHED"
    world.returns(client.close())
    assert read(world, server) == b""


def test_the_port_is_free_again_after_close(world: World) -> None:
    """While it is held, bind fails with EADDRINUSE."""
    listener, other = world.server.listening(7), world.server.socket()
    assert errno_of(lambda: other.bind(Endpoint("0.0.0.0", 7))) == "EADDRINUSE"
    world.returns(listener.close())
    other.bind(Endpoint("0.0.0.0", 7))
    assert other.getsockname().address == Endpoint("0.0.0.0", 7)


# -------------------------------------------------------------------------------------------- messages


def test_a_small_buffer_takes_a_message_in_parts(world: World) -> None:
    """MSG_EOR comes with the last part; the next message is not touched."""
    client, server = world.connected()
    write(world, client, b"0123456789")
    write(world, client, b"next")
    taken = [world.returns(receive(server, 4, "0")) for _ in range(4)]
    assert [(part.data, part.flags) for part in taken] == [
        (b"0123", "0"),
        (b"4567", "0"),
        (b"89", "MSG_EOR"),
        (b"next", "MSG_EOR"),
    ]


def test_peeking_takes_nothing(world: World) -> None:
    """MSG_PEEK gives what the next read will give."""
    client, server = world.connected()
    write(world, client, b"hello")
    assert read(world, server, 3, "MSG_PEEK") == b"hel"
    assert read(world, server) == b"hello"


def test_a_read_waits_for_a_message_or_says_that_it_must_not(world: World) -> None:
    """MSG_DONTWAIT and O_NONBLOCK: EAGAIN."""
    client, server = world.connected()
    assert world.fails(receive(server, 100, "MSG_DONTWAIT")) == "EAGAIN"
    reading = world.start(receive(server, 100, "0"))
    assert not reading.over
    write(world, client, b"here")
    assert reading.answer is not None
    assert reading.answer.data == b"here"


def test_a_large_message_arrives_whole_though_packets_are_lost(world: World) -> None:
    """Fragments, retransmissions; the receiver sees one message."""
    client, server = world.connected()
    count = iter(range(100_000))
    world.lost = lambda packet, _: len(packet) > 1000 and next(count) % 7 == 3
    message = bytes(range(256)) * 400
    sending = world.start(send(client, message, "0", None, None))
    assert read(world, server, 1 << 20) == message
    assert sending.over


def test_a_write_waits_for_room(world: World) -> None:
    """A peer that does not read, and a full send buffer: the write waits; with MSG_DONTWAIT it says EAGAIN."""
    listener = world.server.socket()
    world.set(listener, "SO_RCVBUF", 5000)
    listener.bind(Endpoint("0.0.0.0", 7))
    listener.listen(1)
    client = world.client.socket()
    world.set(client, "SO_SNDBUF", 5000)
    world.returns(client.connect((SERVER,)))
    server = world.returns(listener.accept()).made
    assert server is not None
    waiting = world.start(send(client, bytes(4000), "0", None, None))
    taken = 0
    while waiting.over:
        taken += 1
        waiting = world.start(send(client, bytes(4000), "0", None, None))
    assert taken > 1
    assert world.fails(send(client, bytes(4000), "MSG_DONTWAIT", None, None)) == "EAGAIN"
    for _ in range(taken + 1):
        assert read(world, server) == bytes(4000)
    assert waiting.over


@pytest.mark.parametrize(
    ("data", "info", "errno"),
    [
        (b"", None, "EINVAL"),
        (b"x", SndRcvInfo(stream=10), "EINVAL"),
        (b"x", SndRcvInfo(flags="SCTP_EOF"), "EINVAL"),
        (b"", SndRcvInfo(flags="SCTP_ABORT"), "EINVAL"),
        (bytes((1 << 20) + 1), None, "EMSGSIZE"),
    ],
)
def test_what_no_message_may_be(world: World, data: bytes, info: SndRcvInfo | None, errno: str) -> None:
    """Empty, of a stream that does not exist, larger than the send buffer; one-to-one: an end."""
    client, _ = world.connected()
    assert world.fails(send(client, data, "0", None, info)) == errno


def test_a_message_says_its_stream_only_to_who_asked(world: World) -> None:
    """A struct sctp_sndrcvinfo comes with it if SCTP_EVENTS says data_io, as on Linux."""
    client, server = world.connected()
    write(world, client, b"first", stream=3, ppid=7)
    assert world.returns(receive(server, 100, "0")).info is None
    world.set(server, "SCTP_EVENTS", 1)
    write(world, client, b"second", stream=3, ppid=7)
    write(world, client, b"third", stream=4, flags="SCTP_UNORDERED")
    info = world.returns(receive(server, 100, "0")).info
    assert info is not None
    assert (info.stream, info.ssn, info.ppid, info.flags) == (3, 1, 7, "0")
    info = world.returns(receive(server, 100, "0")).info
    assert info is not None
    assert (info.stream, info.flags) == (4, "SCTP_UNORDERED")


# ----------------------------------------------------------------------------------------- one-to-many


def test_one_socket_many_associations(world: World) -> None:
    """A message to an address makes an association; the reader learns by which one each came, and answers there."""
    server = world.server.listening(7, "SOCK_SEQPACKET")
    world.set(server, "SCTP_EVENTS", 1)
    clients = [world.client.socket("SOCK_SEQPACKET") for _ in range(3)]
    for number, client in enumerate(clients):
        world.returns(send(client, b"from %d" % number, "0", SERVER, None))
    ids = set()
    for _ in clients:
        came = world.returns(receive(server, 100, "0"))
        assert came.info is not None
        ids.add(came.info.assoc_id)
        world.returns(send(server, b"to " + came.data, "0", None, SndRcvInfo(assoc_id=came.info.assoc_id)))
    assert [read(world, client) for client in clients] == [b"to from %d" % number for number in range(3)]
    assert set(server.associations) == ids
    assert server.state is None
    assert errno_of(lambda: next(server.accept())) == "EOPNOTSUPP"
    assert world.fails(send(server, b"to nobody", "0", None, None)) == "EPIPE"


def test_the_first_message_goes_with_the_third_step(world: World) -> None:
    """And sendmsg returns when the association is up."""
    server = world.server.listening(7, "SOCK_SEQPACKET")
    client = world.client.socket("SOCK_SEQPACKET")
    assert world.returns(send(client, b"first", "0", SERVER, None)).result == 5
    assert [packet[12] for packet in world.seen[:4]] == [1, 2, 10, 11]  # INIT, INIT ACK, COOKIE ECHO, COOKIE ACK
    assert world.seen[2].endswith(b"first\0\0\0")
    assert read(world, server) == b"first"


def test_a_first_message_to_who_refuses_is_taken_and_lost(world: World) -> None:
    """As on Linux: its length is returned, and the next read says why it did not arrive."""
    client = world.client.socket("SOCK_SEQPACKET")
    assert world.returns(send(client, b"first", "0", SERVER, None)).result == 5
    assert world.fails(receive(client, 100, "0")) == "ECONNREFUSED"


def test_a_message_may_end_its_association(world: World) -> None:
    """SCTP_EOF shuts it down, SCTP_ABORT aborts it with the message as the reason; the others live on."""
    server = world.server.listening(7, "SOCK_SEQPACKET")
    client = world.client.socket("SOCK_SEQPACKET")
    other = world.client.socket("SOCK_SEQPACKET")
    for socket in (client, other):
        world.returns(send(socket, b"first", "0", SERVER, None))
        assert read(world, server) == b"first"
    assert world.returns(send(client, b"", "0", SERVER, SndRcvInfo(flags="SCTP_EOF"))).result == 0
    world.rest()
    assert len(server.associations) == 1
    world.returns(send(other, b"enough", "0", SERVER, SndRcvInfo(flags="SCTP_ABORT")))
    assert world.fails(receive(server, 100, "0")) == "ECONNRESET"
    assert not server.associations


def test_peeling_off_makes_a_one_to_one_socket(world: World) -> None:
    """It takes the association and what had come by it."""
    server = world.server.listening(7, "SOCK_SEQPACKET")
    first, second = (world.client.socket("SOCK_SEQPACKET") for _ in range(2))
    world.returns(send(first, b"from the first", "0", SERVER, None))
    world.returns(send(second, b"from the second", "0", SERVER, None))
    id = list(server.associations)[1]
    peeled = getsockopt(server, "SCTP_SOCKOPT_PEELOFF", (id, 0)).made
    assert peeled is not None
    assert read(world, peeled) == b"from the second"
    assert read(world, server) == b"from the first"
    write(world, peeled, b"to the second")
    assert read(world, second) == b"to the second"
    assert list(server.associations) != [id]
    assert errno_of(lambda: getsockopt(server, "SCTP_SOCKOPT_PEELOFF", (id, 0))) == "EINVAL"


# --------------------------------------------------------------------------------------- notifications


def test_notifications_come_between_messages_to_who_subscribed(world: World) -> None:
    """Up, the peer's SHUTDOWN, the end; marked MSG_NOTIFICATION, in the order of what happened."""
    server = world.server.listening(7, "SOCK_SEQPACKET")
    world.set(server, "SCTP_EVENTS", 0, 1, 0, 0, 0, 1)
    client = world.client.socket("SOCK_SEQPACKET")
    world.returns(send(client, b"hello", "0", SERVER, None))
    world.returns(client.close())
    world.rest()
    told = []
    while server.queue:
        came = world.returns(receive(server, 1000, "0"))
        words = sctp_notification.words(came.data) if "MSG_NOTIFICATION" in came.flags else came.data.decode()
        told.append((words or "").partition(",")[0])
        assert came.flags.startswith("MSG_EOR")
    assert told == [
        "SCTP_ASSOC_CHANGE: SCTP_COMM_UP",
        "hello",
        "SCTP_SHUTDOWN_EVENT: assoc 1",
        "SCTP_ASSOC_CHANGE: SCTP_SHUTDOWN_COMP",
    ]


def test_a_refused_association_could_not_be_started(world: World) -> None:
    """SCTP_CANT_STR_ASSOC, before the error that read returns."""
    client = world.client.socket("SOCK_SEQPACKET")
    world.set(client, "SCTP_EVENTS", 0, 1)
    world.returns(send(client, b"first", "0", SERVER, None))
    assert "SCTP_CANT_STR_ASSOC" in (sctp_notification.words(read(world, client)) or "")
    assert world.fails(receive(client, 100, "0")) == "ECONNREFUSED"


# ----------------------------------------------------------------------------------------------- options


def test_initmsg_says_how_many_streams(world: World) -> None:
    """Each direction has as many as its sender offered and its receiver allows."""
    listener = world.server.socket()
    world.set(listener, "SCTP_INITMSG", 4, 3, 0, 0)
    listener.bind(Endpoint("0.0.0.0", 7))
    listener.listen(1)
    client = world.client.socket()
    world.set(client, "SCTP_INITMSG", 5, 9, 0, 0)
    world.returns(client.connect((SERVER,)))
    association = client.association
    assert association is not None
    assert (association.streams_out, association.streams_in) == (3, 4)
    assert getsockopt(client, "SCTP_INITMSG", ()).value[:2] == (5, 9)


def test_status_says_the_state_and_the_primary_path(world: World) -> None:
    """EINVAL where there is no association."""
    client, _ = world.connected()
    assert errno_of(lambda: getsockopt(world.client.socket(), "SCTP_STATUS", (0,))) == "EINVAL"
    id, state, _, _, _, streams_in, streams_out, _, _, path, path_state, *_ = getsockopt(
        client, "SCTP_STATUS", (0,)
    ).value
    assert (id, state) == (1, "SCTP_ESTABLISHED")
    assert (streams_in, streams_out) == (10, 10)
    assert (path, path_state) == (SERVER, "SCTP_ACTIVE")


def test_retransmission_times_of_the_socket_are_those_of_its_associations(world: World) -> None:
    """A member that is 0 changes nothing; RTO.Min above RTO.Max is EINVAL."""
    client = world.client.socket()
    world.set(client, "SCTP_RTOINFO", 0, 200, 800, 100)
    world.set(client, "SCTP_RTOINFO", 0, 0, 900, 0)
    assert getsockopt(client, "SCTP_RTOINFO", (0,)).value == (0, 200, 900, 100)
    assert world.fails(setsockopt(client, "SCTP_RTOINFO", (0, 0, 100, 200))) == "EINVAL"
    world.lost = lambda packet, _: True
    connecting = world.start(client.connect((SERVER,)))
    assert world.client.host.deadline_ns == world.now_ns + 200_000_000
    assert not connecting.over


def test_retransmission_times_of_an_association_that_is_up(world: World) -> None:
    """From the next measurement on, they are its paths', and the socket's default is as before."""
    client, _ = world.connected()
    world.set(client, "SCTP_RTOINFO", 0, 0, 300, 100)
    write(world, client, b"measured")
    world.rest(1)
    world.lost = lambda packet, _: True
    world.seen.clear()
    write(world, client, b"lost")
    world.rest(2)
    assert 5 < len(world.seen) < 10  # after 100, 200, 300, 300, … ms


def test_bindx_removes_addresses(world: World) -> None:
    """But not the last one."""
    listener = world.server.listening(7)
    world.set(listener, "SCTP_SOCKOPT_BINDX_REM", Endpoint("10.0.0.2", 7))
    assert world.fails(setsockopt(listener, "SCTP_SOCKOPT_BINDX_REM", (Endpoint("10.0.1.2", 7),))) == "EBUSY"
    assert world.fails(world.client.socket().connect((SERVER,))) == "ECONNREFUSED"
    world.returns(world.client.socket().connect((Endpoint("10.0.1.2", 7),)))
    world.set(listener, "SCTP_SOCKOPT_BINDX_ADD", Endpoint("10.0.0.2", 7))
    world.returns(world.client.socket().connect((SERVER,)))


def test_bindx_adds_addresses(world: World) -> None:
    """The INIT ACK offers them all to the peer."""
    listener = world.server.socket()
    listener.bind(Endpoint("10.0.0.2", 7))
    world.set(listener, "SCTP_SOCKOPT_BINDX_ADD", Endpoint("10.0.1.2", 7))
    listener.listen(1)
    client = world.client.socket()
    client.bind(Endpoint("10.0.0.1", 0))
    world.returns(client.connect((SERVER,)))
    association = client.association
    assert association is not None
    assert set(association.peer_addresses) == {"10.0.0.2", "10.0.1.2"}
    _, count, ends = getsockopt(client, "SCTP_GET_PEER_ADDRS", (0,)).value
    assert count == 2
    assert Endpoint("10.0.1.2", 7) in ends  # type: ignore[operator]
    world.set(client, "SCTP_PRIMARY_ADDR", 0, Endpoint("10.0.1.2", 7))
    assert association.peer.address == "10.0.1.2"


def test_heartbeats_are_asked_for_by_path(world: World) -> None:
    """SPP_HB_DEMAND sends one now; a path that does not exist is EINVAL."""
    client, _ = world.connected()
    world.rest()
    world.seen.clear()
    world.set(client, "SCTP_PEER_ADDR_PARAMS", 0, SERVER, 0, 0, 0, 0, "SPP_HB_DEMAND")
    assert [packet[12] for packet in world.seen] == [4, 5]
    wrong = (0, Endpoint("10.0.0.9", 7), 0, 0, 0, 0, "SPP_HB_DEMAND")
    assert world.fails(setsockopt(client, "SCTP_PEER_ADDR_PARAMS", wrong)) == "EINVAL"


@pytest.mark.parametrize(("optname", "value"), [("SCTP_NODELAY", (1,)), ("SO_REUSEADDR", (1,)), ("SO_LINGER", (1, 5))])
def test_what_was_set_is_got(world: World, optname: str, value: tuple[int, ...]) -> None:
    """For options that are kept as they are."""
    client = world.client.socket()
    world.set(client, optname, *value)
    got = getsockopt(client, optname, (0,)).value
    assert (got[0] if isinstance(got[0], tuple) else got) in (value, *value)


def test_an_unknown_option_and_a_wrong_struct_are_refused(world: World) -> None:
    """ENOPROTOOPT, EINVAL."""
    client = world.client.socket()
    assert world.fails(setsockopt(client, "SCTP_WHATEVER", (1,))) == "ENOPROTOOPT"
    assert errno_of(lambda: getsockopt(client, "77", (0,))) == "ENOPROTOOPT"
    assert world.fails(setsockopt(client, "SCTP_NODELAY", (1, 2, 3))) == "EINVAL"


# ----------------------------------------------------------------------------------- what must not be


def test_calls_in_the_wrong_state(world: World) -> None:
    """Each with the errno of Linux."""
    client, server = world.connected()
    listener = next(known for known in world.server.sockets if known.listening)
    fresh = world.client.socket()
    assert errno_of(lambda: client.bind(Endpoint("0.0.0.0", 9))) == "EINVAL"
    assert errno_of(lambda: fresh.bind(Endpoint("10.0.0.99", 9))) == "EADDRNOTAVAIL"
    assert errno_of(lambda: fresh.bind(Endpoint("fd00::1", 9))) == "EINVAL"
    assert errno_of(lambda: client.listen(1)) == "EINVAL"
    assert errno_of(fresh.getpeername) == "ENOTCONN"
    assert world.fails(fresh.accept()) == "EINVAL"
    assert world.fails(client.connect((SERVER,))) == "EISCONN"
    assert world.fails(listener.connect((SERVER,))) == "EISCONN"
    assert world.fails(receive(listener, 1, "0")) == "ENOTCONN"
    assert world.fails(receive(fresh, 1, "0")) == "ENOTCONN"
    assert world.fails(send(listener, b"x", "0", None, None)) == "EPIPE"
    assert world.fails(send(fresh, b"x", "0", None, None)) == "EPIPE"
    assert world.fails(send(server, b"x", "0", Endpoint("10.0.0.9", 9), None)) == "EADDRNOTAVAIL"
    assert errno_of(lambda: world.client.sockets.socket("AF_INET", "SOCK_DGRAM")) == "ESOCKTNOSUPPORT"


def test_poll_waits_for_what_was_asked(world: World) -> None:
    """A listener with an association, a message, the end; and no longer than it was told."""
    listener = world.server.listening(7)
    polls = world.server.sockets.poll
    assert world.returns(polls([(listener, "POLLIN")], 50)).result == 0
    waiting = world.start(polls([(listener, "POLLIN")], -1))
    client, server = world.connected()
    assert waiting.answer is not None
    assert waiting.answer.value == ("POLLIN",)
    waiting = world.start(polls([(listener, "POLLIN"), (server, "POLLIN")], -1))
    assert not waiting.over
    write(world, client, b"x")
    assert waiting.answer is not None
    assert waiting.answer.value == ("0", "POLLIN")
    read(world, server)
    world.returns(client.close())
    world.rest()
    assert world.returns(polls([(server, "POLLIN|POLLRDHUP")], 0)).value != ("0",)
