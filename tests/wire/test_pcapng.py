"""The pcapng format: blocks written and read, options, resolutions, byte orders. Damage: test_pcapng_damage.py."""

from __future__ import annotations

import struct
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.wire import pcapng
from rawlab.wire.pcapng import Block, Damage, Interface, PacketRecord

ETHERNET = Interface(linktype=1, snaplen=pcapng.MAX_PACKET, ticks_per_second=10**9, name="eth0")
RECORDS = st.builds(
    PacketRecord,
    interface=st.just(0),
    at_ns=st.integers(0, (1 << 63) - 1),
    data=st.binary(max_size=70).map(memoryview),
    length=st.integers(0, (1 << 32) - 1),
    direction=st.sampled_from([0, pcapng.INBOUND, pcapng.OUTBOUND]),
    comments=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=3).map(tuple),
)


def only(data: bytes) -> Block:
    """The one block of these octets."""
    (block,) = pcapng.blocks(data)
    return block


def foreign(order: Literal["<", ">"], type: int, body: bytes) -> bytes:
    """A block in the given byte order."""
    body += bytes(-len(body) % 4)
    total = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", type) + total + body + total


def section(order: Literal["<", ">"]) -> bytes:
    """A section header in the given byte order."""
    return foreign(order, pcapng.SECTION_HEADER, struct.pack(order + "IHHq", pcapng.BYTE_ORDER_MAGIC, 1, 0, -1))


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


@given(st.integers(0, (1 << 32) - 1).filter(lambda n: n != pcapng.SECTION_HEADER), st.binary(max_size=50))
def test_a_block_comes_back(type: int, body: bytes) -> None:
    """Its type and body, filled with zeros to a multiple of 4."""
    data = pcapng.block(type, body)
    found = only(data)
    assert (found.type, bytes(found.body)) == (type, body + bytes(-len(body) % 4))
    assert len(data) % 4 == 0


@given(st.lists(st.tuples(st.integers(1, 0xFFFF), st.binary(max_size=20)), max_size=6))
def test_options_come_back(items: list[tuple[int, bytes]]) -> None:
    """In order, each with its own length; none are no octets at all."""
    packed = pcapng.options(items)
    assert pcapng.read_options(memoryview(packed), 0, "=") == items
    assert len(packed) % 4 == 0
    assert bool(packed) == bool(items)


@given(RECORDS)
def test_a_packet_comes_back(record: PacketRecord) -> None:
    """Time to the nanosecond, octets, length on the wire, direction and comments."""
    assert pcapng.read_packet(only(pcapng.enhanced_packet(record)), [ETHERNET]) == record


@given(
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.lists(st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)),
)
def test_an_interface_comes_back(name: str, addresses: list[bytes]) -> None:
    """Its name, its addresses, and that its stamps are nanoseconds."""
    found = pcapng.read_interface(only(pcapng.interface_description(113, name, addresses, snaplen=96)))
    assert found == Interface(linktype=113, snaplen=96, ticks_per_second=10**9, name=name, addresses=tuple(addresses))


@given(st.integers(0, 1 << 62), st.integers(0, 1 << 62))
def test_statistics_come_back(captured: int, dropped: int) -> None:
    """Received is captured and dropped together."""
    block = only(pcapng.interface_statistics(3, 5, captured, dropped))
    assert pcapng.read_statistics(block) == (3, captured, dropped)


def test_statistics_of_other_writers() -> None:
    """dumpcap counts received and dropped; who counts nothing says nothing."""

    def read(items: list[tuple[int, int]]) -> tuple[int, int | None, int | None]:
        packed = pcapng.options([(code, struct.pack("=Q", count)) for code, count in items])
        return pcapng.read_statistics(only(pcapng.block(pcapng.STATISTICS, bytes(12) + packed)))

    assert read([(pcapng.ISB_IFRECV, 10), (pcapng.ISB_IFDROP, 3)]) == (0, 7, 3)
    assert read([(pcapng.ISB_IFRECV, 10)]) == (0, 10, None)
    assert read([(pcapng.ISB_IFRECV, 1), (pcapng.ISB_IFDROP, 3)]) == (0, 0, 3)
    assert read([]) == (0, None, None)


@pytest.mark.parametrize("order", ["<", ">"])
def test_either_byte_order_is_read(order: Literal["<", ">"]) -> None:
    """Also both in one file, section by section: an interface is its section's own."""
    body = struct.pack(order + "IIIII", 0, 0, 1_500_000, 3, 60) + b"abc\0" + option(order, pcapng.COMMENT, b"hi")
    file = (
        section(order)
        + foreign(order, pcapng.INTERFACE, struct.pack(order + "HHI", 147, 0, 96))
        + foreign(order, pcapng.ENHANCED_PACKET, body)
    )
    header, interface, packet = pcapng.blocks(file)
    assert (header.section, packet.section, packet.order) == (0, 0, order)
    assert pcapng.read_interface(interface) == Interface(linktype=147, snaplen=96)
    found = pcapng.read_packet(packet, [pcapng.read_interface(interface)])
    assert (bytes(found.data), found.length, found.at_ns, found.comments) == (b"abc", 60, 1_500_000_000, ("hi",))
    both = list(pcapng.blocks(section("<") + section(">") + section(order)))
    assert [(block.order, block.section) for block in both] == [("<", 0), (">", 1), (order, 2)]


@pytest.mark.parametrize(
    ("resolution", "ticks", "at_ns"),
    [
        (None, 1_000_001, 1_000_001_000),
        (b"\x00", 3, 3_000_000_000),
        (b"\x03", 1_001, 1_001_000_000),
        (b"\x09", 1_000_000_001, 1_000_000_001),
        (b"\x0c", 1_500, 1),
        (b"\x81", 3, 1_500_000_000),
        (b"\x94", 1 << 20, 1_000_000_000),
        (b"\xbf", 1 << 63, 1_000_000_000),
    ],
)
def test_time_stamps_of_any_resolution_are_nanoseconds(resolution: bytes | None, ticks: int, at_ns: int) -> None:
    """Powers of ten and of two, exactly: no float takes part."""
    items = [(pcapng.IF_TSRESOL, resolution)] if resolution else []
    interface = pcapng.read_interface(only(pcapng.block(1, struct.pack("=HHI", 1, 0, 0) + pcapng.options(items))))
    body = struct.pack("=IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, 0, 0)
    assert pcapng.read_packet(only(pcapng.block(6, body)), [interface]).at_ns == at_ns


@pytest.mark.parametrize("seconds", [5, -5, 1_700_000_000])
def test_an_offset_moves_all_time_stamps(seconds: int) -> None:
    """if_tsoffset is in seconds, signed."""
    items = pcapng.options([(pcapng.IF_TSOFFSET, struct.pack("=q", seconds))])
    interface = pcapng.read_interface(only(pcapng.block(1, struct.pack("=HHI", 1, 0, 0) + items)))
    body = struct.pack("=IIIII", 0, 0, 7, 0, 0)
    assert pcapng.read_packet(only(pcapng.block(6, body)), [interface]).at_ns == seconds * 10**9 + 7_000


@pytest.mark.parametrize("resolution", [b"\x14", b"\x7f", b"\xc0", b"\xff"])
def test_a_resolution_beyond_64_bits_is_damage(resolution: bytes) -> None:
    """10^20 ticks a second fit no time stamp; computing 10^127 would be an attack."""
    items = pcapng.options([(pcapng.IF_TSRESOL, resolution)])
    with pytest.raises(Damage, match="resolution that fits 64 bits expected"):
        pcapng.read_interface(only(pcapng.block(1, struct.pack("=HHI", 1, 0, 0) + items)))


def test_a_simple_packet_is_cut_at_the_snaplen() -> None:
    """It carries no captured length of its own, no time, and is the first interface's."""
    block = only(pcapng.block(pcapng.SIMPLE_PACKET, struct.pack("=I", 100) + b"abcdefgh"))
    cut = Interface(linktype=1, snaplen=5)
    found = pcapng.read_packet(block, [cut, ETHERNET])
    assert (bytes(found.data), found.length, found.interface, found.is_timed) == (b"abcde", 100, 0, False)


def test_a_simple_packet_that_says_more_than_is_there_is_damage() -> None:
    """Where no snaplen says that it was cut, its length is what was captured."""
    block = only(pcapng.block(pcapng.SIMPLE_PACKET, struct.pack("=I", 100) + b"abcdefgh"))
    with pytest.raises(Damage, match="a packet of at most 8 octets expected, 100 came"):
        pcapng.read_packet(block, [Interface(linktype=1, snaplen=0)])
    with pytest.raises(Damage, match="an interface below 0 expected, 0 came"):
        pcapng.read_packet(block, [])


def test_an_obsolete_packet_is_read() -> None:
    """Block type 2: a 16-bit interface and a count of drops before the time."""
    body = struct.pack("=HHIIII", 1, 9, 0, 5, 2, 60) + b"ab"
    found = pcapng.read_packet(only(pcapng.block(2, body)), [ETHERNET, ETHERNET])
    assert (found.interface, found.at_ns, bytes(found.data), found.length) == (1, 5, b"ab", 60)


def test_unknown_blocks_and_options_are_passed_over() -> None:
    """As the format asks of every reader."""
    name = pcapng.options([(60000, b"?"), (pcapng.IF_NAME, b"eth0"), (60001, b""), (pcapng.IF_NAME, b"second")])
    found = pcapng.read_interface(only(pcapng.block(1, struct.pack("=HHI", 1, 0, 0) + name)))
    assert found.name == "eth0"
    assert [block.type for block in pcapng.blocks(section("<") + foreign("<", 0xBAD, b"x"))] == [0x0A0D0D0A, 0xBAD]


def test_text_that_is_no_utf_8_is_read_with_marks() -> None:
    """Never an error: U+FFFD stands for what can't be decoded."""
    assert pcapng.texts([(1, b"a\xffb"), (2, b"c"), (1, b"d")], 1) == ("a\ufffdb", "d")


def test_a_section_s_length_is_left_open() -> None:
    """-1, as a file that still grows needs; the magic tells the byte order."""
    header = only(pcapng.section_header([(pcapng.SHB_OS, b"Linux")]))
    assert struct.unpack_from("=IHHq", header.body) == (pcapng.BYTE_ORDER_MAGIC, 1, 0, -1)
    assert pcapng.read_options(header.body, 16, "=") == [(pcapng.SHB_OS, b"Linux")]


def test_a_resolution_of_other_than_one_octet_says_nothing() -> None:
    """As Wireshark: microseconds, then."""
    for value in (b"", b"\x09\x00"):
        items = pcapng.options([(pcapng.IF_TSRESOL, value)])
        found = pcapng.read_interface(only(pcapng.block(1, struct.pack("=HHI", 1, 0, 0) + items)))
        assert found.ticks_per_second == 10**6


@pytest.mark.parametrize(("major", "minor"), [(1, 0), (1, 1), (1, 2), (2, 0), (0, 0)])
def test_a_section_of_another_major_version_is_not_read(major: int, minor: int) -> None:
    """Its blocks may be others; a minor version adds to them only."""
    header = only(pcapng.block(pcapng.SECTION_HEADER, struct.pack("=IHHq", pcapng.BYTE_ORDER_MAGIC, major, minor, -1)))
    if major == 1:
        pcapng.check_section(header)
        return
    with pytest.raises(Damage, match=f"pcapng's version 1 expected, {major} came"):
        pcapng.check_section(header)


def test_a_section_header_of_no_body_is_damage() -> None:
    """Its version and length are missing."""
    header = only(pcapng.block(pcapng.SECTION_HEADER, struct.pack("=I", pcapng.BYTE_ORDER_MAGIC)))
    with pytest.raises(Damage, match="a section header of 16 octets expected, 4 there"):
        pcapng.check_section(header)


def test_the_first_time_is_that_of_the_first_packet_that_has_one() -> None:
    """In whichever section; 0 where there is none, or where the file is damaged before."""
    none = section("<") + foreign("<", 1, bytes(8)) + foreign("<", pcapng.SIMPLE_PACKET, struct.pack("<I", 1) + b"a")
    timed = section(">") + foreign(">", 1, bytes(8)) + foreign(">", 6, struct.pack(">IIIII", 0, 0, 7, 0, 0))
    assert pcapng.first_time(none + timed) == 7_000
    assert pcapng.first_time(timed + none) == 7_000
    assert pcapng.first_time(none) == 0
    assert pcapng.first_time(none + b"abc" + timed) == 0


def test_the_first_of_two_options_of_one_code_holds() -> None:
    """Where the format allows one only, and a file has more."""
    items = pcapng.options([(pcapng.IF_TSRESOL, b"\x09"), (pcapng.IF_TSRESOL, b"\x03")])
    interface = pcapng.read_interface(only(pcapng.block(1, struct.pack("=HHI", 1, 0, 0) + items)))
    assert interface.ticks_per_second == 10**9
