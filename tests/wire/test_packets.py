"""tcpdump's notation: what it looks like, that it is tcpdump's, that it can be read again."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.model.facts import (
    ArpMessage,
    Facts,
    IcmpMessage,
    IpHeader,
    Other,
    Quoted,
    TcpOption,
    TcpSegment,
    UdpDatagram,
    Undecoded,
)
from rawlab.model.serial import Serial
from rawlab.wire import symbols
from rawlab.wire.decode import decode
from rawlab.wire.packets import brief, carried, format_packet, parse_packet, summary
from tests.wire.frames import NAMES, capture, frames


def ip(version: int = 4, protocol: int = 6, **more: object) -> IpHeader:
    source, destination = ("10.0.0.1", "10.0.0.2") if version == 4 else ("fd00::1", "fd00::2")
    header = IpHeader(
        version=version,
        source=source,
        destination=destination,
        protocol=protocol,
        ttl=0,
        length=0,
        payload=(0, 0),
    )
    return replace(header, **more)  # type: ignore[arg-type]


def tcp_facts(flags: str, seq: int = 0, ack: int = 0, length: int = 0, **more: object) -> Facts:
    segment = TcpSegment(
        source_port=40000,
        destination_port=7,
        seq=Serial(seq),
        ack=Serial(ack),
        flags=flags,
        window=502,
        length=length,
    )
    return Facts(ip=ip(), transport=replace(segment, **more))  # type: ignore[arg-type]


SYN_OPTIONS = (
    TcpOption(kind=2, values=(1460,)),
    TcpOption(kind=4),
    TcpOption(kind=8, values=(1, 0)),
    TcpOption(kind=1),
    TcpOption(kind=3, values=(7,)),
)

# One packet a line: what it is, and its notation.
LINES: list[tuple[Facts, str]] = [
    (
        tcp_facts("S", 1000, options=SYN_OPTIONS),
        "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [S], seq 1000, win 502, "
        "options [mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7], length 0",
    ),
    (tcp_facts("SA", 5, 6), "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [S.], seq 5, ack 6, win 502, length 0"),
    (tcp_facts("A", 0, 6), "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [.], ack 6, win 502, length 0"),
    (
        tcp_facts("PA", 1, 1, 5),
        "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [P.], seq 1:6, ack 1, win 502, length 5",
    ),
    (
        tcp_facts("A", 0xFFFFFFFE, 1, 5),
        "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [.], seq 4294967294:3, ack 1, win 502, length 5",
    ),
    (tcp_facts("R", 7), "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [R], seq 7, win 502, length 0"),
    (tcp_facts(""), "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [none], win 502, length 0"),
    (
        tcp_facts("FSRPAUEWe", 1, 1, urgent=3),
        "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [FSRP.UEWe], seq 1, ack 1, win 502, urg 3, length 0",
    ),
    (
        tcp_facts("A", 0, 9, options=(TcpOption(kind=5, values=(10, 20, 30, 40)), TcpOption(kind=0))),
        "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [.], ack 9, win 502, "
        "options [sack 2 {10:20}{30:40},eol], length 0",
    ),
    (
        tcp_facts(
            "S",
            options=(
                TcpOption(kind=34),
                TcpOption(kind=34, values=(1, 0xFF)),
                TcpOption(kind=254, values=(0xF9, 0x89, 1, 2)),
                TcpOption(kind=254, values=(1, 2)),
                TcpOption(kind=253, values=(1,)),
                TcpOption(kind=253),
            ),
        ),
        "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [S], seq 0, win 502, options [tfo cookiereq,tfo cookie 01ff,"
        "exp-tfo cookie 0102,exp 0x0102,unknown-253 0x01,unknown-253], length 0",
    ),
    (
        Facts(ip=ip(protocol=17), transport=UdpDatagram(source_port=5000, destination_port=7, length=5)),
        "IP 10.0.0.1.5000 > 10.0.0.2.7: UDP, length 5",
    ),
    (
        Facts(ip=ip(6, 17), transport=UdpDatagram(source_port=5000, destination_port=7, length=5)),
        "IP6 fd00::1.5000 > fd00::2.7: UDP, length 5",
    ),
    (
        Facts(
            ip=ip(protocol=17, identification=77, more_fragments=True),
            transport=UdpDatagram(source_port=5000, destination_port=7, length=3000),
        ),
        "IP 10.0.0.1.5000 > 10.0.0.2.7: UDP, length 3000 (frag 77@0+)",
    ),
    (
        Facts(
            ip=ip(protocol=17, identification=77, fragment_offset=2960),
            transport=Other(protocol=17, length=48),
        ),
        "IP 10.0.0.1 > 10.0.0.2: ip-proto-17 48 (frag 77@2960)",
    ),
    (
        Facts(ip=ip(protocol=253), transport=Other(protocol=253, length=20)),
        "IP 10.0.0.1 > 10.0.0.2: ip-proto-253 20",
    ),
    (
        Facts(ip=ip(), transport=Undecoded(why="TCP: header of 20 octets expected, 12 there")),
        "IP 10.0.0.1 > 10.0.0.2: tcp [TCP: header of 20 octets expected, 12 there]",
    ),
    (Facts(transport=Undecoded(why="[odd] (frag 1@0)")), "[[odd] (frag 1@0)]"),
    (
        Facts(
            transport=ArpMessage(
                operation=1,
                sender_mac="00:00:00:00:00:00",
                sender="10.0.0.1",
                target_mac="00:00:00:00:00:00",
                target="10.0.0.2",
            )
        ),
        "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28",
    ),
    (
        Facts(
            transport=ArpMessage(
                operation=2,
                sender_mac="02:00:00:00:00:02",
                sender="10.0.0.2",
                target_mac="00:00:00:00:00:00",
                target="0.0.0.0",
            )
        ),
        "ARP, Reply 10.0.0.2 is-at 02:00:00:00:00:02, length 28",
    ),
    (
        Facts(
            ip=ip(protocol=1),
            transport=IcmpMessage(version=4, type=8, code=0, identifier=8, sequence=1, length=64),
        ),
        "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 8, seq 1, length 64",
    ),
    (
        Facts(
            ip=ip(protocol=1),
            transport=IcmpMessage(
                version=4,
                type=3,
                code=3,
                quoted=Quoted(ip=ip(protocol=17, source=""), destination_port=7),
                length=36,
            ),
        ),
        "IP 10.0.0.1 > 10.0.0.2: ICMP 10.0.0.2 udp port 7 unreachable, length 36",
    ),
    (
        Facts(
            ip=ip(protocol=1),
            transport=IcmpMessage(
                version=4, type=3, code=4, mtu=1400, quoted=Quoted(ip=ip(protocol=0, source="")), length=36
            ),
        ),
        "IP 10.0.0.1 > 10.0.0.2: ICMP 10.0.0.2 unreachable - need to frag (mtu 1400), length 36",
    ),
    (
        Facts(ip=ip(6, 58), transport=IcmpMessage(version=6, type=135, code=0, target="fe80::1", length=32)),
        "IP6 fd00::1 > fd00::2: ICMP6, neighbor solicitation, who has fe80::1, length 32",
    ),
    (
        Facts(ip=ip(6, 58), transport=IcmpMessage(version=6, type=200, code=0, length=8)),
        "IP6 fd00::1 > fd00::2: ICMP6, unknown icmp6 type (200), length 8",
    ),
    (
        Facts(ip=ip(protocol=1), transport=IcmpMessage(version=4, type=3, code=1, length=8)),
        "IP 10.0.0.1 > 10.0.0.2: ICMP type-#3 code-#1, length 8",
    ),
]


@pytest.mark.parametrize(("facts", "line"), LINES)
def test_notation(facts: Facts, line: str) -> None:
    """Each line is written so, and read as the same facts: nothing that it says is lost."""
    assert format_packet(facts) == line
    assert parse_packet(line) == facts
    assert carried(facts) == facts


def test_relative_numbers() -> None:
    """With bases, numbers count from 0 on the SYN, across 2^32 too; SACK blocks as the acknowledgement."""
    ours, theirs = Serial(0xFFFFFFFF), Serial(1000)
    syn = tcp_facts("S", 0xFFFFFFFF)
    data = tcp_facts("PA", 0, 1001, 5, options=(TcpOption(kind=5, values=(1001, 1011)),))
    assert "seq 0, win" in format_packet(syn, seq_base=ours)
    text = summary(data, seq_base=ours, ack_base=theirs)
    assert text == "Flags [P.], seq 1:6, ack 1, win 502, options [sack 1 {1:11}], length 5"
    line = format_packet(data, seq_base=ours, ack_base=theirs)
    assert parse_packet(line, seq_base=ours, ack_base=theirs) == data


def test_brief() -> None:
    """What fits into a table cell."""
    facts = [facts for facts, _ in LINES]
    assert brief(facts[0]) == "[S] seq 1000, win 502, len 0"
    assert brief(facts[3], seq_base=Serial(1)) == "[P.] seq 0:5, ack 1, win 502, len 5"
    assert (
        brief(Facts(ip=ip(), transport=UdpDatagram(source_port=1, destination_port=2, length=5)))
        == "UDP, len 5"
    )
    assert {brief(packet) for packet in facts} >= {
        "ip-proto-253 20",
        "ARP, Request who-has 10.0.0.2 tell 10.0.0.1",
        "ICMP echo request, id 8, seq 1",
        "tcp [TCP: header of 20 octets expected, 12 there]",
    }


A = "IP 10.0.0.1.40000 > 10.0.0.2.7: "


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "column 1: expected 'IP ', 'IP6 ', 'ARP, ' or '[', came ''"),
        ("Hello", "column 1: expected 'IP ', 'IP6 ', 'ARP, ' or '[', came 'Hello'"),
        ("[why", "column 2: expected a reason and ']', came 'why'"),
        ("IP 10.0.0.1", "column 4: expected addresses as 'A > B: ', came '10.0.0.1'"),
        (
            "IP a.1 > 10.0.0.2.7: UDP, length 5",
            "column 4: expected an IPv4 address, came 'a.1 > 10.0.0.2.7: UDP, l'",
        ),
        ("IP6 10.0.0.1.1 > ::1.7: UDP, length 5", "column 5: expected an IPv6 address"),
        ("IP 10.0.0.1.1 > 10.0.0.2.65536: UDP, length 5", "column 17: expected an address, a dot and a port"),
        (A + "TCP", "column 4: expected an IPv4 address"),
        ("IP 10.0.0.1 > 10.0.0.2: TCP", "column 25: expected 'Flags [', 'UDP, ', 'sctp (1) ', 'ICMP … length N'"),
        ("IP 10.0.0.1 > 10.0.0.2: ICMP hello, length 1", "column 25: expected an ICMP message"),
        ("IP 10.0.0.1 > 10.0.0.2: ip-proto-256 1", "column 34: expected a number below 256, came '256 1'"),
        ("ARP, hello, length 28", "column 6: expected an ARP message, as 'Request who-has A tell B'"),
        ("ARP, hello", "column 6: expected an ARP message and ', length N', came 'hello'"),
        (
            A + "Flags [X], win 1, length 0",
            "column 40: expected flags as 'P.' and ']', came 'X], win 1, length 0'",
        ),
        (
            A + "Flags [.], win 1, length 0",
            "column 42: expected ', ack ' and a number, came ', win 1, length 0'",
        ),
        (A + "Flags [S], seq 4294967296, win 1, length 0", "expected a number below 4294967296"),
        (A + "Flags [S], seq 1:3, win 1, length 1", "expected sequence numbers 1 apart, as the length says"),
        (A + "Flags [], win 1", "column 40: expected flags as 'P.' and ']', came '], win 1'"),
        (A + "Flags [R], win 1, options [hello], length 0", "expected an option"),
        (A + "Flags [R], win 1, options [nop;nop], length 0", "expected ',' or ']', came ';nop], length 0'"),
        (A + "Flags [R], win 1, options [sack 2 {1:2}], length 0", "expected as many blocks as '2' says"),
        (A + "Flags [none], win 65536, length 0", "expected a number below 65536"),
        (A + "UDP, length 5: more", "column 46: expected the end, came ': more'"),
    ],
)
def test_what_is_no_packet_says_where(line: str, complaint: str) -> None:
    """The column, what was expected there, and what came."""
    with pytest.raises(ValueError, match=re.escape(complaint)):
        parse_packet(line)


# ---- round trip


NUMBERS = st.integers(0, 0xFFFFFFFF)
PORTS = st.integers(0, 65535)
OCTETS = st.lists(st.integers(0, 255), max_size=8).map(tuple)
OPTIONS = st.one_of(
    st.sampled_from([TcpOption(kind=kind) for kind in (0, 1, 4, 34, 253)]),
    st.builds(TcpOption, kind=st.just(2), values=st.tuples(PORTS)),
    st.builds(TcpOption, kind=st.just(3), values=st.tuples(st.integers(0, 255))),
    st.builds(TcpOption, kind=st.just(8), values=st.tuples(NUMBERS, NUMBERS)),
    st.lists(st.tuples(NUMBERS, NUMBERS), max_size=4).map(
        lambda blocks: TcpOption(kind=5, values=tuple(edge for block in blocks for edge in block))
    ),
    st.builds(TcpOption, kind=st.integers(9, 255), values=OCTETS),
)
FLAGS = st.sets(st.sampled_from("FSRPAUEWe")).map(
    lambda chosen: "".join(f for f in "FSRPAUEWe" if f in chosen)
)
SEGMENTS = st.builds(
    TcpSegment,
    source_port=PORTS,
    destination_port=PORTS,
    seq=NUMBERS.map(Serial),
    ack=NUMBERS.map(Serial),
    flags=FLAGS,
    window=PORTS,
    urgent=PORTS,
    options=st.lists(OPTIONS, max_size=4).map(tuple),
    data=st.tuples(PORTS, PORTS),
    length=PORTS,
)
HEADERS = st.sampled_from([(4, IPv4Address), (6, IPv6Address)]).flatmap(
    lambda family: st.builds(
        IpHeader,
        version=st.just(family[0]),
        source=st.integers(0, 2**32 - 1).map(lambda number: str(family[1](number))),
        destination=st.integers(0, 2**32 - 1).map(lambda number: str(family[1](number))),
        protocol=st.just(6),
        ttl=st.integers(0, 255),
        length=PORTS,
        payload=st.tuples(PORTS, PORTS),
        identification=PORTS,
        fragment_offset=st.integers(0, 8191).map(lambda number: number * 8) | st.just(0),
        more_fragments=st.booleans(),
        dont_fragment=st.booleans(),
    )
)


@given(segment=SEGMENTS, header=HEADERS, bases=st.tuples(NUMBERS, NUMBERS) | st.none())
def test_segments_are_read_as_they_were_written(
    segment: TcpSegment, header: IpHeader, bases: tuple[int, int] | None
) -> None:
    """Any segment, with absolute numbers and with any bases: numbers lie on the circle of 2^32."""
    facts = Facts(transport=segment, ip=header)
    seq, ack = map(Serial, bases) if bases else (None, None)
    line = format_packet(facts, seq_base=seq, ack_base=ack)
    assert parse_packet(line, seq_base=seq, ack_base=ack) == carried(facts)


@given(
    version=st.sampled_from([4, 6]),
    kind=st.integers(0, 255),
    code=st.integers(0, 255) | st.integers(0, 16),
    number=PORTS,
    protocol=st.integers(0, 255) | st.sampled_from([6, 17]),
    quoted=st.booleans(),
)
def test_icmp_is_read_as_it_was_written(
    version: int, kind: int, code: int, number: int, protocol: int, quoted: bool
) -> None:
    """Type, code where the words tell it, and every number they name, for each type and code there is."""
    inner = ip(version, protocol)
    message = IcmpMessage(
        version=version,
        type=kind,
        code=code,
        identifier=number,
        sequence=number,
        target=inner.source,
        mtu=number,
        quoted=Quoted(ip=inner, destination_port=number) if quoted else None,
        length=number,
    )
    line = format_packet(Facts(ip=inner, transport=message))
    read = parse_packet(line).transport
    assert isinstance(read, IcmpMessage)
    assert (read.version, read.type, read.length) == (version, kind, number)
    specific = (kind, code) in symbols.icmp_messages(version) or "code" in line or "#" in line
    assert read.code == (code if specific else 0)
    for told, given_ in ((read.identifier, number), (read.target, inner.source), (read.mtu, number)):
        assert told in (None, given_)
    assert parse_packet(line).transport == carried(Facts(ip=inner, transport=message)).transport


@given(st.text(max_size=60) | st.sampled_from([line for _, line in LINES]).map(lambda line: line[:-7] + "x"))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    """No text raises anything but the ValueError that tells the column."""
    try:
        parse_packet(text)
    except ValueError as error:
        told = str(error)
    else:
        told = "at column 1: expected nothing else, came nothing else"
    assert re.search(r"at column \d+: expected .*, came ", told, re.DOTALL)


@pytest.mark.parametrize("name", NAMES)
def test_captures_are_read_as_they_were_written(name: str) -> None:
    """Every frame of every capture."""
    for frame in frames(capture(name)):
        facts = decode(*frame)
        assert parse_packet(format_packet(facts)) == carried(facts)
