"""What seldom happens between our endpoint and a kernel's SCTP, made to happen: `python -m tests.sctp.cases [NAME …]`.

To be run where the kernel has SCTP. Prints for each case 'ok', or what went wrong, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from rawlab.endpoints.sctp import Association, Down, Message, PathChanged, Up
from rawlab.live import sctp_api
from rawlab.live.network import Network
from rawlab.model import sctp as m
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SndRcvInfo
from rawlab.wire import sndrcvinfo
from tests.sctp.meeting import SOL_SCTP, Meeting, chunk_types, writable
from tests.sctp.wire import KERNEL, KERNEL6, OURS, OURS6, PORT, SETTINGS, ends

_MS = 1_000_000
_OURS_TOO, _KERNEL_TOO = "10.0.0.4", "10.0.0.5"
_SNDRCV = 1


# ---------------------------------------------------------------- set-up


def we_are_refused(at: Meeting) -> None:
    """ABORT to our INIT."""
    at.local.associate(Endpoint(KERNEL, 9), at.now)
    assert at.event(Down).errno == "ECONNREFUSED"


def the_kernel_is_refused(at: Meeting) -> None:
    """ABORT to the kernel's INIT, for a port that is not open, and for one that does not listen."""
    for port in (9, PORT):
        client = at.kernel()
        client.connect_ex((OURS, port))
        at.until(partial(writable, client), "refusal")
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 111


def both_at_once(at: Meeting) -> None:
    """INITs that cross make one association (RFC 9260 section 5.2.1)."""
    client = at.kernel(at=Endpoint(KERNEL, PORT))
    association = at.local.associate(Endpoint(KERNEL, PORT), at.now)
    client.connect_ex((OURS, PORT))
    at.event(Up)
    at.until(partial(writable, client), "connect")
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    at.both_ways(association, client)
    assert list(at.local.associations.values()) == [association]
    at.ended(association, client)


def the_kernel_begins_anew(at: Meeting) -> None:
    """An INIT from the port of an association that lives: its peer has lost it (section 5.2.4, action A)."""
    at.local.listen()
    client = at.kernel(at=Endpoint(KERNEL, 5000))
    client.connect_ex((OURS, PORT))
    association = at.event(Up).association
    at.wire.passes = lambda outgoing, packet: m.ABORT not in chunk_types(packet)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, sctp_api.pack("SO_LINGER", (1, 0)))
    client.close()
    again = at.kernel(at=Endpoint(KERNEL, 5000))
    again.connect_ex((OURS, PORT))
    up = at.event(Up)
    assert up.restarted
    assert up.association is association
    at.both_ways(association, again)
    at.ended(association, again)


def we_begin_anew(at: Meeting) -> None:
    """The kernel tells its program of a restart."""
    _, connection = at.connected()
    old = at.wire.host
    at.wire.host = type(old)([OURS], old.entropy, at.now, SETTINGS)
    at.local = at.wire.host.open(PORT)
    association = at.local.associate(Endpoint(KERNEL, PORT), at.now)
    at.event(Up)
    assert at.told(connection, "SCTP_ASSOC_CHANGE: SCTP_RESTART")
    at.both_ways(association, connection)
    at.ended(association, connection)


def our_cookie_goes_stale(at: Meeting) -> None:
    """It comes too late, ERROR says so, and the kernel begins again (sections 5.2.6, 3.3.10.3)."""
    at.local.settings = replace(at.local.settings, cookie_life=300 * _MS)
    at.local.listen()
    until = at.now + 400 * _MS
    at.wire.passes = lambda outgoing, packet: m.COOKIE_ECHO not in chunk_types(packet) or at.now > until
    client = at.kernel()
    client.connect_ex((OURS, PORT))
    association = at.event(Up).association
    at.both_ways(association, client)
    at.ended(association, client)


def the_kernel_s_cookie_goes_stale(at: Meeting) -> None:
    """We begin again, and ask for a longer life of the cookie."""
    listener = at.listener()
    at.option(listener, "SCTP_ASSOCINFO", (0, 0, 0, 0, 0, 300))
    until = at.now + 400 * _MS
    at.wire.passes = lambda outgoing, packet: m.COOKIE_ECHO not in chunk_types(packet) or at.now > until
    association = at.local.associate(Endpoint(KERNEL, PORT), at.now)
    at.event(Up)
    connection = at.accept(listener)
    at.both_ways(association, connection)
    at.ended(association, connection)


def nobody_answers(at: Meeting) -> None:
    """T1-init runs out."""
    at.wire.passes = lambda outgoing, packet: False
    at.local.associate(Endpoint(KERNEL, PORT), at.now, max_attempts=3)
    assert at.event(Down).errno == "ETIMEDOUT"


def over_ipv6(at: Meeting) -> None:
    """Another header, the same words."""
    listener = at.listener(address=KERNEL6)
    association = at.local.associate(Endpoint(KERNEL6, PORT), at.now)
    at.event(Up)
    connection = at.accept(listener)
    at.both_ways(association, connection)
    at.ended(association, connection)


def with_every_extension(at: Meeting) -> None:
    """AUTH, ASCONF, RE-CONFIG, I-DATA, FORWARD-TSN and ECN, which the kernel offers and we have not: as without."""
    with at.network.inside("client"):
        for name in ("auth", "addip", "reconf", "intl", "prsctp", "ecn"):
            with open(f"/proc/sys/net/sctp/{name}_enable", "w") as setting:
                setting.write("1")
    association, connection = at.connected()
    at.both_ways(association, connection)
    at.ended(association, connection)
    at.local.listen()
    client = at.kernel()
    client.connect_ex((OURS, PORT))
    association = at.event(Up).association
    at.both_ways(association, client)
    connection = client
    large = bytes(range(256)) * 400
    association.send(large, now_ns=at.now)
    assert at.receive(connection)[0] == large
    at.ended(association, connection)


def many_at_once(at: Meeting) -> None:
    """A hundred associations with one port of ours, set up and ended together."""
    at.local.listen()
    clients = [at.kernel() for _ in range(100)]
    for client in clients:
        client.connect_ex((OURS, PORT))
    associations = [at.event(Up).association for _ in clients]
    assert len({association.peer.port for association in associations}) == 100
    for client in clients:
        client.send(client.getsockname()[1].to_bytes(2))
    for _ in clients:
        message = at.event(Message)
        assert message.data == message.association.peer.port.to_bytes(2)
    for association in associations:
        association.shutdown(at.now)
    assert [at.event(Down).errno for _ in clients] == [None] * 100
    assert not at.local.associations


# ---------------------------------------------------------------- data


def streams_and_identifiers(at: Meeting) -> None:
    """Stream, protocol identifier and the mark of unordered messages, both ways."""
    association, connection = at.connected()
    for number, unordered in ((0, False), (3, True), (9, False)):
        association.send(b"out", stream=number, ppid=number + 1, unordered=unordered, now_ns=at.now)
        _, info = at.receive(connection)
        assert info is not None
        assert (info.stream, info.ppid, info.flags == "SCTP_UNORDERED") == (number, number + 1, unordered)
        flags = "SCTP_UNORDERED" if unordered else "0"
        info = SndRcvInfo(stream=number, ppid=0xFFFFFFFF - number, flags=flags)
        connection.sendmsg([b"in"], [(SOL_SCTP, _SNDRCV, sndrcvinfo.pack(info))])
        came = at.event(Message)
        assert (came.stream, came.ppid, came.unordered) == (number, 0xFFFFFFFF - number, unordered)
    at.ended(association, connection)


def we_do_not_read(at: Meeting) -> None:
    """The window closes, is probed, and opens again; nothing is lost."""
    at.local.settings = replace(at.local.settings, receive_window=20_000)
    association, connection = at.connected()
    sent = 0
    deadline = at.now + 600 * _MS
    while at.now < deadline:
        if select.select([], [connection], [], 0)[1]:
            with contextlib.suppress(BlockingIOError):
                sent += connection.send(sent.to_bytes(4) * 250)
        at.wire.turn()
    got = sum(len(one.data) for one in (*at.seen, *at.local.events) if isinstance(one, Message))
    assert got <= 21_000 < sent, (got, sent)
    taken = b""
    while len(taken) < sent:
        message = at.event(Message)
        taken += message.data
        association.consumed(len(message.data), at.now)
    assert taken == b"".join(number.to_bytes(4) * 250 for number in range(0, sent, 1000))
    at.ended(association, connection)


def the_kernel_does_not_read(at: Meeting) -> None:
    """Our send buffer fills up, and empties when it reads."""
    association, connection = at.connected()
    sent = 0
    deadline = at.now + 600 * _MS
    while at.now < deadline:
        while association.room >= 10_000:
            association.send(sent.to_bytes(4) * 2500, now_ns=at.now)
            sent += 10_000
        at.wire.turn()
    assert association.peer_rwnd < 10_000
    taken = b""
    while len(taken) < sent:
        taken += at.receive(connection)[0]
    assert taken == b"".join(number.to_bytes(4) * 2500 for number in range(0, sent, 10_000))
    at.ended(association, connection)


# ---------------------------------------------------------------- the end


def the_kernel_aborts(at: Meeting) -> None:
    """With a reason that its program gave."""
    server = at.listener(kind=socket.SOCK_SEQPACKET)
    association = at.local.associate(Endpoint(KERNEL, PORT), at.now)
    association.send(b"hello", now_ns=at.now)
    _, info = at.receive(server)
    assert info is not None
    end = SndRcvInfo(flags="SCTP_ABORT", assoc_id=info.assoc_id)
    server.sendmsg([b"why not"], [(SOL_SCTP, _SNDRCV, sndrcvinfo.pack(end))])
    down = at.event(Down)
    assert (down.errno, down.reason) == ("ECONNRESET", b"why not")


def we_abort(at: Meeting) -> None:
    """The kernel's program is told the cause."""
    association, connection = at.connected()
    association.abort(at.now, b"enough")
    assert at.told(connection, "SCTP_ASSOC_CHANGE: SCTP_COMM_LOST").startswith(
        "SCTP_ASSOC_CHANGE: SCTP_COMM_LOST, error 12"
    )


def both_shut_down_at_once(at: Meeting) -> None:
    """SHUTDOWNs that cross (section 9.2)."""
    association, connection = at.connected()
    at.both_ways(association, connection)
    time.sleep(0.3)  # until SACKs are sent
    at.until(lambda: not association.busy, "quiet")
    association.shutdown(at.now)
    connection.shutdown(socket.SHUT_WR)
    assert at.event(Down).errno is None
    assert at.told(connection, "SCTP_ASSOC_CHANGE: SCTP_SHUTDOWN_COMP")


def the_kernel_shuts_down_with_data_on_the_way(at: Meeting) -> None:
    """We send all that is queued first, then SHUTDOWN ACK."""
    association, connection = at.connected()
    for number in range(100):
        association.send(number.to_bytes(2) * 500, now_ns=at.now)
    connection.shutdown(socket.SHUT_WR)
    for number in range(100):
        assert at.receive(connection)[0] == number.to_bytes(2) * 500
    assert at.event(Down).errno is None


def the_last_chunks_are_lost(at: Meeting) -> None:
    """SHUTDOWN, SHUTDOWN ACK and SHUTDOWN COMPLETE, each the first time (T2-shutdown)."""
    association, connection = at.connected()
    lost: set[int] = set()

    def first_lost(outgoing: bool, packet: bytes) -> bool:
        kinds = {m.SHUTDOWN, m.SHUTDOWN_ACK, m.SHUTDOWN_COMPLETE} & set(chunk_types(packet)) - lost
        lost.update(kinds)
        return not kinds

    at.wire.passes = first_lost
    association.shutdown(at.now)
    assert at.event(Down).errno is None
    assert at.told(connection, "SCTP_ASSOC_CHANGE: SCTP_SHUTDOWN_COMP")


# ---------------------------------------------------------------- paths


def heartbeats(at: Meeting) -> None:
    """Ours are answered, and we answer the kernel's."""
    association, connection = at.connected()
    seen: list[tuple[bool, int]] = []

    def noted(outgoing: bool, packet: bytes) -> bool:
        seen.extend((outgoing, kind) for kind in chunk_types(packet))
        return True

    at.wire.passes = noted
    association.heartbeat(at.now)
    at.until(lambda: (False, m.HEARTBEAT_ACK) in seen, "HEARTBEAT ACK")
    at.option(connection, "SCTP_PEER_ADDR_PARAMS", (0, Endpoint(OURS, PORT), 0, 0, 0, 0, "SPP_HB_DEMAND"))
    at.until(lambda: (True, m.HEARTBEAT_ACK) in seen, "our HEARTBEAT ACK")
    assert (True, m.HEARTBEAT) in seen
    at.ended(association, connection)


def _multihomed(at: Meeting) -> tuple[Association, socket.socket]:
    listener = at.listener()
    at.option(listener, "SCTP_SOCKOPT_BINDX_ADD", (Endpoint(_KERNEL_TOO, PORT),))
    association = at.local.associate(Endpoint(KERNEL, PORT), at.now)
    at.event(Up)
    connection = at.accept(listener)
    assert set(association.peer_addresses) == {KERNEL, _KERNEL_TOO}
    at.until(lambda: all(path.confirmed for path in association.paths), "confirmed paths")
    at.until(lambda: at.path(connection, _OURS_TOO) == "SCTP_ACTIVE", "the kernel's confirmed paths")
    at.both_ways(association, connection)
    return association, connection


def our_path_fails(at: Meeting) -> None:
    """What we send goes to the kernel's other address."""
    association, connection = _multihomed(at)
    gone = socket.inet_aton(KERNEL)
    at.wire.passes = lambda outgoing, packet: gone not in ends(packet)
    association.settings = replace(association.settings, path_max_retrans=1)
    association.send(b"by another way", now_ns=at.now)
    assert at.receive(connection)[0] == b"by another way"
    changed = at.event(PathChanged)
    assert (changed.address, changed.reachable) == (KERNEL, False)
    at.wire.passes = lambda outgoing, packet: True
    association.heartbeat(at.now, KERNEL)
    back = at.event(PathChanged)
    assert (back.address, back.reachable) == (KERNEL, True)
    at.ended(association, connection)


def the_kernel_s_path_fails(at: Meeting) -> None:
    """What the kernel sends comes to our other address."""
    association, connection = _multihomed(at)
    gone = socket.inet_aton(OURS)
    at.wire.passes = lambda outgoing, packet: gone not in ends(packet)
    connection.send(b"by another way")
    assert at.event(Message).data == b"by another way"
    association.send(b"and back", now_ns=at.now)
    assert at.receive(connection)[0] == b"and back"
    at.wire.passes = lambda outgoing, packet: True
    at.ended(association, connection)


def one_to_many(at: Meeting) -> None:
    """Associations that the kernel's program makes by sending, and ends by SCTP_EOF."""
    at.local.listen()
    client = at.kernel(socket.SOCK_SEQPACKET)
    client.sendto(b"hello", (OURS, PORT))
    came = at.event(Message)
    came.association.send(b"echo", now_ns=at.now)
    data, info = at.receive(client)
    assert data == b"echo"
    assert info is not None
    end = SndRcvInfo(flags="SCTP_EOF", assoc_id=info.assoc_id)
    client.sendmsg([], [(SOL_SCTP, _SNDRCV, sndrcvinfo.pack(end))])
    assert at.event(Down).errno is None


CASES: dict[str, Callable[[Meeting], None]] = {
    case.__name__: case
    for case in (
        we_are_refused,
        the_kernel_is_refused,
        both_at_once,
        the_kernel_begins_anew,
        we_begin_anew,
        our_cookie_goes_stale,
        the_kernel_s_cookie_goes_stale,
        nobody_answers,
        over_ipv6,
        with_every_extension,
        many_at_once,
        streams_and_identifiers,
        we_do_not_read,
        the_kernel_does_not_read,
        the_kernel_aborts,
        we_abort,
        both_shut_down_at_once,
        the_kernel_shuts_down_with_data_on_the_way,
        the_last_chunks_are_lost,
        heartbeats,
        our_path_fails,
        the_kernel_s_path_fails,
        one_to_many,
    )
}
MULTIHOMED = ("our_path_fails", "the_kernel_s_path_fails")


def _network() -> Network:
    """Two hosts; the kernel's has a second address, and knows where both of ours are."""
    network = Network()
    with network.inside("client"):
        for words in (
            f"addr add {_KERNEL_TOO}/24 dev client",
            f"neigh add {_OURS_TOO} lladdr 02:00:00:00:00:02 dev client nud permanent",
        ):
            subprocess.run(["ip", *words.split()], check=True)
    return network


def main(names: list[str]) -> None:
    told = {}
    for name in names or CASES:
        addresses = (OURS, _OURS_TOO) if name in MULTIHOMED else (OURS6,) if name == "over_ipv6" else (OURS,)
        try:
            CASES[name](Meeting(_network(), addresses))
            told[name] = "ok"
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)
            lines = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(where))
            told[name] = f"{type(error).__name__}: {error} at {lines}"
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
