"""The fast decoder against tshark and scapy, on every frame of every capture; differences are explained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from rawlab.model.facts import ArpMessage, Facts, IcmpMessage, TcpSegment, UdpDatagram
from rawlab.model.serial import Serial
from rawlab.wire.decode import decode
from tests.wire.frames import NAMES, capture, frames, scapy, tshark

NAMES_OF_TSHARK = [
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "ip.ttl",
    "ip.len",
    "ip.id",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.flags",
    "tcp.window_size_value",
    "tcp.urgent_pointer",
    "tcp.len",
    "tcp.options.mss_val",
    "tcp.options.wscale.shift",
    "tcp.options.timestamp.tsval",
    "tcp.options.timestamp.tsecr",
    "tcp.options.sack_le",
    "tcp.options.sack_re",
    "udp.srcport",
    "udp.dstport",
    "udp.length",
    "icmp.type",
    "icmp.code",
    "icmp.ident",
    "icmp.seq",
    "icmpv6.type",
    "icmpv6.code",
    "icmpv6.nd.ns.target_address",
    "icmpv6.nd.na.target_address",
    "arp.opcode",
    "arp.src.proto_ipv4",
    "arp.dst.proto_ipv4",
    "arp.src.hw_mac",
    "vlan.id",
]


def told_by_tshark(facts: Facts) -> dict[str, list[str]]:
    """The facts as tshark would print them: only the fields that must be there."""
    told: dict[str, Sequence[object]] = {"vlan.id": facts.vlans}
    if ip := facts.ip:
        name = "ip" if ip.version == 4 else "ipv6"
        told |= {f"{name}.src": [ip.source], f"{name}.dst": [ip.destination]}
        if ip.version == 4:
            told |= {"ip.ttl": [ip.ttl], "ip.id": [f"0x{ip.identification:04x}"], "ip.len": [ip.length]}
    match facts.transport:
        case TcpSegment() as tcp:
            options = {option.kind: option.values for option in tcp.options}
            told |= {
                "tcp.srcport": [tcp.source_port],
                "tcp.dstport": [tcp.destination_port],
                "tcp.seq_raw": [tcp.seq.value],
                "tcp.ack_raw": [tcp.ack.value],
                "tcp.flags": [f"0x{sum(1 << 'FSRPAUEWe'.index(flag) for flag in tcp.flags):04x}"],
                "tcp.window_size_value": [tcp.window],
                "tcp.urgent_pointer": [tcp.urgent],
                "tcp.len": [tcp.length],
                "tcp.options.mss_val": options.get(2, ()),
                "tcp.options.wscale.shift": options.get(3, ()),
                "tcp.options.timestamp.tsval": options.get(8, ())[:1],
                "tcp.options.timestamp.tsecr": options.get(8, ())[1:],
                "tcp.options.sack_le": options.get(5, ())[::2],
                "tcp.options.sack_re": options.get(5, ())[1::2],
            }
        case UdpDatagram() as udp:
            told |= {
                "udp.srcport": [udp.source_port],
                "udp.dstport": [udp.destination_port],
                "udp.length": [udp.length + 8],
            }
        case IcmpMessage() as icmp:
            name = "icmp" if icmp.version == 4 else "icmpv6"
            told |= {f"{name}.type": [icmp.type], f"{name}.code": [icmp.code]}
            if icmp.version == 4 and icmp.identifier is not None:
                told |= {"icmp.ident": [icmp.identifier], "icmp.seq": [icmp.sequence]}
            if icmp.version == 6 and icmp.type in (135, 136):
                told[f"icmpv6.nd.{'ns' if icmp.type == 135 else 'na'}.target_address"] = [icmp.target]
        case ArpMessage() as arp:
            told |= {
                "arp.opcode": [arp.operation],
                "arp.src.proto_ipv4": [arp.sender],
                "arp.dst.proto_ipv4": [arp.target],
                "arp.src.hw_mac": [arp.sender_mac],
            }
    return {name: [str(value) for value in values] for name, values in told.items()}


# (file, frame from 1, field): why tshark says something else.
EXPLAINED = {
    ("tcp-rst-inject.pcap", 2, "tcp.flags"): "tshark counts three reserved bits, 0x0e00, with the flags",
    ("fuzz-be-2.pcap", 27, "layer"): "a TCP header longer than its packet: tshark reads on, rawlab says so",
    ("fuzz-be-2.pcap", 80, "layer"): "as in frame 27",
}

GUESSED = {"file-bad-caplen.pcap": "Wireshark takes it for a Kuznetzov pcap, with longer record headers"}


def differences_from_tshark(name: str, rows: list[dict[str, list[str]]], facts: list[Facts]) -> Iterator[str]:
    """Where tshark and the facts differ, and where tshark sees a transport header that the facts lack."""
    for number, (row, fact) in enumerate(zip(rows, facts, strict=True), 1):
        told = told_by_tshark(fact)
        for field, ours in told.items():
            # Of a tunnel and of a quoted packet tshark gives the fields as well, behind the outer ones.
            theirs = row[field] if "sack" in field or field == "vlan.id" else row[field][:1]
            if theirs != ours and (name, number, field) not in EXPLAINED:
                yield f"{name} frame {number} {field}: tshark {theirs}, rawlab {ours}"
        layers = row["frame.protocols"][0].split(":")
        missed = [
            field for field in ("tcp.seq_raw", "udp.length", "arp.opcode") if row[field] and field not in told
        ]
        if (
            missed
            and not {"icmp", "icmpv6", "gre"} & set(layers)
            and (name, number, "layer") not in EXPLAINED
        ):
            yield f"{name} frame {number}: tshark sees {missed}, rawlab {fact.transport}"


@pytest.mark.parametrize("name", NAMES)
def test_tshark_says_the_same(name: str) -> None:
    """Addresses, ports, numbers, flags, options, lengths, ICMP, ARP, VLANs of every frame of each capture."""
    path = capture(name)
    if name in GUESSED:
        pytest.skip(GUESSED[name])
    # 'data' alone: tshark counts pcapng's custom blocks as frames.
    rows = [row for row in tshark(path, *NAMES_OF_TSHARK) if row["frame.protocols"] != ["data"]]
    facts = [decode(*frame) for frame in frames(path)]
    assert list(differences_from_tshark(name, rows[: len(facts)], facts)) == []


# (file, frame from 1, field): why scapy says something else.
EXPLAINED_SCAPY = {
    ("tcp-refused-null.pcap", 1, "all"): "macOS's AF_INET6, 30: scapy's Loopback knows Linux's only",
    ("tcp-refused-null.pcap", 2, "all"): "as frame 1",
    (
        "tcp-snaplen-short.pcap",
        1,
        "options",
    ): "the snap length cuts the timestamps: scapy gives 6 octets of them",
}


def told_by_scapy(packet: Any) -> dict[str, Any]:
    """What scapy's own dissection says, in the words of the facts."""
    inet, inet6 = scapy().layers.inet, scapy().layers.inet6
    ip = packet.getlayer(inet.IP) or packet.getlayer(inet6.IPv6)
    if ip is None:
        return {}
    told = {"source": ip.src, "destination": ip.dst}
    if tcp := packet.getlayer(inet.TCP):
        names = {"MSS": 2, "WScale": 3, "SAck": 5, "Timestamp": 8}
        options = [(names[name], value) for name, value in tcp.options if name in names]
        told |= {
            "ports": (tcp.sport, tcp.dport),
            "seq": Serial(tcp.seq),
            "ack": Serial(tcp.ack),
            "flags": int(tcp.flags),
            "window": tcp.window,
            "urgent": tcp.urgptr,
            "options": [(kind, value if isinstance(value, tuple) else (value,)) for kind, value in options],
        }
    elif udp := packet.getlayer(inet.UDP):
        told |= {"ports": (udp.sport, udp.dport), "length": udp.len - 8}
    elif icmp := packet.getlayer(inet.ICMP):
        told |= {"type": icmp.type, "code": icmp.code}
    return told


def told_in_scapys_words(facts: Facts) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if facts.ip:
        told = {"source": facts.ip.source, "destination": facts.ip.destination}
    match facts.transport:
        case TcpSegment() as tcp:
            told |= {
                "ports": (tcp.source_port, tcp.destination_port),
                "seq": tcp.seq,
                "ack": tcp.ack,
                "flags": sum(1 << "FSRPAUEWe".index(flag) for flag in tcp.flags),
                "window": tcp.window,
                "urgent": tcp.urgent,
                "options": [
                    (option.kind, option.values) for option in tcp.options if option.kind in (2, 3, 5, 8)
                ],
            }
        case UdpDatagram() as udp:
            told |= {"ports": (udp.source_port, udp.destination_port), "length": udp.length}
        case IcmpMessage(version=4) as icmp:
            told |= {"type": icmp.type, "code": icmp.code}
    return told


@pytest.mark.parametrize("name", NAMES)
def test_scapy_says_the_same(name: str) -> None:
    """Whatever rawlab decodes, scapy decodes to the same values."""
    differences = []
    for number, (data, linktype, length) in enumerate(frames(capture(name)), 1):
        ours = told_in_scapys_words(decode(data, linktype, length))
        theirs = told_by_scapy(scapy().config.conf.l2types[linktype](data))
        differences += [
            f"{name} frame {number} {field}: scapy {theirs.get(field)}, rawlab {value}"
            for field, value in ours.items()
            if theirs.get(field) != value
            and not {(name, number, field), (name, number, "all")} & EXPLAINED_SCAPY.keys()
        ]
    assert differences == []
