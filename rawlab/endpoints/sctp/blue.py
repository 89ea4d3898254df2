"""Packets out of the blue: right ones that belong to no association (RFC 9260 section 8.4)."""

from __future__ import annotations

from rawlab.endpoints.sctp.chunks import STALE_COOKIE
from rawlab.model.sctp import ABORT, COOKIE_ACK, ERROR, SHUTDOWN_ACK, SHUTDOWN_COMPLETE, SctpError, SctpPacket
from rawlab.wire import sctp_build as build


def answer(packet: SctpPacket) -> bytes | None:
    """The chunk to answer with, under the packet's own verification tag; None: silence.

    The rules in their order; 1 (addresses), 3 (INIT) and 4 (COOKIE ECHO) are the host's.
    """
    kinds = {chunk.type for chunk in packet.chunks}
    if ABORT in kinds:  # 2
        return None
    if SHUTDOWN_ACK in kinds:  # 5
        return build.shutdown_complete(reflected=True)
    if SHUTDOWN_COMPLETE in kinds or COOKIE_ACK in kinds:  # 6, 7
        return None
    if ERROR in kinds and any(_stale(chunk) for chunk in packet.chunks):  # 7
        return None
    return build.abort(reflected=True)  # 8


def _stale(chunk: object) -> bool:
    return isinstance(chunk, SctpError) and any(cause.type == STALE_COOKIE for cause in chunk.causes)
