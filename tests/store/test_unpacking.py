"""gzip and Zstandard: all that is whole comes out, in bounded pieces, and then it is told what is not."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest
import zstandard

from rawlab.store import unpacking
from rawlab.store.unpacking import GZIP, ZSTD, Broken

TEXT = random.Random(1).randbytes(3000) + b"and again, " * 9000
SKIPPABLE = b"\x5a\x2a\x4d\x18\5\0\0\0hello"


def zstd(data: bytes = TEXT, *, checksum: bool = True) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=checksum).compress(data)


PACKED = {
    GZIP: gzip.compress(TEXT, mtime=0),
    ZSTD: zstd(),
}


def unpack(data: bytes, kind: str) -> tuple[bytes, str | None]:
    """What comes out, and what is broken."""
    out = b""
    try:
        for piece in unpacking.unpacked(memoryview(data), kind):
            assert len(piece) <= 1 << 20
            out += piece
    except Broken as broken:
        return out, str(broken)
    return out, None


@pytest.mark.parametrize("kind", [GZIP, ZSTD])
def test_what_was_packed_comes_out(kind: str) -> None:
    """And is told by how it begins."""
    assert unpacking.packing(PACKED[kind][:4]) == kind
    assert unpack(PACKED[kind], kind) == (TEXT, None)


@pytest.mark.parametrize("beginning", [b"", b"\x1f", b"\xd4\xc3\xb2\xa1", b"\n\r\r\n", b"\x2a\x4d\x18"])
def test_what_is_not_packed_is_not_unpacked(beginning: bytes) -> None:
    """A capture is itself."""
    assert unpacking.packing(beginning) is None


def test_members_and_frames_follow_one_another() -> None:
    """gzip's (RFC 1952) and zstd's (RFC 8878), whose skippable frames are passed over wherever they stand."""
    assert unpack(PACKED[GZIP] * 3, GZIP) == (TEXT * 3, None)
    data = SKIPPABLE + zstd(b"a") + SKIPPABLE + zstd(b"b", checksum=False) + zstd(b"") + SKIPPABLE
    assert unpacking.packing(data[:4]) == ZSTD
    assert unpack(data, ZSTD) == (b"ab", None)


def test_a_gzip_header_may_hold_a_name_a_comment_and_more() -> None:
    """FEXTRA, FNAME, FCOMMENT, FHCRC (RFC 1952 section 2.3.1)."""
    body = PACKED[GZIP][10:]
    head = b"\x1f\x8b\x08\x1e" + bytes(6) + b"\4\0more" + b"x.pcap\0" + b"a comment\0" + b"\0\0"
    assert unpack(head + body, GZIP) == (TEXT, None)
    for size in range(2, len(head)):
        assert unpack(head[:size], GZIP) == (b"", f"the gzip stream breaks off at octet {size}")


def test_zeros_behind_a_gzip_file_fill_a_tape_s_block() -> None:
    """gzip(1) passes over them; of anything else it is told, for it may have been a member."""
    assert unpack(PACKED[GZIP] + bytes(70_000), GZIP) == (TEXT, None)
    told = f"what follows the gzip stream is no member of it at octet {len(PACKED[GZIP])}"
    assert unpack(PACKED[GZIP] + b"\0rubbish", GZIP) == (TEXT, told)


def test_what_follows_a_zstd_frame_must_be_one() -> None:
    """zstd(1) refuses it as well."""
    size = len(PACKED[ZSTD])
    for more in (bytes(4), b"x", b"\x28\xb5", b"\x50\x2a\x4d\x18"):
        assert unpack(PACKED[ZSTD] + more, ZSTD) == (TEXT, f"what follows the zstd frame is no frame at octet {size}")
    told = f"the zstd frame breaks off at octet {size + len(SKIPPABLE) - 1}"
    assert unpack(PACKED[ZSTD] + SKIPPABLE[:-1], ZSTD) == (TEXT, told)


@pytest.mark.parametrize("kind", [GZIP, ZSTD])
def test_what_breaks_off_gives_what_is_whole(kind: str) -> None:
    """Wherever it was cut."""
    whole = PACKED[kind]
    last = 0
    for size in [*range(4, 40), *range(40, len(whole) - 20, 97), *range(len(whole) - 20, len(whole))]:
        out, told = unpack(whole[:size], kind)
        assert told is not None
        assert f"breaks off at octet {size}" in told
        assert TEXT.startswith(out)
        assert len(out) >= last
        last = len(out)
    assert last == len(TEXT)


@pytest.mark.parametrize("flipped", range(10, 3000, 311))
def test_a_damaged_gzip_stream_gives_what_stands_before(flipped: int) -> None:
    """To the very octet: as much as an octet at a time would give."""
    words = " ".join(str(number * number) for number in range(2000)).encode()
    data = bytearray(gzip.compress(words, mtime=0))
    data[flipped] ^= 0xFF
    stream, expected = zlib.decompressobj(wbits=-15), b""
    at = 10
    try:
        while not stream.eof:
            expected += stream.decompress(data[at : at + 1])
            at += 1
    except zlib.error:
        assert unpack(bytes(data), GZIP) == (expected, f"the gzip stream is damaged at octet {at}")
    else:
        assert unpack(bytes(data), GZIP)[0] == expected


@pytest.mark.parametrize("kind", [GZIP, ZSTD])
def test_a_wrong_checksum_is_told(kind: str) -> None:
    """Behind all that came out: it may be right, or not."""
    data = bytearray(PACKED[kind])
    data[-5 if kind == GZIP else -1] ^= 1
    out, told = unpack(bytes(data), kind)
    assert out == TEXT
    assert told is not None
    assert "checksum" in told


def test_a_gzip_method_that_does_not_exist_is_told() -> None:
    """As are flags that RFC 1952 reserves."""
    told = "the gzip stream is of a kind that RFC 1952 does not know at octet 0"
    assert unpack(b"\x1f\x8b\x09\x00" + bytes(20), GZIP) == (b"", told)
    assert unpack(b"\x1f\x8b\x08\x20" + bytes(20), GZIP) == (b"", told)


def test_a_window_larger_than_zstd_s_own_limit_is_told() -> None:
    """zstd(1) takes 128 MiB without --long: more would be held in memory."""
    parameters = zstandard.ZstdCompressionParameters(window_log=29)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    out, told = unpack(packer.compress(TEXT) + packer.flush(), ZSTD)
    assert out == b""
    assert told is not None
    assert "memory" in told


def test_how_much_may_come_out_depends_on_how_much_went_in() -> None:
    """16 MiB always, 256 octets for one, 4 GiB at the most."""
    assert [unpacking.most(size) for size in (0, 1 << 20, 1 << 40)] == [16 << 20, 272 << 20, 4 << 30]
