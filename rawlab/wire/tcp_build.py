"""The octets of TCP segments: header, options, payload, checksum (RFC 9293 section 3.1; RFC 7323, RFC 2018).

Numbers are taken as they are: what makes sense to send, and when, is the endpoint's matter; a header may lie where
`offset`, `reserved` or `checksum` says so.

The checksum is one's complement arithmetic, which is arithmetic modulo 65,535: 2^16 leaves 1, so that a whole segment,
read as one number, leaves what its 16-bit words leave together. Python divides a long number much faster than it adds
many short ones.

>>> segment(40000, 7, 1, 0, SYN, 65535, options=mss(1460), ends=pseudo("10.0.0.1", "10.0.0.2")).hex(" ", 4)
'9c400007 00000001 00000000 6002ffff 43010000 020405b4'
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from struct import Struct

from rawlab.wire.symbols import TCP_FLAGS

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32

END, NOP, MSS, WINDOW_SCALE, SACK_PERMITTED, SACK, TIMESTAMPS = 0, 1, 2, 3, 4, 5, 8
"option kinds"

FLAGS = tuple(TCP_FLAGS)
PROTOCOL = 6
ONES = 0xFFFF
"the modulus"
LONG = 256
FOLDS = tuple((bits, (1 << bits) - 1) for bits in (5888, 2944, 1472, 736))
"multiples of 16 bits, halves of what a packet of 1500 octets holds"

_header = Struct("!HHIIHHHH").pack
_mss = Struct("!BBH").pack
_timestamps = Struct("!HBBII").pack
_pair = Struct("!II").pack


def flag_bits(letters: str) -> int:
    """The bits of flags: 'SA' is SYN and ACK."""
    return sum(1 << FLAGS.index(letter) for letter in set(letters))


@lru_cache(maxsize=4096)
def pseudo(source: str, destination: str) -> int:
    """What the pseudo-header leaves, but for the length (RFC 9293 section 3.1, RFC 8200 section 8.1)."""
    ends = ip_address(source).packed + ip_address(destination).packed
    return (int.from_bytes(ends, "big") + PROTOCOL) % ONES


def residue(octets: bytes | bytearray) -> int:
    """What octets leave modulo 65,535, padded with a zero octet if need be."""
    number = int.from_bytes(octets, "big")
    if len(octets) > LONG:  # folded, since a division takes longer than to add
        for bits, mask in FOLDS:
            number = (number >> bits) + (number & mask)
    number %= ONES
    return number << 8 if len(octets) & 1 else number


def is_right(octets: bytes, ends: int) -> bool:
    """Whether the checksum of a whole segment is right; `ends` is `pseudo()` of its addresses."""
    return (residue(octets) + ends + len(octets)) % ONES == 0


def segment(
    source_port: int,
    destination_port: int,
    seq: int,
    ack: int,
    flags: int,
    window: int,
    *,
    ends: int,
    options: bytes = b"",
    payload: bytes | bytearray = b"",
    urgent: int = 0,
    offset: int | None = None,
    reserved: int = 0,
    checksum: int | None = None,
) -> bytes:
    """A segment. `ends` is `pseudo()` of the addresses, `options` a multiple of four octets long (`padded`).

    `offset` (words of 32 bits) and `checksum` are found where they are not given.
    """
    header = 20 + len(options)
    words = (header >> 2 if offset is None else offset) << 12 | reserved << 9 | flags
    if checksum is None:
        rest = source_port + destination_port + seq + ack + words + window + urgent + header + len(payload) + ends
        if options:
            rest += int.from_bytes(options, "big")
        if payload:
            rest += residue(payload)
        checksum = -rest % ONES
    return _header(source_port, destination_port, seq, ack, words, window, checksum, urgent) + options + payload


def padded(*options: bytes) -> bytes:
    """Options behind one another, No-Operation up to a multiple of four octets."""
    octets = b"".join(options)
    return octets + b"\x01" * (-len(octets) % 4)


def option(kind: int, value: bytes = b"") -> bytes:
    """Any option that has a length (RFC 9293 section 3.1)."""
    return bytes((kind, len(value) + 2)) + value


def mss(octets: int) -> bytes:
    """Maximum segment size (RFC 9293 section 3.7.1)."""
    return _mss(MSS, 4, octets)


def window_scale(shift: int) -> bytes:
    """RFC 7323 section 2.2."""
    return bytes((WINDOW_SCALE, 3, shift))


def sack_permitted() -> bytes:
    """RFC 2018 section 2."""
    return bytes((SACK_PERMITTED, 2))


def sack(blocks: Sequence[tuple[int, int]]) -> bytes:
    """RFC 2018 section 3: (left edge, right edge) of each block."""
    return option(SACK, b"".join(_pair(left, right) for left, right in blocks))


def timestamps(value: int, echo: int) -> bytes:
    """With two No-Operations before it, as RFC 7323 appendix A has it."""
    return _timestamps(0x0101, TIMESTAMPS, 10, value, echo)
