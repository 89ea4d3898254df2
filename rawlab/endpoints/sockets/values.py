"""What calls on a socket give back, and what a socket holds: values, and nothing that acts."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rawlab.endpoints.sctp import Association
from rawlab.model.address import Endpoint
from rawlab.model.event import Value
from rawlab.model.sctp import SndRcvInfo

if TYPE_CHECKING:
    from rawlab.endpoints.sockets.socket import Socket


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call returns, and what it fills in."""

    result: int = 0
    data: bytes = b""
    address: Endpoint | None = None
    info: SndRcvInfo | None = None
    flags: str = "0"
    "msg_flags"
    value: tuple[Value, ...] = ()
    "an option's"
    made: Socket | None = None
    "a new socket, whose descriptor is the result"


Wait = Generator[int | None, None, Answer]
"""A call that may block; yields when (ns) it wants to go on at the latest."""


@dataclass(slots=True)
class Item:
    """What one recvmsg takes: a message, or a notification."""

    data: bytes
    "what is left of it"
    association: Association
    address: Endpoint
    info: SndRcvInfo | None
    "None: it is a notification"


@dataclass(slots=True, kw_only=True)
class Options:
    """What setsockopt(2) has set, as far as the protocol does not need to know."""

    events: tuple[int, ...] = (0,) * 10
    "SCTP_EVENTS: one for each member of struct sctp_event_subscribe"
    streams: int = 10
    "SCTP_INITMSG: sinit_num_ostreams"
    max_streams_in: int | None = None
    max_attempts: int | None = None
    linger: tuple[int, int] = (0, 0)
    reuse: int = 0
    nodelay: int = 0
    whole: int = 0
    "SCTP_DISABLE_FRAGMENTS"
    segment: int = 0
    "SCTP_MAXSEG: octets of user data in a DATA chunk; 0: as the MTU has it"
    hb_interval_ms: int | None = None
    "SCTP_PEER_ADDR_PARAMS for associations to come; 0: off"
