"""Each chunk of a packet to what handles it (RFC 9260 section 3.2), for an association whose tag the packet had.

An unknown chunk type says with its two high bits what is to be done with it; so does an unknown parameter of an INIT.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rawlab.endpoints.sctp.events import Message, RemoteError
from rawlab.endpoints.sctp.paths import Path
from rawlab.model import sctp as m
from rawlab.model.sctp import SctpChunk, SctpData, SctpError, SctpSack, SctpShutdown
from rawlab.model.states import SctpState
from rawlab.wire import sctp_build as build

if TYPE_CHECKING:
    from rawlab.endpoints.sctp.association import Association

INVALID_STREAM, MISSING_PARAMETER, STALE_COOKIE, OUT_OF_RESOURCE, UNRESOLVABLE_ADDRESS = range(1, 6)
UNRECOGNIZED_CHUNK, INVALID_PARAMETER, UNRECOGNIZED_PARAMETERS, NO_USER_DATA, COOKIE_WHILE_SHUTTING_DOWN = range(6, 11)
RESTART_WITH_NEW_ADDRESSES, USER_INITIATED_ABORT, PROTOCOL_VIOLATION = range(11, 14)
"causes (section 3.3.10)"

MOST_REASON = 1024
"octets of a reason in an ABORT, so that it fits into a packet"
MOST_ERRORS = 4
"causes told for one packet"

RECEIVING = (SctpState.ESTABLISHED, SctpState.SHUTDOWN_PENDING, SctpState.SHUTDOWN_SENT)
ACKNOWLEDGED = (
    SctpState.ESTABLISHED, SctpState.SHUTDOWN_PENDING, SctpState.SHUTDOWN_RECEIVED, SctpState.SHUTDOWN_SENT,
)  # fmt: skip

Handler = Callable[["Association", SctpChunk, bytes, Path, int], None]


def skips(kind: int) -> bool:
    """The highest bit: the chunk or parameter alone is skipped, not all that follows."""
    return bool(kind >> 8 & 0x80 if kind > 0xFF else kind & 0x80)


def take(association: Association, chunk: SctpChunk, octets: bytes, path: Path, now: int) -> bool:
    """One chunk. False: the rest of the packet is not to be read."""
    handler = HANDLERS.get(chunk.type)
    if handler is not None:
        handler(association, chunk, octets, path, now)
        return True
    if chunk.type & 0x40 and len(association.control) < MOST_ERRORS:
        first, last = chunk.value
        last = min(last, first - 12 + path.payload)
        association.control.append(build.error([build.cause(UNRECOGNIZED_CHUNK, octets[first - 4 : last])]))
    return bool(chunk.type & 0x80)


def _data(association: Association, chunk: SctpChunk, octets: bytes, path: Path, now: int) -> None:
    assert isinstance(chunk, SctpData)
    if association.state not in RECEIVING:
        return
    if not chunk.size:
        tsn = build.number(chunk.tsn).to_bytes(4, "big")
        association.closing.abort(build.cause(NO_USER_DATA, tsn))
        return
    association.data_path = path
    inbound = association.inbound
    if chunk.stream >= association.streams_in:
        inbound.refuse(chunk)
        if len(association.control) < MOST_ERRORS:
            cause = build.cause(INVALID_STREAM, chunk.stream.to_bytes(2, "big") + b"\0\0")
            association.control.append(build.error([cause]))
        return
    messages = inbound.data(chunk, octets)
    if messages is None:
        association.closing.abort(build.cause(PROTOCOL_VIOLATION, b"DATA does not fit its neighbours"))
        return
    for message in messages:
        association.tell(
            Message(
                association=association,
                data=message.data,
                stream=message.stream,
                ssn=message.ssn,
                ppid=message.ppid,
                unordered=message.unordered,
                tsn=message.tsn & 0xFFFFFFFF,
                cumulative_tsn=inbound.cumulative & 0xFFFFFFFF,
            )
        )
    if not messages and inbound.stuck:
        association.closing.abort(build.cause(OUT_OF_RESOURCE))


def _sack(association: Association, chunk: SctpChunk, octets: bytes, path: Path, now: int) -> None:
    assert isinstance(chunk, SctpSack)
    if association.state in ACKNOWLEDGED:
        acknowledged(association, chunk.cumulative_tsn.value, chunk.a_rwnd, chunk.gaps, now)


def acknowledged(
    association: Association, bits: int, rwnd: int | None, gaps: tuple[tuple[int, int], ...], now: int
) -> bool:
    """What a SACK or SHUTDOWN says of what we sent. False: nonsense, and the association is over."""
    if association.acknowledging.sack(bits, rwnd, gaps, now):
        return True
    association.closing.abort(build.cause(PROTOCOL_VIOLATION, b"acknowledges what was never sent"))
    return False


def _heartbeat(association: Association, chunk: SctpChunk, octets: bytes, path: Path, now: int) -> None:
    """The answer brings back what came (section 8.3), by the way it came."""
    first, last = chunk.value
    association.control.append(build.chunk(m.HEARTBEAT_ACK, 0, octets[first:last]))


def _heartbeat_ack(association: Association, chunk: SctpChunk, octets: bytes, path: Path, now: int) -> None:
    first, last = chunk.value
    association.routes.answered(octets[first + 4 : last], now)


def _init_ack(association: Association, chunk: SctpChunk, octets: bytes, path: Path, now: int) -> None:
    assert isinstance(chunk, m.SctpInit)
    association.opening.init_ack(chunk, octets, path, now)


def _cookie_ack(association: Association, chunk: SctpChunk, octets: bytes, path: Path, now: int) -> None:
    association.opening.cookie_ack(now)


def _error(association: Association, chunk: SctpChunk, octets: bytes, path: Path, now: int) -> None:
    assert isinstance(chunk, SctpError)
    for cause in chunk.causes[:MOST_ERRORS]:
        if cause.type == STALE_COOKIE and association.state is SctpState.COOKIE_ECHOED:
            association.opening.stale(cause.value, now)
        elif not (association.is_over or association.endpoint.crowded):
            association.tell(RemoteError(association=association, cause=cause.type, value=cause.value))


def _abort(association: Association, chunk: SctpChunk, octets: bytes, path: Path, now: int) -> None:
    assert isinstance(chunk, SctpError)
    association.closing.aborted(chunk.causes)


def _shutdown(association: Association, chunk: SctpChunk, octets: bytes, path: Path, now: int) -> None:
    assert isinstance(chunk, SctpShutdown)
    association.closing.shutdown_came(chunk.cumulative_tsn.value, now)


def _shutdown_ack(association: Association, chunk: SctpChunk, octets: bytes, path: Path, now: int) -> None:
    association.closing.shutdown_ack_came(path)


def _shutdown_complete(association: Association, chunk: SctpChunk, octets: bytes, path: Path, now: int) -> None:
    association.closing.shutdown_complete_came()


def _nothing(association: Association, chunk: SctpChunk, octets: bytes, path: Path, now: int) -> None:
    """Known, and without use here: ECNE and CWR (ECN is not negotiated), INIT and COOKIE ECHO (the host's matter)."""


HANDLERS: dict[int, Handler] = {
    m.DATA: _data,
    m.INIT: _nothing,
    m.INIT_ACK: _init_ack,
    m.SACK: _sack,
    m.HEARTBEAT: _heartbeat,
    m.HEARTBEAT_ACK: _heartbeat_ack,
    m.ABORT: _abort,
    m.SHUTDOWN: _shutdown,
    m.SHUTDOWN_ACK: _shutdown_ack,
    m.ERROR: _error,
    m.COOKIE_ECHO: _nothing,
    m.COOKIE_ACK: _cookie_ack,
    m.ECNE: _nothing,
    m.CWR: _nothing,
    m.SHUTDOWN_COMPLETE: _shutdown_complete,
}
