"""What the passive side makes of INITs and COOKIE ECHOs: section 5.2's tables, and what a forger may not get."""

from __future__ import annotations

import pytest

from rawlab.endpoints.sctp import Message, SendFailed, Settings, Up
from rawlab.model import sctp as m
from rawlab.model.sctp import SctpError, SctpInit
from rawlab.model.states import SctpState
from rawlab.wire import sctp_build as build
from tests.endpoints.sctp.crafted import CLIENT, MS, SECOND, SERVER, TAG, TSN, Crafted, chunk, data, names
from tests.endpoints.sctp.network import pair


def test_an_init_ack_is_three_times_the_smallest_init() -> None:
    """And not an octet more, though an INIT is not proven to come from where it says."""
    peer = Crafted()
    assert names(peer.init()) == ["INIT ACK"]
    assert peer.octets == 96


@pytest.mark.parametrize("parameters", [
    (),
    (build.parameter(0xC123, b"1234"),) * 20,
    (build.parameter(0xC123),) * 20,
    tuple(build.address(f"10.0.1.{n}") for n in range(1, 60)),
    (build.parameter(11, b"name"),),
    (build.parameter(9, b"\xff" * 4),),
])  # fmt: skip
def test_no_answer_to_an_init_is_larger_than_three_times_it(parameters: tuple[bytes, ...]) -> None:
    """Also not where the host has many addresses of its own to tell."""
    addresses = [SERVER, *(f"10.0.0.{n}" for n in range(10, 40))]
    peer = Crafted(addresses=addresses)
    peer.init(*parameters)
    assert 0 < peer.octets <= 3 * (32 + sum(map(len, parameters)))


@pytest.mark.parametrize(("fields", "cause"), [
    ({"streams": (0, 1)}, 7), ({"streams": (1, 0)}, 7), ({"window": 1499}, 7),
])  # fmt: skip
def test_an_init_that_says_nonsense_is_aborted(fields: dict[str, object], cause: int) -> None:
    """Under its own tag (section 3.3.2); nothing stays."""
    peer = Crafted()
    (answer,) = peer.init(**fields)  # type: ignore[arg-type]
    error = chunk([answer], m.ABORT)
    assert isinstance(error, SctpError)
    assert answer.verification_tag == TAG
    assert [one.type for one in error.causes] == [cause]


@pytest.mark.parametrize("fields", [{"tag": 0}, {"verification": 5, "to": 7}])
def test_an_init_that_is_not_answered(fields: dict[str, int]) -> None:
    """Without a tag of its own (RFC 9260 section 3.3.2), or under one (section 8.5.1 A)."""
    peer = Crafted()
    answers = peer.init(**fields)  # type: ignore[arg-type]
    assert names(answers) == ([] if "tag" in fields else ["ABORT"])  # the second is one out of the blue
    assert not peer.listener.associations


def test_an_init_with_company_is_thrown_away() -> None:
    """Section 6.10."""
    peer = Crafted()
    init = build.init(m.INIT, TAG, 5000, 1, 1, TSN)
    assert peer.send(init, data(TSN), tag=0) == []
    assert peer.send(data(TSN), init, tag=0) == []


def test_unknown_parameters_of_an_init() -> None:
    """01 and 11: told back; 00 and 01: nothing behind them is read (section 3.2.1)."""
    peer = Crafted()
    unknown = [build.parameter(kind, b"abcd") for kind in (0x8005, 0xC005, 0x4005, 0xC006)]
    ack = chunk(peer.init(*unknown), m.INIT_ACK)
    assert isinstance(ack, SctpInit)
    told = [one.value for one in ack.parameters if one.type == build.UNRECOGNIZED]
    assert told == unknown[1:3]
    assert names(peer.send(build.cookie_echo(peer.cookie))) == ["COOKIE ACK"]


def test_a_host_name_cannot_be_resolved() -> None:
    """ABORT, Unresolvable Address, with the parameter (section 5.1.2)."""
    peer = Crafted()
    name = build.parameter(11, b"host.example\0")
    error = chunk(peer.init(name), m.ABORT)
    assert isinstance(error, SctpError)
    assert [(one.type, one.value) for one in error.causes] == [(5, name)]


@pytest.mark.parametrize("place", [0, 8, 12, 20, 30, 43, 44, 50, 59])
def test_a_forged_cookie_is_no_cookie(place: int) -> None:
    """Whatever octet is changed: no answer, no association."""
    peer = Crafted()
    peer.init()
    forged = bytearray(peer.cookie)
    forged[place] ^= 1
    assert peer.send(build.cookie_echo(bytes(forged))) == []
    assert not peer.listener.associations


def test_a_cookie_is_good_for_its_ports_tag_and_source_alone() -> None:
    """Section 5.1.5."""
    peer = Crafted()
    peer.init()
    echo = build.cookie_echo(peer.cookie)
    assert peer.send(echo, tag=peer.peer_tag + 1) == []
    assert peer.send(echo, port=40001) == []
    assert peer.send(echo, source="10.0.0.77") == []
    assert peer.send(build.cookie_echo(peer.cookie[:-1])) == []
    assert peer.send(build.cookie_echo(b"")) == []
    assert names(peer.send(echo)) == ["COOKIE ACK"]


def test_a_cookie_too_old() -> None:
    """ERROR with how many µs too old (section 5.2.4), smaller than what asked for it."""
    peer = Crafted()
    peer.init()
    peer.wait(61 * SECOND)
    echo = build.cookie_echo(peer.cookie)
    (answer,) = peer.send(echo)
    error = chunk([answer], m.ERROR)
    assert isinstance(error, SctpError)
    assert [(one.type, int.from_bytes(one.value, "big")) for one in error.causes] == [(3, 1_000_000)]
    assert answer.verification_tag == TAG
    assert peer.octets < 12 + len(echo)


def test_a_longer_life_for_a_cookie() -> None:
    """Asked for in a Cookie Preservative, given up to twice the usual."""
    peer = Crafted()
    peer.init(build.parameter(9, (30_000).to_bytes(4, "big")))
    peer.wait(89 * SECOND)
    assert names(peer.send(build.cookie_echo(peer.cookie))) == ["COOKIE ACK"]
    greedy = Crafted()
    greedy.init(build.parameter(9, b"\xff" * 4))
    greedy.wait(121 * SECOND)
    assert names(greedy.send(build.cookie_echo(greedy.cookie))) == ["ERROR"]


def test_no_more_associations_than_allowed() -> None:
    """INIT is refused, and so is a cookie that was given out before."""
    peer = Crafted(Settings(max_associations=1))
    peer.init(port=40001)
    early, tag = peer.cookie, peer.peer_tag
    peer.up()
    error = chunk(peer.init(port=40002), m.ABORT)
    assert isinstance(error, SctpError)
    assert [one.type for one in error.causes] == [4]
    assert names(peer.send(build.cookie_echo(early), tag=tag, port=40001)) == ["ABORT"]
    assert len(peer.listener.associations) == 1


# ---- section 5.2.4


def test_action_a_the_peer_restarted() -> None:
    """Same id, new tags, new TSNs; the program is told, and what was under way failed."""
    peer = Crafted()
    association = peer.up()
    number = association.id
    association.send(b"lost", now_ns=peer.now)
    assert names(peer.answers()) == ["DATA"]
    old = association.local_tag
    peer.tag = 0x22222222
    assert names(peer.init()) == ["INIT ACK"]
    assert association.local_tag == old
    assert names(peer.send(build.cookie_echo(peer.cookie), data(TSN, b"again"))) == ["COOKIE ACK + SACK"]
    assert (association.id, association.state) == (number, SctpState.ESTABLISHED)
    assert association.local_tag == peer.peer_tag != old
    assert [event.restarted for event in peer.listener.events if isinstance(event, Up)] == [False, True]
    assert [event.data for event in peer.listener.events if isinstance(event, SendFailed)] == [b"lost"]
    assert [event.data for event in peer.listener.events if isinstance(event, Message)] == [b"again"]


def test_a_restart_with_new_addresses_is_refused() -> None:
    """ABORT with the new addresses (section 5.2.2); the association goes on."""
    peer = Crafted()
    association = peer.up()
    new = build.address("10.0.0.66")
    error = chunk(peer.init(new, tag=9), m.ABORT)
    assert isinstance(error, SctpError)
    assert [(one.type, one.value) for one in error.causes] == [(11, new)]
    assert association.state is SctpState.ESTABLISHED


def test_a_restart_while_shutting_down_is_refused() -> None:
    """In SHUTDOWN-ACK-SENT an INIT, too, is answered with SHUTDOWN ACK (section 9.2)."""
    peer = Crafted()
    association = peer.up()
    assert names(peer.send(build.shutdown(peer.peer_tsn - 1))) == ["SHUTDOWN ACK"]
    assert names(peer.init(tag=9)) == ["SHUTDOWN ACK"]
    assert association.state is SctpState.SHUTDOWN_ACK_SENT


def test_a_cookie_of_a_restart_while_shutting_down() -> None:
    """SHUTDOWN ACK again, and an ERROR: Cookie Received While Shutting Down (section 5.2.4 action A)."""
    peer = Crafted()
    association = peer.up()
    old = peer.peer_tag
    peer.init(tag=9)
    new = peer.peer_tag
    peer.peer_tag = old
    assert names(peer.send(build.shutdown(association.outbound.acked & 0xFFFFFFFF))) == ["SHUTDOWN ACK"]
    assert names(peer.send(build.cookie_echo(peer.cookie), tag=new)) == ["SHUTDOWN ACK + ERROR"]
    assert association.state is SctpState.SHUTDOWN_ACK_SENT


def test_action_d_the_cookie_once_more() -> None:
    """COOKIE ACK again, nothing else; also if the cookie is too old by now."""
    peer = Crafted()
    association = peer.up()
    peer.wait(100 * SECOND)
    assert "COOKIE ACK" in names(peer.send(build.cookie_echo(peer.cookie)))
    assert association.state is SctpState.ESTABLISHED
    assert len([event for event in peer.listener.events if isinstance(event, Up)]) == 1


def test_a_cookie_of_before_the_association_was_renewed() -> None:
    """Neither tag nor tie-tags match: thrown away (the row of the table that is not there)."""
    peer = Crafted()
    peer.init(tag=5)
    early, tag = peer.cookie, peer.peer_tag
    association = peer.up()
    assert peer.send(build.cookie_echo(early), tag=tag) == []
    assert association.peer_tag == TAG


def test_action_c_a_late_cookie() -> None:
    """The peer's tag matches, ours does not, no tie-tags: thrown away."""
    peer = Crafted()
    peer.init()
    early, tag = peer.cookie, peer.peer_tag
    association = peer.up()
    assert association.local_tag != tag
    assert peer.send(build.cookie_echo(early), tag=tag) == []
    assert association.local_tag == peer.peer_tag


@pytest.mark.parametrize("state", [SctpState.COOKIE_WAIT, SctpState.COOKIE_ECHOED])
def test_action_b_both_sent_init(state: SctpState) -> None:
    """Our tag stays, the peer's is the cookie's: established, COOKIE ACK."""
    network_pair = pair(run=False)
    association = network_pair.association
    host, network = network_pair.client, network_pair.network
    network.drop("COOKIE ECHO", times=9)
    if state is SctpState.COOKIE_ECHOED:
        network.run(50 * MS)
    assert association.state is state
    own = association.local_tag
    host.take()
    init = build.init(m.INIT, 0x33333333, 50_000, 5, 5, 77)
    host.receive(build.packet(7, association.local_port, 0, [init]), SERVER, CLIENT, network.now)
    peer = Crafted()
    peer.host = host
    ack = chunk(peer.answers(), m.INIT_ACK)
    assert isinstance(ack, SctpInit)
    assert ack.initiate_tag == own
    cookie = next(one.value for one in ack.parameters if one.type == build.STATE_COOKIE)
    echo = build.packet(7, association.local_port, own, [build.cookie_echo(cookie)])
    host.receive(echo, SERVER, CLIENT, network.now)
    assert names(peer.answers()) == ["COOKIE ACK"]
    assert association.state is SctpState.ESTABLISHED
    assert (association.local_tag, association.peer_tag) == (own, 0x33333333)
    assert association.outbound.next_tsn & 0xFFFFFFFF == ack.initial_tsn.value


def test_a_late_copy_of_a_cookie_brings_no_association_back() -> None:
    """Its tag was an association's that has ended: thrown away, though the cookie itself would be good."""
    peer = Crafted()
    association = peer.up()
    association.abort(peer.now)
    peer.answers()
    assert peer.send(build.cookie_echo(peer.cookie), data(TSN)) == []
    assert not peer.listener.associations
    assert names(peer.init(tag=5)) == ["INIT ACK"]
    assert names(peer.send(build.cookie_echo(peer.cookie))) == ["COOKIE ACK"]


def test_a_cookie_that_lists_addresses_comes_from_one_of_them() -> None:
    """From any of them; the INIT's source stays the primary path."""
    peer = Crafted()
    peer.init(build.address("10.0.1.1"))
    echo = build.cookie_echo(peer.cookie)
    assert peer.send(echo, source="10.0.2.1") == []
    assert not peer.host._associations
    assert "COOKIE ACK" in names(peer.send(echo, source="10.0.1.1"))
    (association,) = peer.listener.associations.values()
    assert (association.peer.address, association.peer_addresses) == (CLIENT, (CLIENT, "10.0.1.1"))


def test_the_peer_of_an_association_that_outlived_its_endpoint() -> None:
    """Another endpoint took the port, with one address more: by that address the same peer gets no second one."""
    peer = Crafted(addresses=[SERVER, "10.0.1.2"])
    peer.listener.close()
    peer.listener = peer.host.open(7, [SERVER])
    peer.listener.listen()
    association = peer.up()
    association.move(peer.listener.offspring())
    peer.listener.close()
    again = peer.host.open(7)
    again.listen()
    for chunk_ in (build.init(m.INIT, 9, 5000, 1, 1, 1), b""):
        one = chunk_ or build.cookie_echo(peer.cookie)
        packet = build.packet(40000, 7, 0 if chunk_ else peer.peer_tag, [one])
        peer.host.receive(packet, CLIENT, "10.0.1.2", peer.now)
        for answer in peer.answers():
            for ack in answer.chunks:
                if isinstance(ack, SctpInit):
                    peer.peer_tag = ack.initiate_tag
                    peer.cookie = next(p.value for p in ack.parameters if p.type == build.STATE_COOKIE)
    assert not again.associations
    assert list(peer.host._associations.values()) == [association]
    assert peer.host._by_key[SERVER, 7, CLIENT, 40000] is association
