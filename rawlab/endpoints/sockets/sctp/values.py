"""What an SCTP socket holds."""

from __future__ import annotations

from dataclasses import dataclass

from rawlab.endpoints.sctp import Association
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SndRcvInfo


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
