"""What each call on an SCTP socket waited for, and which association it is about."""

from __future__ import annotations

from collections.abc import Sequence

from rawlab.attribution.association import Association, SctpEnd, chunk_of
from rawlab.attribution.calls import Links
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sctp_endings import closing_call
from rawlab.attribution.sctp_messages import is_notification, receipts
from rawlab.attribution.sockets import RECEIVERS, NumberedCall, Sockets
from rawlab.model import sctp as chunks
from rawlab.model.address import Endpoint
from rawlab.model.event import Call

_SCTP_ASSOC_CHANGE, _SCTP_SHUTDOWN_EVENT = 0x8001, 0x8005
_BROKEN = ("ECONNRESET", "EPIPE", "ECONNREFUSED", "ECONNABORTED")


def link(links: list[Links], associations: Sequence[Association], sockets: Sockets) -> None:
    """Ties the calls on SCTP sockets to their associations, and to the packets that they waited for."""
    for socket in sockets:
        for n, call in socket.calls if socket.is_sctp else ():
            links[n - 1].is_sctp = True
            links[n - 1].one_to_many |= socket.type == "SOCK_SEQPACKET" and call.socket == socket.inode
    for association in associations:
        for end, other in (association.ends, association.ends[::-1]):
            _link_end(links, association, end, other)


def _link_end(links: list[Links], association: Association, end: SctpEnd, other: SctpEnd) -> None:
    for message in end.messages:
        if message.call is not None:
            _belong(links, message.call, association, end)
    for n, receipt in receipts(end, other).items():
        mine = links[n - 1]
        mine.association, mine.sctp_end, mine.receipt = association, end, receipt
        mine.waited_for = [*receipt.brought, *([receipt.held_by] if receipt.held_by else [])]
    for socket in end.sockets:
        own = socket.parent is not None or not any(socket.named("listen"))
        shared = not own or socket.type == "SOCK_SEQPACKET"
        for n, call in socket.calls:
            if call.new_socket == socket.inode and call.name == "accept":
                _belong(links, (n, call), association, end)
                links[n - 1].waited_for = _first(association, other, chunks.COOKIE_ECHO)
            elif not shared or _is_about(call, other):
                _belong(links, (n, call), association, end)
                links[n - 1].waited_for = links[n - 1].waited_for or _awaited(association, end, other, n, call)
    if (closing := closing_call(end)) is not None:
        _belong(links, closing, association, end)
    if end.opener is not None:
        _belong(links, end.opener, association, end)
        links[end.opener[0] - 1].waited_for = _awaited(association, end, other, *end.opener)


def _belong(links: list[Links], numbered: NumberedCall, association: Association, end: SctpEnd) -> None:
    mine = links[numbered[0] - 1]
    if mine.association is None:
        mine.association, mine.sctp_end = association, end


def _is_about(call: Call, other: SctpEnd) -> bool:
    """Of a call on a one-to-many socket: whether it names the peer."""
    arguments = dict(call.args)
    for name in ("msg_name", "src_addr", "dest_addr", "addr"):
        if isinstance(peer := arguments.get(name), Endpoint):
            return peer.port == other.port and peer.address in other.addresses
    return False


def _awaited(association: Association, end: SctpEnd, other: SctpEnd, n: int, call: Call) -> list[Draft]:
    """The packets without which the call would not have returned what it did."""
    if call.returned_ns is None:
        return []
    if call.name == "connect" and call.errno is None:
        found = [*_first(association, other, chunks.INIT_ACK), *_first(association, other, chunks.COOKIE_ACK)]
    elif call.errno in _BROKEN:
        found = _first(association, other, chunks.ABORT)
    elif is_notification(call):
        found = _told_by(association, other, call.data or b"")
    elif call.name in RECEIVERS and call.errno is None and call.result == 0:
        found = _first(association, other, chunks.SHUTDOWN) or _first(association, other, chunks.SHUTDOWN_ACK)
    else:
        found = []
    return [draft for draft in found if draft.arrival_ns <= call.returned_ns]


def _first(association: Association, other: SctpEnd, type: int) -> list[Draft]:
    """The first packet of the other end's with such a chunk that arrived."""
    found = (
        draft
        for draft in association.drafts
        if association.direction(draft)[0] is other and not draft.lost and chunk_of(draft, type) is not None
    )
    return [draft] if (draft := next(found, None)) is not None else []


def _told_by(association: Association, other: SctpEnd, notification: bytes) -> list[Draft]:
    """The packets of which a notification tells (RFC 6458 section 6.1), in the host's byte order."""
    kind = int.from_bytes(notification[:2], "little")
    if kind == _SCTP_SHUTDOWN_EVENT:
        return _first(association, other, chunks.SHUTDOWN)
    if kind != _SCTP_ASSOC_CHANGE:
        return []
    match int.from_bytes(notification[8:10], "little"):
        case 0 | 2:  # SCTP_COMM_UP, SCTP_RESTART
            return _first(association, other, chunks.COOKIE_ACK) or _first(association, other, chunks.COOKIE_ECHO)
        case 3:  # SCTP_SHUTDOWN_COMP
            ended = _first(association, other, chunks.SHUTDOWN_COMPLETE)
            return ended or _first(association, other, chunks.SHUTDOWN_ACK)
        case _:  # SCTP_COMM_LOST, SCTP_CANT_STR_ASSOC
            return _first(association, other, chunks.ABORT)
