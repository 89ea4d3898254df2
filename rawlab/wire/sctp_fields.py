"""The places of an SCTP packet's fields, chunk by chunk, for `wire.fields`: scapy knows not every chunk, nor the CRC.

How it works: a chunk is a header, fields of fixed sizes by its type, and a tail: parameters, causes, blocks, user
data. `_FIXED` and `_TAILS` say which; what no table knows is one field of octets. User data and padding are layers
of their own, as behind other transports' headers.

What does not belong here: facts (`wire.sctp`), layout (`views`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address

from rawlab.model import sctp as m
from rawlab.model.sctp import SctpChunk, SctpPacket
from rawlab.wire import symbols
from rawlab.wire.sctp import checksum

Place = tuple[str, int, int, str]
"a field: its name, where it begins, how many octets it takes, its value"

Part = tuple[str, int, int, list[Place]]
"a layer: its name, where it begins, how many octets it takes, its fields"

Names = Callable[[int], str]
"the name of a type or a code"

MAX_TAIL = 256
"parameters, blocks or streams of one chunk that are given one by one"

_TSN, _TAG = ("TSN", 4), "initiate tag"
_INIT = (
    (_TAG, 4),
    ("a_rwnd", 4),
    ("number of outbound streams", 2),
    ("number of inbound streams", 2),
    ("initial TSN", 4),
)
_FIXED: dict[int, tuple[tuple[str, int], ...]] = {
    m.DATA: (
        _TSN,
        ("stream identifier", 2),
        ("stream sequence number", 2),
        ("payload protocol identifier", 4),
    ),
    m.I_DATA: (
        _TSN,
        ("stream identifier", 2),
        ("reserved", 2),
        ("message identifier", 4),
        ("payload protocol identifier or FSN", 4),
    ),
    m.INIT: _INIT,
    m.INIT_ACK: _INIT,
    m.SACK: (
        ("cumulative TSN ack", 4),
        ("a_rwnd", 4),
        ("number of gap ack blocks", 2),
        ("number of duplicate TSNs", 2),
    ),
    m.SHUTDOWN: (("cumulative TSN ack", 4),),
    m.ECNE: (("lowest TSN", 4),),
    m.CWR: (("lowest TSN", 4),),
    m.ASCONF: (("sequence number", 4),),
    m.ASCONF_ACK: (("sequence number", 4),),
    m.FORWARD_TSN: (("new cumulative TSN", 4),),
    m.I_FORWARD_TSN: (("new cumulative TSN", 4),),
    m.AUTH: (("shared key identifier", 2), ("HMAC identifier", 2)),
}
"the fields behind each chunk's header, and their octets"

_LISTED = frozenset({m.INIT, m.INIT_ACK, m.HEARTBEAT, m.HEARTBEAT_ACK, m.ASCONF, m.ASCONF_ACK, m.RE_CONFIG})
_FORWARDED: dict[int, tuple[tuple[str, int], ...]] = {
    m.FORWARD_TSN: (("stream identifier", 2), ("stream sequence number", 2)),
    m.I_FORWARD_TSN: (("stream identifier", 2), ("flags", 2), ("message identifier", 4)),
}
_TAILS = {m.COOKIE_ECHO: "cookie", m.AUTH: "HMAC", m.PAD: "padding data"}
_ADDRESSES = {5: 4, 6: 16}
"parameters that are an address, and its octets"


def sctp_parts(octets: bytes, packet: SctpPacket) -> Iterator[Part]:
    """The common header, each chunk, user data and padding, and what could not be read as 'Raw'."""
    at, end = packet.data
    yield "SCTP", at - 12, 12, _common_header(octets, packet)
    for chunk in packet.chunks:
        stop = min(at + chunk.length, end)
        fields = list(_chunk(octets, chunk, at, stop))
        head = fields[-1][1] + fields[-1][2]
        yield f"SCTP {symbols.sctp_chunk(chunk.type)}", at, head - at, fields
        if head < stop:
            yield "Raw", head, stop - head, [_octets("load", octets, head, stop)]
        at = min(stop + (-chunk.length & 3), end)
        if at > stop:
            yield "Padding", stop, at - stop, [_octets("load", octets, stop, at)]
    if at < end:
        yield "Raw", at, end - at, [_octets("load", octets, at, end)]


def _common_header(octets: bytes, packet: SctpPacket) -> list[Place]:
    at = packet.data[0] - 12
    crc = f"0x{packet.checksum:08x}"
    if packet.checksum_right is None:
        crc += " (not verified: the packet was not captured whole)"
    elif packet.checksum_right:
        crc += " (right)"
    elif packet.checksum == 0:  # as a capture has it where the interface computes checksums; or RFC 9653
        crc += " (not filled in)"
    else:
        crc += f" (wrong: 0x{checksum(octets[at : packet.data[1]]):08x} expected)"
    return [
        ("source port", at, 2, str(packet.source_port)),
        ("destination port", at + 2, 2, str(packet.destination_port)),
        ("verification tag", at + 4, 4, f"0x{packet.verification_tag:08x}"),
        ("checksum", at + 8, 4, crc),
    ]


def _chunk(octets: bytes, chunk: SctpChunk, at: int, stop: int) -> Iterator[Place]:
    """The chunk's fields up to `stop`, but for user data."""
    yield "type", at, 1, f"{symbols.sctp_chunk(chunk.type)} ({chunk.type})"
    yield "flags", at + 1, 1, f"0x{chunk.flags:02x}{_letters(chunk)}"
    yield "length", at + 2, 2, str(chunk.length)
    at += 4
    for name, size in _FIXED.get(chunk.type, ()):
        if at + size > stop:
            break
        yield _number(name, octets, at, size)
        at += size
    if chunk.type in (m.DATA, m.I_DATA):
        return
    if chunk.type in _LISTED:
        yield from _parameters(octets, at, stop, "parameter", symbols.sctp_parameter)
    elif chunk.type in (m.ABORT, m.ERROR):
        yield from _parameters(octets, at, stop, "cause", symbols.sctp_cause)
    elif chunk.type in _FORWARDED:
        yield from _rows(octets, at, stop, _FORWARDED[chunk.type])
    elif chunk.type == m.SACK:
        blocks = min(at + 4 * int.from_bytes(octets[at - 4 : at - 2], "big"), stop)
        yield from _rows(octets, at, blocks, (("gap ack block start", 2), ("gap ack block end", 2)))
        yield from _rows(octets, blocks, stop, (("duplicate TSN", 4),))
    elif at < stop:
        yield _octets(_TAILS.get(chunk.type, "value"), octets, at, stop)


def _letters(chunk: SctpChunk) -> str:
    if chunk.type in (m.DATA, m.I_DATA):
        letters = "".join(letter for letter, bit in symbols.SCTP_DATA_FLAGS.items() if chunk.flags & bit)
    else:
        letters = "T" if chunk.type in (m.ABORT, m.SHUTDOWN_COMPLETE) and chunk.flags & 1 else ""
    return f" ({letters})" if letters else ""


def _rows(octets: bytes, at: int, stop: int, row: Sequence[tuple[str, int]]) -> Iterator[Place]:
    """Fields of the same sizes again and again; what is left over is one field."""
    size = sum(size for _, size in row)
    for _ in range(min((stop - at) // size, MAX_TAIL)):
        for name, length in row:
            yield _number(name, octets, at, length)
            at += length
    if at < stop:
        yield _octets("value", octets, at, stop)


def _parameters(octets: bytes, at: int, stop: int, what: str, names: Names) -> Iterator[Place]:
    for _ in range(MAX_TAIL):
        if stop - at < 4:
            break
        kind, length = (int.from_bytes(octets[place : place + 2], "big") for place in (at, at + 2))
        last = at + length
        if length < 4 or last > stop:
            break
        yield f"{what} {'code' if what == 'cause' else 'type'}", at, 2, f"{names(kind)} ({kind})"
        yield f"{what} length", at + 2, 2, str(length)
        if what == "parameter" and _ADDRESSES.get(kind) == length - 4:
            yield "address", at + 4, length - 4, str(ip_address(octets[at + 4 : last]))
        elif length > 4:
            yield _octets("value", octets, at + 4, last)
        at = min(last + (-length & 3), stop)
        if at > last:
            yield _octets("padding", octets, last, at)
    if at < stop:
        yield _octets("value", octets, at, stop)


def _number(name: str, octets: bytes, at: int, size: int) -> Place:
    value = int.from_bytes(octets[at : at + size], "big")
    return name, at, size, f"0x{value:08x}" if name == _TAG else str(value)


def _octets(name: str, octets: bytes, at: int, stop: int) -> Place:
    return name, at, stop - at, repr(octets[at:stop])
