"""SCTP's notifications (RFC 6458 section 6.1): what recvmsg(2) gives with MSG_NOTIFICATION, as words and as bytes.

A recorded call keeps the bytes; `words` says what they mean: 'SCTP_ASSOC_CHANGE: SCTP_COMM_UP, 10 streams out,
10 in, assoc 1'. The functions below it make the same bytes, for an endpoint that is not the kernel's. The layout is
Linux's on a little-endian machine (include/uapi/linux/sctp.h).
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable

from rawlab.model.address import Endpoint
from rawlab.model.sctp import SndRcvInfo
from rawlab.wire import sctp_names as names
from rawlab.wire import sndrcvinfo

_HEADER = struct.Struct("<HHI")  # sn_type, sn_flags, sn_length
_ASSOC_CHANGE = struct.Struct("<HHHHi")
_ADDRESS_CHANGE = struct.Struct("<128siii")
_REMOTE_ERROR = struct.Struct("<2s2xi")
_SHUTDOWN = struct.Struct("<i")
_PARTIAL_DELIVERY = struct.Struct("<IiII")
_ADAPTATION = struct.Struct("<Ii")
_AF_INET, _AF_INET6 = 2, 10


def words(data: bytes) -> str | None:
    """What a notification says, in a line; None for what is none, or is cut short."""
    if len(data) < _HEADER.size:
        return None
    number, flags, _ = _HEADER.unpack_from(data)
    if number not in names.NOTIFICATIONS.values():
        return None
    name = names.name(number, names.NOTIFICATIONS)
    try:
        told = _WORDS[name](data[_HEADER.size :], flags) if name in _WORDS else ""
    except struct.error:
        return None
    return f"{name}: {told}" if told else name


def _assoc_change(body: bytes, _: int) -> str:
    state, error, outbound, inbound, assoc_id = _ASSOC_CHANGE.unpack_from(body)
    cause = f", error {_swapped(error)}" if error else ""
    streams = f", {outbound} streams out, {inbound} in" if outbound or inbound else ""
    return f"{names.name(state, names.ASSOC_CHANGES)}{cause}{streams}, assoc {assoc_id}"


def _address_change(body: bytes, _: int) -> str:
    raw, state, error, assoc_id = _ADDRESS_CHANGE.unpack_from(body)
    address = _address(raw)
    cause = f", {names.name(error, names.SN_ERRORS)}" if error else ""
    return f"{names.name(state, names.ADDRESS_CHANGES)}{cause}, {address or '?'}, assoc {assoc_id}"


def _remote_error(body: bytes, _: int) -> str:
    cause, assoc_id = _REMOTE_ERROR.unpack_from(body)
    return f"cause {int.from_bytes(cause)}, assoc {assoc_id}"


def _send_failed(body: bytes, flags: int) -> str:
    error = int.from_bytes(body[:4], "little")
    info = sndrcvinfo.unpack(body[4:])
    (assoc_id,) = _SHUTDOWN.unpack_from(body, 4 + sndrcvinfo.SIZE)
    size = len(body) - 4 - sndrcvinfo.SIZE - _SHUTDOWN.size
    how = "sent, not acknowledged" if flags & 1 else "never sent"
    return f"{size} bytes of stream {info.stream} {how}, error {error}, assoc {assoc_id}"


def _shutdown_event(body: bytes, _: int) -> str:
    return f"assoc {_SHUTDOWN.unpack_from(body)[0]}"


def _partial_delivery(body: bytes, _: int) -> str:
    indication, assoc_id, stream, sequence = _PARTIAL_DELIVERY.unpack_from(body)
    what = "SCTP_PARTIAL_DELIVERY_ABORTED" if indication == 0 else str(indication)
    return f"{what}, stream {stream}, sequence {sequence}, assoc {assoc_id}"


def _adaptation(body: bytes, _: int) -> str:
    indication, assoc_id = _ADAPTATION.unpack_from(body)
    return f"indication {indication}, assoc {assoc_id}"


_WORDS: dict[str, Callable[[bytes, int], str]] = {
    "SCTP_ASSOC_CHANGE": _assoc_change,
    "SCTP_PEER_ADDR_CHANGE": _address_change,
    "SCTP_REMOTE_ERROR": _remote_error,
    "SCTP_SEND_FAILED": _send_failed,
    "SCTP_SHUTDOWN_EVENT": _shutdown_event,
    "SCTP_PARTIAL_DELIVERY_EVENT": _partial_delivery,
    "SCTP_ADAPTATION_INDICATION": _adaptation,
    "SCTP_SENDER_DRY_EVENT": _shutdown_event,
}


# ------------------------------------------------------------------------------------------ bytes


def assoc_change(state: str, error: int, outbound: int, inbound: int, assoc_id: int, info: bytes = b"") -> bytes:
    """`state`: 'SCTP_COMM_UP', …; `error`: the cause code of an ABORT, or 0; `info`: the ABORT chunk."""
    body = _ASSOC_CHANGE.pack(names.ASSOC_CHANGES[state], _swapped(error), outbound, inbound, assoc_id)
    return _notification("SCTP_ASSOC_CHANGE", body + info)


def peer_addr_change(address: Endpoint, state: str, error: int, assoc_id: int) -> bytes:
    """`state`: 'SCTP_ADDR_UNREACHABLE', …; `error`: of enum sctp_sn_error."""
    body = _ADDRESS_CHANGE.pack(_sockaddr(address), names.ADDRESS_CHANGES[state], error, assoc_id)
    return _notification("SCTP_PEER_ADDR_CHANGE", body)


def remote_error(cause: int, data: bytes, assoc_id: int) -> bytes:
    """An ERROR chunk came: `cause` is its code, `data` the whole cause."""
    return _notification("SCTP_REMOTE_ERROR", _REMOTE_ERROR.pack(cause.to_bytes(2), assoc_id) + data)


def send_failed(data: bytes, info: SndRcvInfo, error: int, assoc_id: int, *, sent: bool) -> bytes:
    """A message that the peer did not acknowledge; `sent`: it was on the wire at least once."""
    body = error.to_bytes(4, "little") + sndrcvinfo.pack(info) + _SHUTDOWN.pack(assoc_id) + data
    return _notification("SCTP_SEND_FAILED", body, flags=int(sent))


def shutdown_event(assoc_id: int) -> bytes:
    """The peer has sent SHUTDOWN: nothing more may be sent."""
    return _notification("SCTP_SHUTDOWN_EVENT", _SHUTDOWN.pack(assoc_id))


def partial_delivery(indication: int, assoc_id: int, stream: int, sequence: int) -> bytes:
    """The rest of a message that was given in part will not come (indication 0)."""
    body = _PARTIAL_DELIVERY.pack(indication, assoc_id, stream, sequence)
    return _notification("SCTP_PARTIAL_DELIVERY_EVENT", body)


def adaptation_indication(indication: int, assoc_id: int) -> bytes:
    """What the peer's INIT or INIT ACK said of the layer above (RFC 5061 section 4.2.6)."""
    return _notification("SCTP_ADAPTATION_INDICATION", _ADAPTATION.pack(indication, assoc_id))


def sender_dry(assoc_id: int) -> bytes:
    """All that was sent is acknowledged."""
    return _notification("SCTP_SENDER_DRY_EVENT", _SHUTDOWN.pack(assoc_id))


def _notification(name: str, body: bytes, flags: int = 0) -> bytes:
    return _HEADER.pack(names.NOTIFICATIONS[name], flags, _HEADER.size + len(body)) + body


def _swapped(number: int) -> int:
    """Linux leaves sac_error as the chunk has it, in network byte order."""
    return int.from_bytes(number.to_bytes(2, "little"))


def _sockaddr(end: Endpoint) -> bytes:
    """A struct sockaddr_storage, ip(7), ipv6(7)."""
    packed = ipaddress.ip_address(end.address).packed
    if len(packed) == 4:
        return struct.pack("<H", _AF_INET) + struct.pack(">H4s", end.port, packed)
    return struct.pack("<H", _AF_INET6) + struct.pack(">HI16s", end.port, 0, packed)


def _address(raw: bytes) -> Endpoint | None:
    (family,) = struct.unpack_from("<H", raw)
    (port,) = struct.unpack_from(">H", raw, 2)
    if family == _AF_INET:
        return Endpoint(str(ipaddress.IPv4Address(raw[4:8])), port)
    return Endpoint(str(ipaddress.IPv6Address(raw[8:24])), port) if family == _AF_INET6 else None
