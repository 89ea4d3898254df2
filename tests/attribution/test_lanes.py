"""The states of one end over time."""

from __future__ import annotations

from rawlab.attribution.lanes import TcpLane
from rawlab.model.states import TcpEvent, TcpState


def test_a_state_holds_from_its_transition_to_the_next() -> None:
    """The transition's own nanosecond belongs to the new state; before the first, the first state holds."""
    lane = TcpLane()
    lane.apply(TcpEvent.SEND_SYN, 10)
    lane.apply(TcpEvent.RECEIVE_SYN_ACK, 30)
    assert [lane.at(at) for at in (0, 9, 10, 29, 30, 10**18)] == [
        TcpState.CLOSED,
        TcpState.CLOSED,
        TcpState.SYN_SENT,
        TcpState.SYN_SENT,
        TcpState.ESTABLISHED,
        TcpState.ESTABLISHED,
    ]
    assert lane.transitions() == [
        (10, TcpState.CLOSED, TcpState.SYN_SENT),
        (30, TcpState.SYN_SENT, TcpState.ESTABLISHED),
    ]


def test_two_transitions_in_one_nanosecond() -> None:
    """On loopback a packet leaves and arrives at once: the later of the two states is shown."""
    lane = TcpLane()
    lane.apply(TcpEvent.SEND_SYN, 10)
    lane.apply(TcpEvent.RECEIVE_SYN_ACK, 10)
    assert lane.at(10) is TcpState.ESTABLISHED
    assert lane.at(9) is TcpState.CLOSED


def test_an_event_that_moves_nothing_leaves_no_transition() -> None:
    """A SYN sent again, data, a duplicate FIN."""
    lane = TcpLane()
    for at_ns in (10, 20, 30):
        lane.apply(TcpEvent.SEND_SYN, at_ns)
    assert len(lane.transitions()) == 1


def test_a_reset_returns_a_passive_open_to_listen_and_closes_an_active_one() -> None:
    """RFC 9293 figure 5, note 1: SYN-RECEIVED was reached from LISTEN, or by both opening at once."""
    passive, active = TcpLane(TcpState.LISTEN), TcpLane()
    active.apply(TcpEvent.SEND_SYN, 5)
    for lane in (passive, active):
        lane.apply(TcpEvent.RECEIVE_SYN, 10)
        assert lane.state is TcpState.SYN_RECEIVED
        lane.apply(TcpEvent.RECEIVE_RST, 20)
    assert (passive.state, active.state) == (TcpState.LISTEN, TcpState.CLOSED)
