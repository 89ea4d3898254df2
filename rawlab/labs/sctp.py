"""What sctp_sendmsg(3), sctp_recvmsg(3) and sctp_bindx(3) are: a sendmsg and a recvmsg with a struct sctp_sndrcvinfo
beside the message, and a setsockopt."""

from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls
from rawlab.model.constants import (
    SCTP_EVENTS,
    SCTP_NODELAY,
    SCTP_PEER_ADDR_PARAMS,
    SCTP_RTOINFO,
    SCTP_SOCKOPT_BINDX_ADD,
    SOL_SCTP,
)
from rawlab.model.sctp import SndRcvInfo

EVENTS = ("data_io", "association", "address", "send_failure", "peer_error", "shutdown")


def sctp_sendmsg(
    c: Calls, sockfd: int, msg: bytes, to: Endpoint | int | None = None, *, stream: int = 0, flags: str = "0"
) -> int:
    """Sends one message on a stream; `to` an address (sets an association up), or one of several associations' ids."""
    assoc_id, address = (to, None) if isinstance(to, int) else (0, to)
    return c.sendmsg(sockfd, address, [msg], "0", SndRcvInfo(stream=stream, flags=flags, assoc_id=assoc_id))


def sctp_recvmsg(c: Calls, sockfd: int, len: int) -> tuple[bytes, Endpoint | None, SndRcvInfo, str]:
    """One message, or what of it fits; who sent it; its stream, SSN and association; MSG_EOR at the message's end."""
    received, source, control, flags = c.recvmsg(sockfd, len, "0")
    return received, source, control or SndRcvInfo(), flags


def sctp_bindx(c: Calls, sockfd: int, addrs: tuple[Endpoint, ...]) -> int:
    """Gives the socket several addresses, of one port."""
    return c.setsockopt(sockfd, SOL_SCTP, SCTP_SOCKOPT_BINDX_ADD, addrs)


def subscribe(c: Calls, sockfd: int, *events: str) -> int:
    """Asks for notifications between the messages, and (data_io) for a struct sctp_sndrcvinfo beside each message."""
    return c.setsockopt(sockfd, SOL_SCTP, SCTP_EVENTS, tuple(int(event in events) for event in EVENTS))


def hurry(c: Calls, sockfd: int, rto_ms: int) -> None:
    """A short wire's RTO.Initial, RTO.Max and RTO.Min (else 1 to 60 s); and no small message waits for a SACK."""
    c.setsockopt(sockfd, SOL_SCTP, SCTP_RTOINFO, (0, rto_ms, 4 * rto_ms, rto_ms))
    c.setsockopt(sockfd, SOL_SCTP, SCTP_NODELAY, 1)


def heartbeats(c: Calls, sockfd: int, flags: str, interval_ms: int = 0, path_max_retrans: int = 0) -> int:
    """HEARTBEAT on all paths, at once or at intervals; how many losses a path survives. 0: as it is."""
    params = (0, None, interval_ms, path_max_retrans, 0, 0, flags)
    return c.setsockopt(sockfd, SOL_SCTP, SCTP_PEER_ADDR_PARAMS, params)
