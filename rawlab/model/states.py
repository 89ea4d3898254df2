"""The states of TCP connections and SCTP associations, and their transitions, as data.

TCP's are RFC 9293's (section 3.3.2, figure 5), SCTP's RFC 9260's (section 4, figure 3). One table serves all:
attribution derives both ends' states from the packets with it, views draw it, the user-space endpoint obeys it,
and tests hold it against the kernel's own word (TCP_INFO, SCTP_STATUS).
"""

from __future__ import annotations

from enum import StrEnum


class TcpState(StrEnum):
    """A connection's state at one end, in RFC 9293's words."""

    __hash__ = str.__hash__  # a member is equal to its words; and Enum's takes a microsecond a transition

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

    __hash__ = str.__hash__

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


class SctpState(StrEnum):
    """An association's state at one end, in RFC 9260's words (section 4)."""

    CLOSED = "CLOSED"
    COOKIE_WAIT = "COOKIE-WAIT"
    COOKIE_ECHOED = "COOKIE-ECHOED"
    ESTABLISHED = "ESTABLISHED"
    SHUTDOWN_PENDING = "SHUTDOWN-PENDING"
    SHUTDOWN_SENT = "SHUTDOWN-SENT"
    SHUTDOWN_RECEIVED = "SHUTDOWN-RECEIVED"
    SHUTDOWN_ACK_SENT = "SHUTDOWN-ACK-SENT"


class SctpEvent(StrEnum):
    """What moves an association from one state to the next: a call, or a chunk sent or received."""

    SEND_INIT = "send INIT"
    RECEIVE_INIT_ACK = "receive INIT ACK"
    RECEIVE_COOKIE_ECHO = "receive valid COOKIE ECHO"
    RECEIVE_COOKIE_ACK = "receive COOKIE ACK"
    RECEIVE_STALE_COOKIE = "receive ERROR: stale cookie"
    CLOSE = "shutdown() or close()"
    SEND_SHUTDOWN = "send SHUTDOWN"
    RECEIVE_SHUTDOWN = "receive SHUTDOWN"
    SEND_SHUTDOWN_ACK = "send SHUTDOWN ACK"
    RECEIVE_SHUTDOWN_ACK = "receive SHUTDOWN ACK"
    RECEIVE_SHUTDOWN_COMPLETE = "receive SHUTDOWN COMPLETE"
    SEND_ABORT = "send ABORT"
    RECEIVE_ABORT = "receive ABORT"
    TIMEOUT = "retransmission limit reached"


_Q, _V = SctpState, SctpEvent

SCTP_TRANSITIONS: dict[tuple[SctpState, SctpEvent], SctpState] = {
    (_Q.CLOSED, _V.SEND_INIT): _Q.COOKIE_WAIT,
    (_Q.CLOSED, _V.RECEIVE_COOKIE_ECHO): _Q.ESTABLISHED,
    (_Q.COOKIE_WAIT, _V.RECEIVE_INIT_ACK): _Q.COOKIE_ECHOED,
    # Both ends sent INIT at once (section 5.2.1): each also answers the other's, and its cookie comes back.
    (_Q.COOKIE_WAIT, _V.RECEIVE_COOKIE_ECHO): _Q.ESTABLISHED,
    (_Q.COOKIE_ECHOED, _V.RECEIVE_COOKIE_ECHO): _Q.ESTABLISHED,
    (_Q.COOKIE_ECHOED, _V.RECEIVE_COOKIE_ACK): _Q.ESTABLISHED,
    (_Q.COOKIE_ECHOED, _V.RECEIVE_STALE_COOKIE): _Q.COOKIE_WAIT,
    (_Q.ESTABLISHED, _V.CLOSE): _Q.SHUTDOWN_PENDING,
    (_Q.ESTABLISHED, _V.RECEIVE_SHUTDOWN): _Q.SHUTDOWN_RECEIVED,
    (_Q.SHUTDOWN_PENDING, _V.SEND_SHUTDOWN): _Q.SHUTDOWN_SENT,
    (_Q.SHUTDOWN_PENDING, _V.RECEIVE_SHUTDOWN): _Q.SHUTDOWN_RECEIVED,
    (_Q.SHUTDOWN_SENT, _V.RECEIVE_SHUTDOWN): _Q.SHUTDOWN_ACK_SENT,  # both at once (section 9.2)
    (_Q.SHUTDOWN_SENT, _V.RECEIVE_SHUTDOWN_ACK): _Q.CLOSED,
    (_Q.SHUTDOWN_RECEIVED, _V.SEND_SHUTDOWN_ACK): _Q.SHUTDOWN_ACK_SENT,
    (_Q.SHUTDOWN_ACK_SENT, _V.RECEIVE_SHUTDOWN_ACK): _Q.CLOSED,
    (_Q.SHUTDOWN_ACK_SENT, _V.RECEIVE_SHUTDOWN_COMPLETE): _Q.CLOSED,
} | {
    (state, event): _Q.CLOSED for state in SctpState for event in (_V.SEND_ABORT, _V.RECEIVE_ABORT, _V.TIMEOUT)
}


def sctp_after(state: SctpState, event: SctpEvent) -> SctpState:
    """The state that follows; the same one where the event moves nothing."""
    return SCTP_TRANSITIONS.get((state, event), state)
