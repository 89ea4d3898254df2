"""The octets of SCTP packets: one function for each chunk of RFC 9260 section 3 and for what stands in it.

A chunk is its octets, padded to a multiple of four; `packet()` puts chunks behind a common header and fills in
the CRC32c. Numbers are taken as they are: what makes sense to send, and when, is the endpoint's matter.

>>> packet(40000, 7, 0, [init(INIT, 1, 65536, 10, 10, 1)]).hex(" ", 4)
'9c400007 00000000 0d6c68a9 01000014 00000001 00010000 000a000a 00000001'
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from struct import Struct

from crc32c import crc32c

from rawlab.model import sctp as m
from rawlab.model.serial import Serial

BEGINS, ENDS, UNORDERED, IMMEDIATE = 2, 1, 4, 8
"the flags of DATA: B, E, U, I"

TAG_REFLECTED = 1
"the flag T of ABORT and SHUTDOWN COMPLETE: the verification tag is the one that was received (section 8.5.1)"

HEARTBEAT_INFO, IPV4_ADDRESS, IPV6_ADDRESS, STATE_COOKIE, UNRECOGNIZED = 1, 5, 6, 7, 8
"parameters (section 3.3.2.1, 3.3.3.1)"

_common_header = Struct("!HHII").pack
_stored = Struct("<I").pack
_chunk_header = Struct("!BBH").pack
_two_words = Struct("!HH").pack
_quad = Struct("!I").pack
_data_chunk = Struct("!BBHIHHI").pack
_i_data_chunk = Struct("!BBHIHxxII").pack
_init_body = Struct("!IIHHI").pack
_sack_body = Struct("!IIHH").pack
_padding = (b"", b"\0\0\0", b"\0\0", b"\0")
"what pads a length that is 0, 1, 2 or 3 more than a multiple of four"


def packet(source_port: int, destination_port: int, verification_tag: int, chunks: Iterable[bytes] = ()) -> bytes:
    """A common header with its CRC32c (section 3.1, appendix A), and the chunks."""
    header, body = _common_header(source_port, destination_port, verification_tag, 0), b"".join(chunks)
    return header[:8] + _stored(crc32c(body, crc32c(header))) + body


def chunk(type: int, flags: int = 0, value: bytes = b"") -> bytes:
    """Any chunk: a header, its value, padding (section 3.2)."""
    return _chunk_header(type, flags, len(value) + 4) + value + _padding[len(value) & 3]


def parameter(type: int, value: bytes = b"") -> bytes:
    """A parameter or a cause, padded (sections 3.2.1, 3.3.10)."""
    return _two_words(type, len(value) + 4) + value + _padding[len(value) & 3]


cause = parameter


def data(tsn: int | Serial, stream: int, ssn: int, ppid: int, flags: int, payload: bytes) -> bytes:
    """DATA (section 3.3.1)."""
    header = _data_chunk(m.DATA, flags, 16 + len(payload), number(tsn), stream, ssn, ppid)
    return header + payload + _padding[len(payload) & 3]


def i_data(tsn: int | Serial, stream: int, mid: int, ppid_or_fsn: int, flags: int, payload: bytes) -> bytes:
    """I-DATA (RFC 8260 section 2.1): with the flag B its PPID, else its fragment sequence number."""
    header = _i_data_chunk(m.I_DATA, flags, 20 + len(payload), number(tsn), stream, mid, ppid_or_fsn)
    return header + payload + _padding[len(payload) & 3]


def init(
    type: int,
    initiate_tag: int,
    a_rwnd: int,
    outbound_streams: int,
    inbound_streams: int,
    initial_tsn: int | Serial,
    parameters: Iterable[bytes] = (),
) -> bytes:
    """INIT or INIT ACK (sections 3.3.2, 3.3.3)."""
    body = _init_body(initiate_tag, a_rwnd, outbound_streams, inbound_streams, number(initial_tsn))
    return chunk(type, 0, body + unpadded(parameters))


def sack(
    cumulative_tsn: int | Serial,
    a_rwnd: int,
    gaps: Sequence[tuple[int, int]] = (),
    duplicates: Sequence[int | Serial] = (),
) -> bytes:
    """SACK (section 3.3.4); gaps are counted from the cumulative TSN."""
    body = _sack_body(number(cumulative_tsn), a_rwnd, len(gaps), len(duplicates))
    body += b"".join(_two_words(start, end) for start, end in gaps)
    return chunk(m.SACK, 0, body + b"".join(_quad(number(tsn)) for tsn in duplicates))


def heartbeat(info: bytes) -> bytes:
    """HEARTBEAT (section 3.3.5)."""
    return chunk(m.HEARTBEAT, 0, unpadded([parameter(HEARTBEAT_INFO, info)]))


def heartbeat_ack(info: bytes) -> bytes:
    """HEARTBEAT ACK with the information of the HEARTBEAT (section 3.3.6)."""
    return chunk(m.HEARTBEAT_ACK, 0, unpadded([parameter(HEARTBEAT_INFO, info)]))


def abort(causes: Iterable[bytes] = (), *, reflected: bool = False) -> bytes:
    """ABORT (section 3.3.7)."""
    return chunk(m.ABORT, TAG_REFLECTED if reflected else 0, unpadded(causes))


def error(causes: Iterable[bytes]) -> bytes:
    """ERROR (section 3.3.10)."""
    return chunk(m.ERROR, 0, unpadded(causes))


def shutdown(cumulative_tsn: int | Serial) -> bytes:
    """SHUTDOWN (section 3.3.8)."""
    return chunk(m.SHUTDOWN, 0, _quad(number(cumulative_tsn)))


def shutdown_ack() -> bytes:
    """SHUTDOWN ACK (section 3.3.9)."""
    return chunk(m.SHUTDOWN_ACK)


def shutdown_complete(*, reflected: bool = False) -> bytes:
    """SHUTDOWN COMPLETE (section 3.3.13)."""
    return chunk(m.SHUTDOWN_COMPLETE, TAG_REFLECTED if reflected else 0)


def cookie_echo(cookie: bytes) -> bytes:
    """COOKIE ECHO (section 3.3.11)."""
    return chunk(m.COOKIE_ECHO, 0, cookie)


def cookie_ack() -> bytes:
    """COOKIE ACK (section 3.3.12)."""
    return chunk(m.COOKIE_ACK)


def ecne(lowest_tsn: int | Serial) -> bytes:
    """ECNE (RFC 9260 appendix B)."""
    return chunk(m.ECNE, 0, _quad(number(lowest_tsn)))


def cwr(lowest_tsn: int | Serial) -> bytes:
    """CWR (RFC 9260 appendix B)."""
    return chunk(m.CWR, 0, _quad(number(lowest_tsn)))


def forward_tsn(cumulative_tsn: int | Serial, streams: Iterable[tuple[int, int]] = ()) -> bytes:
    """FORWARD-TSN with (stream, SSN) of what is skipped (RFC 3758 section 3.2)."""
    return chunk(m.FORWARD_TSN, 0, _quad(number(cumulative_tsn)) + b"".join(_two_words(*pair) for pair in streams))


def i_forward_tsn(cumulative_tsn: int | Serial, streams: Iterable[tuple[int, int, bool]] = ()) -> bytes:
    """I-FORWARD-TSN with (stream, MID, whether unordered) of what is skipped (RFC 8260 section 2.3.1)."""
    skipped = (_two_words(stream, unordered) + _quad(mid) for stream, mid, unordered in streams)
    return chunk(m.I_FORWARD_TSN, 0, _quad(number(cumulative_tsn)) + b"".join(skipped))


def asconf(serial: int, parameters: Iterable[bytes], *, ack: bool = False) -> bytes:
    """ASCONF (RFC 5061 section 4.1.1: the first parameter is an address), or ASCONF-ACK (section 4.1.2)."""
    return chunk(m.ASCONF_ACK if ack else m.ASCONF, 0, _quad(serial) + unpadded(parameters))


def auth(key: int, hmac: int, digest: bytes) -> bytes:
    """AUTH (RFC 4895 section 4.1)."""
    return chunk(m.AUTH, 0, _two_words(key, hmac) + digest)


def re_config(parameters: Iterable[bytes]) -> bytes:
    """RE-CONFIG (RFC 6525 section 3.1)."""
    return chunk(m.RE_CONFIG, 0, unpadded(parameters))


def pad(octets: int) -> bytes:
    """PAD of so many octets of padding data (RFC 4820 section 3)."""
    return chunk(m.PAD, 0, bytes(octets))


def address(text: str) -> bytes:
    """An IPv4 (5) or IPv6 (6) address parameter (section 3.3.2.1)."""
    packed = ip_address(text).packed
    return parameter(IPV4_ADDRESS if len(packed) == 4 else IPV6_ADDRESS, packed)


def unpadded(parameters: Iterable[bytes]) -> bytes:
    """Parameters one behind the other; a chunk's length does not count the last one's padding (section 3.2)."""
    listed = list(parameters)
    if not listed:
        return b""
    last = listed[-1]
    return b"".join(listed[:-1]) + last[: int.from_bytes(last[2:4], "big")]


def number(value: int | Serial) -> int:
    """The 32 bits of a TSN."""
    return value.value if isinstance(value, Serial) else value
