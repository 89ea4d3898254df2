"""The TCP connection states and their transitions, as data (RFC 9293 section 3.3.2, figure 5).

One table serves all: attribution derives both ends' states from the packets with it, views draw it, the
user-space endpoint obeys it, and tests hold it against the kernel's own word (TCP_INFO).
"""

from __future__ import annotations

from enum import StrEnum


class TcpState(StrEnum):
    """A connection's state at one end, in RFC 9293's words."""

    CLOSED = "CLOSED"
    LISTEN = "LISTEN"
    SYN_SENT = "SYN-SENT"
    SYN_RECEIVED = "SYN-RECEIVED"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT_1 = "FIN-WAIT-1"
    FIN_WAIT_2 = "FIN-WAIT-2"
    CLOSE_WAIT = "CLOSE-WAIT"
    CLOSING = "CLOSING"
    LAST_ACK = "LAST-ACK"
    TIME_WAIT = "TIME-WAIT"


class TcpEvent(StrEnum):
    """What moves a connection from one state to the next: a call, or a segment sent or received."""

    PASSIVE_OPEN = "listen()"
    CLOSE = "close()"
    SEND_SYN = "send SYN"
    RECEIVE_SYN = "receive SYN"
    RECEIVE_SYN_ACK = "receive SYN-ACK"
    RECEIVE_ACK_OF_SYN = "receive ACK of SYN"
    SEND_FIN = "send FIN"
    RECEIVE_FIN = "receive FIN"
    RECEIVE_ACK_OF_FIN = "receive ACK of FIN"
    SEND_RST = "send RST"
    RECEIVE_RST = "receive RST"
    TIMEOUT = "2 MSL timeout"


_S, _E = TcpState, TcpEvent

TCP_TRANSITIONS: dict[tuple[TcpState, TcpEvent], TcpState] = {
    (_S.CLOSED, _E.PASSIVE_OPEN): _S.LISTEN,
    (_S.CLOSED, _E.SEND_SYN): _S.SYN_SENT,
    (_S.LISTEN, _E.SEND_SYN): _S.SYN_SENT,
    (_S.LISTEN, _E.RECEIVE_SYN): _S.SYN_RECEIVED,
    (_S.LISTEN, _E.CLOSE): _S.CLOSED,
    (_S.SYN_SENT, _E.RECEIVE_SYN): _S.SYN_RECEIVED,
    (_S.SYN_SENT, _E.RECEIVE_SYN_ACK): _S.ESTABLISHED,
    (_S.SYN_SENT, _E.CLOSE): _S.CLOSED,
    (_S.SYN_RECEIVED, _E.RECEIVE_ACK_OF_SYN): _S.ESTABLISHED,
    (_S.SYN_RECEIVED, _E.SEND_FIN): _S.FIN_WAIT_1,
    (_S.SYN_RECEIVED, _E.RECEIVE_FIN): _S.CLOSE_WAIT,
    (_S.ESTABLISHED, _E.SEND_FIN): _S.FIN_WAIT_1,
    (_S.ESTABLISHED, _E.RECEIVE_FIN): _S.CLOSE_WAIT,
    (_S.FIN_WAIT_1, _E.RECEIVE_ACK_OF_FIN): _S.FIN_WAIT_2,
    (_S.FIN_WAIT_1, _E.RECEIVE_FIN): _S.CLOSING,
    (_S.FIN_WAIT_2, _E.RECEIVE_FIN): _S.TIME_WAIT,
    (_S.CLOSE_WAIT, _E.SEND_FIN): _S.LAST_ACK,
    (_S.CLOSING, _E.RECEIVE_ACK_OF_FIN): _S.TIME_WAIT,
    (_S.LAST_ACK, _E.RECEIVE_ACK_OF_FIN): _S.CLOSED,
    (_S.TIME_WAIT, _E.TIMEOUT): _S.CLOSED,
} | {
    # A reset ends a connection in every state; a listening socket survives it (RFC 9293 section 3.5.2).
    (state, event): _S.LISTEN if state is _S.LISTEN else _S.CLOSED
    for state in TcpState
    for event in (_E.SEND_RST, _E.RECEIVE_RST)
}


def after(state: TcpState, event: TcpEvent, *, passive: bool = False) -> TcpState:
    """The state that follows; the same one where the event moves nothing (a repeated segment, say).

    `passive`: the connection was opened from LISTEN, to which SYN-RECEIVED then returns on RST (figure 5, note 1).
    """
    if passive and (state, event) == (_S.SYN_RECEIVED, _E.RECEIVE_RST):
        return _S.LISTEN
    return TCP_TRANSITIONS.get((state, event), state)
