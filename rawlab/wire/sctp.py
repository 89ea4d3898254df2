"""SCTP packets to facts (RFC 9260 section 3, and the extensions seen in the field).

How it works: a common header, then chunks one behind the other, each a type, flags and a length; `_READERS`
names one function for each type whose fields have a fact, any other type stays an `SctpChunk`. A chunk that
cannot be read ends the packet: `malformed` says what was expected and what came, and the chunks before it
stand. Two ends are kept apart, as in `wire.decode`: the packet's by the IP header, and where the captured
octets end; of a chunk that only the capture cut, what is there is read.

Speed, since the user-space endpoint reads each of its packets here: facts are cast in a mould (`wire.mould`),
and the CRC32c is a C extension's.

What does not belong here: words (`wire.sctp_words`), bytes of one's own (`wire.sctp_build`), what a chunk
means to an association (`endpoints`, `attribution`).
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct, unpack_from

from crc32c import crc32c

from rawlab.model import sctp as m
from rawlab.model.facts import IpHeader, Transport, Undecoded
from rawlab.model.sctp import (
    SctpAuth,
    SctpChunk,
    SctpData,
    SctpError,
    SctpForwardTsn,
    SctpInit,
    SctpPacket,
    SctpParameter,
    SctpParameters,
    SctpSack,
    SctpShutdown,
)
from rawlab.model.serial import Serial
from rawlab.wire import symbols
from rawlab.wire.ip import short
from rawlab.wire.mould import mould

HEADER = 12
"octets of the common header"

ENDLESS = 1 << 30
"where a packet ends whose IP fragment does not tell"

_common_header = Struct("!HHII").unpack_from
_chunk_header = Struct("!BBH").unpack_from
_two_words = Struct("!HH").unpack_from
_quad = Struct("!I").unpack_from
_little_quad = Struct("<I").unpack_from
_data_header = Struct("!IHHI").unpack_from
_i_data_header = Struct("!IHxxII").unpack_from
_init_header = Struct("!IIHHI").unpack_from
_sack_header = Struct("!IIHH").unpack_from
_i_forwarded = Struct("!HHI").unpack_from

_new_packet, _new_chunk, _new_parameter = mould(SctpPacket), mould(SctpChunk), mould(SctpParameter)
_new_data, _new_sack = mould(SctpData), mould(SctpSack)


class _MalformedError(Exception):
    """What was expected and what came."""


def sctp(octets: bytes, at: int, end: int, size: int, ip: IpHeader) -> Transport:
    """The packet at `at`, of `size` octets by the IP header, captured up to `end`."""
    return _packet(octets, at, end, ENDLESS if ip.more_fragments else at + size, ip.more_fragments)


def parse(packet: bytes) -> SctpPacket | Undecoded:
    """A whole packet, from its common header on. Never raises."""
    return _packet(packet, 0, len(packet), len(packet), False)


def checksum(packet: bytes) -> int:
    """The CRC32c of a packet whose checksum counts as 0, as its header would have it (RFC 9260 appendix A)."""
    crc = crc32c(packet[12:], crc32c(b"\0\0\0\0", crc32c(packet[:8])))
    return int.from_bytes(crc.to_bytes(4, "little"), "big")


def _packet(octets: bytes, at: int, end: int, limit: int, fragment: bool) -> SctpPacket | Undecoded:
    """`limit`: where the packet ends by the IP header, at `end` or, where the capture was cut, behind it."""
    if end - at < HEADER:
        return short("SCTP: header", HEADER, end - at)
    source, destination, tag, stored = _common_header(octets, at)
    right = None
    if end == limit:
        (crc,) = _little_quad(octets, at + 8)
        right = crc == crc32c(octets[at + 12 : end], crc32c(b"\0\0\0\0", crc32c(octets[at : at + 8])))
    at += HEADER
    chunks, malformed = _chunks(octets, at, end, limit)
    length = (end if fragment else limit) - at
    packet = _new_packet(source, destination, tag, stored, right, chunks, malformed, (at, end), length)
    packet.__class__ = SctpPacket
    return packet


def _chunks(octets: bytes, at: int, end: int, limit: int) -> tuple[tuple[SctpChunk, ...], str | None]:
    """The chunks up to the first that cannot be read, and why it can't."""
    chunks: list[SctpChunk] = []
    try:
        while at < limit:
            if at >= end and limit == ENDLESS:
                break
            if end - at < 4:
                raise _MalformedError(f"chunk header of 4 octets expected, {max(end - at, 0)} there")
            kind, flags, length = _chunk_header(octets, at)
            stop = at + length
            if length < 4 or stop > limit:
                raise _MalformedError(f"{_name(kind)}: length of 4 to {_most(limit - at)} expected, {length} there")
            reader = _READERS.get(kind)
            if reader is not None:
                chunks.append(reader(octets, at, kind, flags, length, min(stop, end)))
            else:
                chunks.append(_plain(octets, at, kind, flags, length, min(stop, end)))
            if stop > end and kind not in _CUT_WHOLE:
                raise _MalformedError(f"{_name(kind)}: {length} octets expected, {end - at} captured")
            at = stop + (-length & 3)
    except _MalformedError as reason:
        return tuple(chunks), f"SCTP: {reason}"
    return tuple(chunks), None


def _name(kind: int) -> str:
    return symbols.sctp_chunk(kind)


def _most(there: int) -> int:
    """The largest length that a chunk can have where so many octets are left."""
    return min(there, 65535)


# ---- chunks: (frame, where it begins, type, flags, length by its header, where its captured octets end)


def _need(octets: bytes, at: int, kind: int, length: int, stop: int, least: int) -> None:
    """Raises _MalformedError for a chunk too short for its fixed fields, by its own word or by the capture's."""
    if length < least:
        raise _MalformedError(f"{_name(kind)}: length of {least} or more expected, {length} there")
    if stop - at < least:
        raise _MalformedError(f"{_name(kind)}: {least} octets expected, {stop - at} captured")


def _plain(octets: bytes, at: int, kind: int, flags: int, length: int, stop: int) -> SctpChunk:
    chunk = _new_chunk(kind, flags, length, (at + 4, stop))
    chunk.__class__ = SctpChunk
    return chunk


def _data(octets: bytes, at: int, kind: int, flags: int, length: int, stop: int) -> SctpData:
    if stop - at < 16:
        _need(octets, at, kind, length, stop, 16)
    tsn, stream, ssn, ppid = _data_header(octets, at + 4)
    value, data = (at + 4, stop), (at + 16, stop)
    chunk = _new_data(kind, flags, length, value, Serial(tsn), stream, ssn, ppid, None, data, length - 16)
    chunk.__class__ = SctpData
    return chunk


def _i_data(octets: bytes, at: int, kind: int, flags: int, length: int, stop: int) -> SctpData:
    """RFC 8260 section 2.1: a message's first fragment says its PPID, the others their number."""
    _need(octets, at, kind, length, stop, 20)
    tsn, stream, message, last = _i_data_header(octets, at + 4)
    ppid, fsn = (last, 0) if flags & 2 else (0, last)
    value, data = (at + 4, stop), (at + 20, stop)
    chunk = _new_data(kind, flags, length, value, Serial(tsn), stream, message, ppid, fsn, data, length - 20)
    chunk.__class__ = SctpData
    return chunk


def _init(octets: bytes, at: int, kind: int, flags: int, length: int, stop: int) -> SctpInit:
    _need(octets, at, kind, length, stop, 20)
    tag, a_rwnd, outbound, inbound, tsn = _init_header(octets, at + 4)
    return SctpInit(
        type=kind,
        flags=flags,
        length=length,
        value=(at + 4, stop),
        initiate_tag=tag,
        a_rwnd=a_rwnd,
        outbound_streams=outbound,
        inbound_streams=inbound,
        initial_tsn=Serial(tsn),
        parameters=_parameters(octets, at + 20, at + length, stop, kind),
    )


def _sack(octets: bytes, at: int, kind: int, flags: int, length: int, stop: int) -> SctpSack:
    if stop - at < 16:
        _need(octets, at, kind, length, stop, 16)
    cumulative, a_rwnd, blocks, repeats = _sack_header(octets, at + 4)
    gaps: tuple[tuple[int, int], ...] = ()
    duplicates: tuple[Serial, ...] = ()
    if blocks or repeats:
        there = stop - at - 16 >> 2
        if length < 16 + 4 * (blocks + repeats):
            what = f"{blocks} gap blocks and {repeats} duplicates"
            raise _MalformedError(f"{_name(kind)}: {what} expected, {length - 16 >> 2} words there")
        blocks = min(blocks, there)
        edges = iter(unpack_from(f"!{2 * blocks}H", octets, at + 16))
        gaps = tuple(zip(edges, edges, strict=True))
        repeats = min(repeats, there - blocks)
        duplicates = tuple(map(Serial, unpack_from(f"!{repeats}I", octets, at + 16 + 4 * blocks)))
    chunk = _new_sack(kind, flags, length, (at + 4, stop), Serial(cumulative), a_rwnd, gaps, duplicates)
    chunk.__class__ = SctpSack
    return chunk


def _shutdown(octets: bytes, at: int, kind: int, flags: int, length: int, stop: int) -> SctpShutdown:
    _need(octets, at, kind, length, stop, 8)
    tsn = Serial(_quad(octets, at + 4)[0])
    return SctpShutdown(type=kind, flags=flags, length=length, value=(at + 4, stop), cumulative_tsn=tsn)


def _error(octets: bytes, at: int, kind: int, flags: int, length: int, stop: int) -> SctpError:
    causes = _parameters(octets, at + 4, at + length, stop, kind)
    return SctpError(type=kind, flags=flags, length=length, value=(at + 4, stop), causes=causes)


def _list(octets: bytes, at: int, kind: int, flags: int, length: int, stop: int) -> SctpParameters:
    """HEARTBEAT, HEARTBEAT ACK, RE-CONFIG."""
    parameters = _parameters(octets, at + 4, at + length, stop, kind)
    return SctpParameters(type=kind, flags=flags, length=length, value=(at + 4, stop), parameters=parameters)


def _asconf(octets: bytes, at: int, kind: int, flags: int, length: int, stop: int) -> SctpParameters:
    """ASCONF and ASCONF-ACK (RFC 5061 section 4.1): a serial number before the parameters."""
    _need(octets, at, kind, length, stop, 8)
    return SctpParameters(
        type=kind,
        flags=flags,
        length=length,
        value=(at + 4, stop),
        serial=_quad(octets, at + 4)[0],
        parameters=_parameters(octets, at + 8, at + length, stop, kind),
    )


def _forward_tsn(octets: bytes, at: int, kind: int, flags: int, length: int, stop: int) -> SctpForwardTsn:
    """Streams of 4 octets each; of 8 in I-FORWARD-TSN, which also says which are unordered."""
    size = 8 if kind == m.I_FORWARD_TSN else 4
    _need(octets, at, kind, length, stop, 8)
    if (length - 8) % size:
        raise _MalformedError(f"{_name(kind)}: streams of {size} octets expected, {length - 8} octets there")
    streams = []
    for place in range(at + 8, stop - size + 1, size):
        if size == 8:
            stream, unordered, number = _i_forwarded(octets, place)
            streams.append((stream, number, bool(unordered & 1)))
        else:
            streams.append((*_two_words(octets, place), False))
    return SctpForwardTsn(
        type=kind,
        flags=flags,
        length=length,
        value=(at + 4, stop),
        cumulative_tsn=Serial(_quad(octets, at + 4)[0]),
        streams=tuple(streams),
    )


def _auth(octets: bytes, at: int, kind: int, flags: int, length: int, stop: int) -> SctpAuth:
    _need(octets, at, kind, length, stop, 8)
    key, hmac = _two_words(octets, at + 4)
    return SctpAuth(type=kind, flags=flags, length=length, value=(at + 4, stop), key=key, hmac=hmac)


def _parameters(octets: bytes, at: int, last: int, stop: int, kind: int) -> tuple[SctpParameter, ...]:
    """The parameters (section 3.2.1) or causes up to `last`, those that were captured, which is up to `stop`."""
    found = []
    while at < last:
        if last - at < 4:
            raise _MalformedError(f"{_name(kind)}: parameter header of 4 octets expected, {last - at} there")
        if stop - at < 4:
            break
        number, length = _two_words(octets, at)
        if length < 4 or at + length > last:
            raise _MalformedError(f"{_name(kind)}: parameter length of 4 to {last - at} expected, {length} there")
        if at + length > stop:
            break
        parameter = _new_parameter(number, octets[at + 4 : at + length])
        parameter.__class__ = SctpParameter
        found.append(parameter)
        at += length + (-length & 3)
    return tuple(found)


_CUT_WHOLE = frozenset({m.DATA, m.I_DATA})
"chunks that are whole facts even where the capture cut their end, as segments are"

_READERS: dict[int, Callable[[bytes, int, int, int, int, int], SctpChunk]] = {
    m.DATA: _data,
    m.INIT: _init,
    m.INIT_ACK: _init,
    m.SACK: _sack,
    m.HEARTBEAT: _list,
    m.HEARTBEAT_ACK: _list,
    m.ABORT: _error,
    m.SHUTDOWN: _shutdown,
    m.ERROR: _error,
    m.AUTH: _auth,
    m.I_DATA: _i_data,
    m.ASCONF_ACK: _asconf,
    m.RE_CONFIG: _list,
    m.FORWARD_TSN: _forward_tsn,
    m.ASCONF: _asconf,
    m.I_FORWARD_TSN: _forward_tsn,
}
"""What each type carries."""
