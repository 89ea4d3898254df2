"""TCP's state table, held against RFC 9293 figure 5 as it is spelled out here, arrow by arrow."""

from __future__ import annotations

import pytest

from rawlab.model.states import TCP_TRANSITIONS, TcpEvent, TcpState, after

FIGURE_5 = """
CLOSED        listen()               LISTEN
CLOSED        send SYN               SYN-SENT
LISTEN        receive SYN            SYN-RECEIVED
LISTEN        send SYN               SYN-SENT
LISTEN        close()                CLOSED
SYN-SENT      close()                CLOSED
SYN-SENT      receive SYN            SYN-RECEIVED
SYN-SENT      receive SYN-ACK        ESTABLISHED
SYN-RECEIVED  receive ACK of SYN     ESTABLISHED
SYN-RECEIVED  send FIN               FIN-WAIT-1
ESTABLISHED   send FIN               FIN-WAIT-1
ESTABLISHED   receive FIN            CLOSE-WAIT
FIN-WAIT-1    receive ACK of FIN     FIN-WAIT-2
FIN-WAIT-1    receive FIN            CLOSING
FIN-WAIT-2    receive FIN            TIME-WAIT
CLOSE-WAIT    send FIN               LAST-ACK
CLOSING       receive ACK of FIN     TIME-WAIT
LAST-ACK      receive ACK of FIN     CLOSED
TIME-WAIT     2 MSL timeout          CLOSED
"""
BESIDES = {("SYN-RECEIVED", "receive FIN"): "CLOSE-WAIT"}
"What section 3.10.7.4 says and the figure leaves out."

RESETS = (TcpEvent.SEND_RST, TcpEvent.RECEIVE_RST)


def figure() -> dict[tuple[str, str], str]:
    """(state, event) to state, from the figure."""
    arrows = {}
    for line in FIGURE_5.strip().splitlines():
        before, event, then = (part.strip() for part in line.split("  ") if part.strip())
        arrows[before, event] = then
    return arrows


@pytest.mark.parametrize(("before", "event", "then"), [(*key, then) for key, then in (figure() | BESIDES).items()])
def test_every_arrow_of_the_figure_is_in_the_table(before: str, event: str, then: str) -> None:
    """The state that follows is the figure's."""
    assert after(TcpState(before), TcpEvent(event)) is TcpState(then)


def test_the_table_has_no_other_arrows() -> None:
    """But those of resets."""
    table = {(b.value, e.value): t.value for (b, e), t in TCP_TRANSITIONS.items() if e not in RESETS}
    assert table == figure() | BESIDES


@pytest.mark.parametrize("event", RESETS)
@pytest.mark.parametrize("state", TcpState)
def test_a_reset_ends_every_connection_and_no_listener(state: TcpState, event: TcpEvent) -> None:
    """RFC 9293 section 3.5.3: LISTEN ignores it; every other state becomes CLOSED."""
    assert after(state, event) is (TcpState.LISTEN if state is TcpState.LISTEN else TcpState.CLOSED)


@pytest.mark.parametrize("state", TcpState)
def test_a_reset_returns_to_listen_only_from_syn_received_by_passive_open(state: TcpState) -> None:
    """Figure 5, note 1."""
    back = state in (TcpState.SYN_RECEIVED, TcpState.LISTEN)
    expected = TcpState.LISTEN if back else TcpState.CLOSED
    assert after(state, TcpEvent.RECEIVE_RST, passive=True) is expected


@pytest.mark.parametrize("event", TcpEvent)
@pytest.mark.parametrize("state", TcpState)
def test_an_event_that_no_arrow_has_moves_nothing(state: TcpState, event: TcpEvent) -> None:
    """A repeated segment, an acknowledgment of what is long acknowledged."""
    if (state.value, event.value) not in figure() | BESIDES and event not in RESETS:
        assert after(state, event) is state


def test_every_state_is_reached_and_left() -> None:
    """From CLOSED, every state can be reached, and from each CLOSED."""
    arrows = {(before, then) for (before, _), then in TCP_TRANSITIONS.items()}

    def reached(start: TcpState, arrows: set[tuple[TcpState, TcpState]]) -> set[TcpState]:
        found, more = {start}, True
        while more:
            step = {then for before, then in arrows if before in found} - found
            found, more = found | step, bool(step)
        return found

    assert reached(TcpState.CLOSED, arrows) == set(TcpState)
    assert reached(TcpState.CLOSED, {(then, before) for before, then in arrows}) == set(TcpState)


def test_the_states_are_written_as_in_the_rfc() -> None:
    """With hyphens, and all eleven."""
    assert sorted(TcpState) == sorted({state for key, then in figure().items() for state in (key[0], then)})
    assert len(TcpState) == 11
