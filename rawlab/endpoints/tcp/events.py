"""What a host tells: events for the program, packets for the wire, and the error that a call may raise.

Events are values; each names its connection. They lie in `Connection.events`, in the order in which they happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rawlab.endpoints.host import CallError
from rawlab.model.states import TcpEvent, TcpState

if TYPE_CHECKING:
    from rawlab.endpoints.tcp.connection import Connection


class TcpError(CallError):
    """A call on one of TCP's sockets that could not be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a connection."""

    connection: Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Up(Event):
    """It is established."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data(Event):
    """The next octets of the stream. The window opens again when the program says that it `consumed` them."""

    data: bytes
    offset: int
    "of the first one, from 0 on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Urgent(Event):
    """The peer has urgent data (RFC 6093), which comes in line."""

    mark: int
    "offset of the octet behind it; it may not have come yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerClosed(Event):
    """The peer's FIN came, behind all its data: it sends nothing more, but may still receive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(Event):
    """The congestion window or the slow start threshold changed (RFC 5681)."""

    cwnd: int
    "octets"
    ssthresh: int
    "octets"
    flight: int
    "octets sent and not acknowledged"
    why: str
    "a key of `congestion.WHY`"
    at: int
    "ns"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(Event):
    """The connection moved, by the table in `model.states`."""

    before: TcpState
    state: TcpState
    why: TcpEvent
    at: int
    "ns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Down(Event):
    """It is over in both directions. TIME-WAIT may go on: of it only StateChanged tells."""

    errno: str | None
    "None: both FINs are acknowledged; ECONNREFUSED, ECONNRESET, ETIMEDOUT, ECONNABORTED (our own abort)"
