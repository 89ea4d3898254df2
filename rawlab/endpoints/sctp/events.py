"""What a host tells: events for the program, packets for the wire, and the error that a call may raise.

Events are values; each names its association. They lie in `LocalEndpoint.events`, in the order in which they happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rawlab.endpoints.host import CallError

if TYPE_CHECKING:
    from rawlab.endpoints.sctp.association import Association


class SctpError(CallError):
    """A call on one of SCTP's sockets that could not be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to an association."""

    association: Association


@dataclass(frozen=True, slots=True, kw_only=True)
class Up(Event):
    """It is established (RFC 9260 section 11.2.4), or was begun anew by its peer (section 11.2.6)."""

    streams_in: int
    streams_out: int
    restarted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Event):
    """A whole message came, in the order of its stream if it is an ordered one (section 11.2.1)."""

    data: bytes
    stream: int
    ssn: int
    ppid: int
    unordered: bool
    tsn: int
    "of its last fragment"
    cumulative_tsn: int
    "all up to this one had come"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerShutdown(Event):
    """The peer sent SHUTDOWN: it sends nothing more (section 11.2.10 tells the end; this one the beginning)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Down(Event):
    """It is over: the last event of an association."""

    errno: str | None
    "None: shut down gracefully; ECONNREFUSED, ECONNRESET (the peer's ABORT), ETIMEDOUT, ECONNABORTED (our own ABORT)"
    reason: bytes = b""
    "the upper layer's reason in an ABORT (section 3.3.10.12)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathChanged(Event):
    """A path to the peer went down or came back (section 11.2.3)."""

    address: str
    reachable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SendFailed(Event):
    """A message that was not acknowledged when the association ended (section 11.2.2)."""

    data: bytes
    stream: int
    ppid: int
    sent: bool
    "a fragment of it was sent: the peer may have it"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteError(Event):
    """The peer sent an ERROR (section 11.2.8)."""

    cause: int
    "cause code"
    value: bytes = b""
    "what the cause holds, without its header"
