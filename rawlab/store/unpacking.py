"""Captures that are compressed: gzip (RFC 1952) and Zstandard (RFC 8878), told by how they begin, never by a name.

`unpacked` gives the octets piece by piece, of all members or frames one after the other, in bounded memory; where the
packing breaks off or is damaged, all that is whole has been given, and `Broken` says where and why. A few octets may
stand for millions: `most` says how many may come out.

What does not belong here: where the octets go (`opening`).
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator

GZIP, ZSTD = "gzip", "zstd"
MOST, FLOOR, RATIO = 4 << 30, 16 << 20, 256
"octets that may come out: at the most; always; and for each that went in"
_MEMBER = b"\x1f\x8b"  # RFC 1952 section 2.3.1
_FRAME = b"\x28\xb5\x2f\xfd"  # RFC 8878 section 3.1.1
_PIECE, _MOST_AT_ONCE = 1 << 16, 1 << 20
_HEADER_CRC, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16  # RFC 1952 section 2.3.1, FLG
_RUN = 1  # RFC 8878 section 3.1.1.2.2, RLE_Block
_WINDOW = 128 << 20  # what zstd(1) takes without --long


class Broken(Exception):
    """The packing ceases to be whole."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(f"{why} at octet {offset}")
        self.offset = offset
        self.why = why


def packing(beginning: bytes) -> str | None:
    """GZIP, ZSTD, or None where the octets that begin a file are neither's."""
    if beginning[:2] == _MEMBER:
        return GZIP
    return ZSTD if beginning[:4] == _FRAME or _is_skippable(beginning) else None


def most(size: int) -> int:
    """How many octets may come out of so many: captures give 2 to 150 for one, deflate can give 1,032, zstd 32,768."""
    return min(MOST, FLOOR + RATIO * size)


def unpacked(packed: memoryview, kind: str) -> Iterator[bytes]:
    """The octets in pieces of 1 MiB at the most. Raises Broken behind all that is whole."""
    return _gunzip(packed) if kind == GZIP else _unzstd(packed)


# ------------------------------------------------------------------------------------------------- gzip


def _gunzip(packed: memoryview) -> Iterator[bytes]:
    """Members one after the other, and zeros that fill the last block of a tape, as gzip(1)."""
    at = 0
    while at < len(packed):
        if bytes(packed[at : at + 2]) != _MEMBER:
            if _is_zero(packed[at:]):
                return
            raise Broken(at, "what follows the gzip stream is no member of it")
        at = yield from _member(packed, at)


def _is_zero(view: memoryview) -> bool:
    return all(not any(view[at : at + _PIECE]) for at in range(0, len(view), _PIECE))


def _member(packed: memoryview, begins: int) -> Generator[bytes, None, int]:
    """One member (RFC 1952 section 2.3). Returns where it ends."""
    at, crc, size = _after_header(packed, begins), 0, 0
    stream = zlib.decompressobj(wbits=-15)
    while not stream.eof:
        tail = stream.unconsumed_tail or bytes(packed[at : at + _PIECE])
        at += 0 if stream.unconsumed_tail else len(tail)
        before = stream.copy()
        try:
            piece = stream.decompress(tail, _MOST_AT_ONCE)
        except zlib.error:
            piece, whole = _as_far_as_whole(before, tail)
            yield piece
            raise Broken(at - len(tail) + whole, "the gzip stream is damaged") from None
        if not piece and not tail and not stream.eof:
            raise _cut(packed)
        crc, size = zlib.crc32(piece, crc), size + len(piece)
        yield piece
    at -= len(stream.unused_data)
    trailer = bytes(packed[at : at + 8])
    if len(trailer) < 8:
        raise _cut(packed)
    if trailer != crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little"):
        raise Broken(at, "the gzip stream's checksum is not that of its octets")
    return at + 8


def _cut(packed: memoryview) -> Broken:
    return Broken(len(packed), "the gzip stream breaks off")


def _as_far_as_whole(stream: zlib._Decompress, tail: bytes) -> tuple[bytes, int]:
    """What comes out before the error, and the octet that makes it."""
    found = []
    for at in range(len(tail)):
        try:
            found.append(stream.decompress(tail[at : at + 1]))
        except zlib.error:
            return b"".join(found), at
    return b"".join(found), len(tail)


def _after_header(packed: memoryview, at: int) -> int:
    """Where a member's deflated octets begin. Raises Broken."""
    head = bytes(packed[at : at + 10])
    if len(head) < 10:
        raise _cut(packed)
    method, flags = head[2:4]
    if method != 8 or flags & 0xE0:
        raise Broken(at, "the gzip stream is of a kind that RFC 1952 does not know")
    at += 10
    if flags & _EXTRA:
        at += 2 + int.from_bytes(packed[at : at + 2], "little")
    for _ in range((flags & _NAME != 0) + (flags & _COMMENT != 0)):
        at = _after_text(packed, at)
    at += 2 if flags & _HEADER_CRC else 0
    if at > len(packed):
        raise _cut(packed)
    return at


def _after_text(packed: memoryview, at: int) -> int:
    """Behind the zero that ends it."""
    for begins in range(at, len(packed), _PIECE):
        if (zero := bytes(packed[begins : begins + _PIECE]).find(0)) >= 0:
            return begins + zero + 1
    raise _cut(packed)


# ------------------------------------------------------------------------------------------------- zstd


def _unzstd(packed: memoryview) -> Iterator[bytes]:
    """Frames one after the other, the skippable ones passed over."""
    at = 0
    while at < len(packed):
        beginning = bytes(packed[at : at + 8])
        if _is_skippable(beginning) and len(beginning) == 8:
            at += 8 + int.from_bytes(beginning[4:], "little")
        elif beginning[:4] == _FRAME:
            at = yield from _frame(packed, at)
        else:
            raise Broken(at, "what follows the zstd frame is no frame")
    if at > len(packed):
        raise Broken(len(packed), "the zstd frame breaks off")


def _is_skippable(beginning: bytes) -> bool:
    """RFC 8878 section 3.1.2: 0x184D2A50 to 0x184D2A5F."""
    return len(beginning) >= 4 and beginning[1:4] == b"\x2a\x4d\x18" and beginning[0] & 0xF0 == 0x50


def _frame(packed: memoryview, begins: int) -> Generator[bytes, None, int]:
    """One frame (RFC 8878 section 3.1.1), fed block by block: 128 KiB come out of each. Returns where it ends."""
    from zstandard import ZstdDecompressor, ZstdError

    stream = ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    for at, end in _parts(packed, begins):
        if end > len(packed):
            raise Broken(len(packed), "the zstd frame breaks off")
        try:
            yield stream.decompress(packed[at:end])
        except ZstdError as error:
            raise Broken(at, f"the zstd frame is damaged ({str(error).rpartition(': ')[2]})") from None
    return end


def _parts(packed: memoryview, at: int) -> Iterator[tuple[int, int]]:
    """(first octet, octet behind the last) of the frame's header, of each of its blocks, and of its checksum."""
    descriptor = packed[at + 4] if at + 4 < len(packed) else 0
    single, content = descriptor & 0x20, descriptor >> 6
    end = at + 5 + (not single) + (0, 1, 2, 4)[descriptor & 3] + ((1 if single else 0, 2, 4, 8)[content])
    yield at, end
    last = False
    while not last:
        at = end
        head = int.from_bytes(packed[at : at + 3], "little")
        last, kind, size = bool(head & 1), head >> 1 & 3, head >> 3
        end = at + 3 + (1 if kind == _RUN else size)
        yield at, end
    if descriptor & 4:
        yield end, end + 4
