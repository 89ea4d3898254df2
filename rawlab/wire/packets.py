"""tcpdump's notation for packets, written and read: `parse_packet(format_packet(facts)) == carried(facts)`.

How it works: a line is `IP source > destination: ` and what the transport says. TCP and UDP have a writer and
a reader here, SCTP in `wire.sctp_words`, ICMP and ARP in `wire.messages`. Sequence numbers are absolute, as
`tcpdump -n -S` prints them, or relative to the bases given, from 0 on the SYN or SCTP's initial TSN; both wrap
at 2^32 (RFC 9293 section 3.4).

Where the notation goes beyond tcpdump's, because tcpdump says it with -v only: ` (frag 77@1480+)` behind a
fragment gives its identification, its offset in octets, and `+` if more follow; and bytes that could not be
decoded say why in brackets. What a payload says (DNS, HTTP, …) is neither written nor read.

What does not belong here: words (`wire.symbols`), decoding (`wire.decode`), layout (`views`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rawlab.model.facts import (
    ArpMessage,
    Facts,
    IcmpMessage,
    IpHeader,
    Other,
    Outer,
    TcpOption,
    TcpSegment,
    Transport,
    UdpDatagram,
    Undecoded,
)
from rawlab.model.sctp import SctpPacket
from rawlab.model.serial import CIRCLE, Serial
from rawlab.wire import symbols
from rawlab.wire.line import Line, relative
from rawlab.wire.messages import arp_words, icmp_words, is_address, parse_arp, parse_icmp
from rawlab.wire.sctp_brief import brief_sctp
from rawlab.wire.sctp_words import carried_sctp, read_sctp, sctp_words

ARP_LENGTH = 28
"octets of an ARP message for IPv4 over Ethernet (RFC 826); tcpdump counts Ethernet's padding with them"

EXPERIMENT, FAST_OPEN, FAST_OPEN_MAGIC = 254, 34, (0xF9, 0x89)
"Fast Open has a kind of its own (RFC 7413 section 4.1.1) and an older, experimental one (RFC 6994)"


def format_packet(facts: Facts, *, seq_base: Serial | None = None, ack_base: Serial | None = None) -> str:
    """One line, as `tcpdump -n` writes it: 'IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [S], seq 0, …'.

    `seq_base` and `ack_base` are the initial sequence numbers, or TSNs, of the sender's and of the other
    direction; without them the numbers are absolute.
    """
    text = summary(facts, seq_base=seq_base, ack_base=ack_base)
    tunnels = "".join(map(_format_outer, facts.outer))
    if facts.ip is None:
        return tunnels + text
    source, destination = facts.ip.source, facts.ip.destination
    if isinstance(transport := facts.transport, TcpSegment | UdpDatagram | SctpPacket):
        source += f".{transport.source_port}"
        destination += f".{transport.destination_port}"
    return f"{tunnels}IP{6 if facts.ip.version == 6 else ''} {source} > {destination}: {text}"


def _format_outer(outer: Outer) -> str:
    """A packet that carries the one behind it: 'IP 192.0.2.1 > 192.0.2.2: GREv0, length 64: '."""
    ends = [outer.ip.source, outer.ip.destination]
    if outer.ports is not None:
        ends = [f"{address}.{port}" for address, port in zip(ends, outer.ports, strict=True)]
    said = outer.carrier + _format_fragment(outer.ip)
    return f"IP{6 if outer.ip.version == 6 else ''} {ends[0]} > {ends[1]}: " + (f"{said.lstrip()}: " if said else "")


def _format_fragment(ip: IpHeader) -> str:
    if not ip.is_fragment:
        return ""
    return f" (frag {ip.identification}@{ip.fragment_offset}{'+' if ip.more_fragments else ''})"


def summary(facts: Facts, *, seq_base: Serial | None = None, ack_base: Serial | None = None) -> str:
    """The same without addresses: 'Flags [P.], seq 1:6, ack 1, win 502, length 5'."""
    match facts.transport:
        case TcpSegment() as segment:
            text = _format_tcp(segment, seq_base, ack_base)
        case UdpDatagram(length=length):
            text = f"UDP, length {length}"
        case SctpPacket() as packet:
            text = sctp_words(packet, seq_base, ack_base)
        case IcmpMessage(length=length) as message:
            text = f"{icmp_words(message)}, length {length}"
        case ArpMessage() as message:
            text = f"ARP, {arp_words(message)}, length {ARP_LENGTH}"
        case Other(protocol=protocol, length=length):
            text = f"ip-proto-{protocol} {length}"
        case Undecoded(why=why):
            text = f"{symbols.protocol(facts.ip.protocol)} [{why}]" if facts.ip else f"[{why}]"
    return text + _format_fragment(facts.ip) if facts.ip else text


def brief(facts: Facts, *, seq_base: Serial | None = None, ack_base: Serial | None = None) -> str:
    """The shortest text that still tells packets apart: '[S] seq 0, win 64240, len 0'."""
    match facts.transport:
        case TcpSegment() as segment:
            numbers = ", ".join([*_numbers(segment, seq_base, ack_base), f"len {segment.length}"])
            return f"[{symbols.tcp_flags(segment.flags)}] {numbers}"
        case SctpPacket() as packet:
            return brief_sctp(packet, seq_base, ack_base)
        case IcmpMessage() as message:
            return icmp_words(message)
        case ArpMessage() as message:
            return f"ARP, {arp_words(message)}"
    return summary(facts).replace(", length ", ", len ")


def carried(facts: Facts) -> Facts:
    """The facts that the notation carries; the others are zero, empty or None, as parse_packet() leaves them.

    Of the link layer: nothing. IP: version, addresses, protocol, and of a fragment the identification, offset
    and more_fragments. TCP: ports, flags, seq where there is data, SYN, FIN or RST, ack with ACK, window,
    urgent with URG, options, length. UDP: ports, length. SCTP: as carried_sctp() says. ICMP: version, type,
    length, and what its template in `wire.symbols` names: code, identifier, sequence, target, mtu, and of the
    quoted packet addresses, protocol and port. ARP: operation and what its template names. Other: protocol,
    length. Undecoded: why. Of a packet that carries it in a tunnel: ports, words, and of its IP header the same.
    """
    transport = facts.transport
    match transport:
        case TcpSegment(flags=flags):
            transport = replace(
                transport,
                seq=transport.seq if _shows_seq(transport) else Serial(0),
                ack=transport.ack if "A" in flags else Serial(0),
                urgent=transport.urgent if "U" in flags else 0,
                data=(0, 0),
            )
        case SctpPacket():
            transport = carried_sctp(transport)
        case UdpDatagram() | Other():
            transport = replace(transport, data=(0, 0))
        case IcmpMessage():
            transport = parse_icmp(icmp_words(transport), transport.length) or transport
        case ArpMessage():
            transport = parse_arp(arp_words(transport)) or transport
    outer = tuple(replace(one, ip=_carried_ip(one.ip)) for one in facts.outer)
    return Facts(transport=transport, ip=_carried_ip(facts.ip) if facts.ip else None, outer=outer)


def _carried_ip(ip: IpHeader) -> IpHeader:
    ip = replace(ip, ttl=0, length=0, payload=(0, 0), dont_fragment=False, start=0)
    return ip if ip.is_fragment else replace(ip, identification=0)


def parse_packet(text: str, *, seq_base: Serial | None = None, ack_base: Serial | None = None) -> Facts:
    """The facts of a line that format_packet() wrote with these bases.

    Raises ValueError, which tells the column, what was expected there and what came.
    """
    line = Line(text)
    outer = tuple(_read_outers(line))
    if line.maybe(r"ARP, "):
        return Facts(transport=_read_arp(line), outer=outer)
    if line.maybe(r"\["):
        return Facts(transport=Undecoded(why=line.take(r"(.*)\]\Z", "a reason and ']'")[1]), outer=outer)
    version = 6 if line.take(r"IP(6?) ", "'IP ', 'IP6 ', 'ARP, ' or '['")[1] else 4
    ends = line.take(r"(\S+) > (\S+): +", "addresses as 'A > B: '")
    hosts, ports = [ends[1], ends[2]], [0, 0]
    if line.maybe(r"(?=Flags |UDP, |sctp(?: \(1\) |\Z| \(frag ))"):
        hosts, ports = [end.rpartition(".")[0] for end in hosts], [line.port(ends, 1), line.port(ends, 2)]
    _check_addresses(line, ends, hosts, version)
    protocol, transport = _read_transport(line, ports, seq_base or Serial(0), ack_base or Serial(0))
    fragment = line.maybe(" " + _FRAGMENT)
    line.take(r"\Z", "the end")
    ip = _read_ip(version, hosts, protocol, fragment and fragment.groups())
    return Facts(transport=transport, ip=ip, outer=outer)


_FRAGMENT = r"\(frag (\d{1,10})@(\d{1,5})(\+?)\)"
_ENDS = r"IP(6?) (\S+) > (\S+): "
_CARRIER = r"(?P<carrier>(?:GREv|VXLAN|Geneve)[^:(]*(?:\(0x[^:(]*)?)"
_OUTER = rf"{_ENDS}(?:{_CARRIER}?(?P<cut> ?{_FRAGMENT})?: )?(?=IP6? |ARP, |\[)"
_PROTOCOLS = {"GREv": 47, "VXLA": 17, "Gene": 17}


def _read_outers(line: Line) -> Iterator[Outer]:
    """The packets that carry the one that stands last."""
    while found := line.maybe(_OUTER):
        version, carrier = 6 if found[1] else 4, (found["carrier"] or "").rstrip()
        hosts, ports = [found[2], found[3]], None
        protocol = _PROTOCOLS.get(carrier[:4]) or (41 if line.text.startswith("IP6", line.at) else 4)
        if protocol == 17:
            hosts, ports = [end.rpartition(".")[0] for end in hosts], (line.port(found, 2), line.port(found, 3))
        _check_addresses(line, found, hosts, version, first=2)
        fragment = found.groups()[5:8] if found["cut"] else None
        yield Outer(ip=_read_ip(version, hosts, protocol, fragment), ports=ports, carrier=carrier)


def _check_addresses(line: Line, ends: re.Match[str], hosts: Sequence[str], version: int, *, first: int = 1) -> None:
    for number, host in enumerate(hosts, first):
        if not is_address(host, version):
            raise line.error(f"an IPv{version} address", ends.start(number))


def _read_ip(version: int, hosts: Sequence[str], protocol: int, fragment: Sequence[str] | None) -> IpHeader:
    return IpHeader(
        version=version,
        source=hosts[0],
        destination=hosts[1],
        protocol=protocol,
        ttl=0,
        length=0,
        payload=(0, 0),
        identification=int(fragment[0]) if fragment else 0,
        fragment_offset=int(fragment[1]) if fragment else 0,
        more_fragments=bool(fragment and fragment[2]),
    )


# ---- transports


def _read_arp(line: Line) -> ArpMessage:
    at = line.at
    message = parse_arp(line.take(r"(.*), length \d+\Z", "an ARP message and ', length N'")[1])
    if message is None:
        raise line.error("an ARP message, as 'Request who-has A tell B'", at)
    return message


def _read_transport(line: Line, ports: list[int], seq: Serial, ack: Serial) -> tuple[int, Transport]:
    """The IP protocol, and what the rest of the line says of it."""
    at = line.at
    if line.maybe(r"Flags \["):
        return 6, _read_tcp(line, ports, seq, ack)
    if line.maybe(r"UDP, "):
        length = line.number("length ", 65536)
        return 17, UdpDatagram(source_port=ports[0], destination_port=ports[1], length=length)
    if line.maybe(r"sctp(?! \[)"):
        return 132, read_sctp(line, ports, seq, ack)
    if line.maybe(r"ip-proto-"):
        protocol = line.number("", 256)
        return protocol, Other(protocol=protocol, length=line.number(" "))
    if icmp := line.maybe(r"(ICMP.*), length (\d{1,10})(?= \(frag |\Z)"):
        if message := parse_icmp(icmp[1], int(icmp[2])):
            return (1 if message.version == 4 else 58), message
        raise line.error("an ICMP message, as 'ICMP echo request, id 1, seq 1'", at)
    expected = "'Flags [', 'UDP, ', 'sctp (1) ', 'ICMP … length N', 'ip-proto-N' or 'protocol [reason]'"
    undecoded = line.take(r"(icmp6?|tcp|udp|sctp|ip:\d{1,3}) \[(.*)\](?= \(frag |\Z)", expected)
    names = {name: number for number, name in symbols.IP_PROTOCOLS.items()}
    name = undecoded[1]
    return names[name] if name in names else int(name[3:]), Undecoded(why=undecoded[2])


def _shows_seq(segment: TcpSegment) -> bool:
    """tcpdump leaves out the sequence number of a pure acknowledgement."""
    return segment.length > 0 or not {"S", "F", "R"}.isdisjoint(segment.flags)


def _numbers(segment: TcpSegment, seq_base: Serial | None, ack_base: Serial | None) -> list[str]:
    """'seq 1:6', 'ack 1', 'win 502', 'urg 1': what of it the segment has."""
    parts = []
    if _shows_seq(segment):
        end = f":{relative(segment.seq + segment.length, seq_base)}" if segment.length else ""
        parts.append(f"seq {relative(segment.seq, seq_base)}{end}")
    if "A" in segment.flags:
        parts.append(f"ack {relative(segment.ack, ack_base)}")
    parts.append(f"win {segment.window}")
    if "U" in segment.flags:
        parts.append(f"urg {segment.urgent}")
    return parts


def _format_tcp(segment: TcpSegment, seq_base: Serial | None, ack_base: Serial | None) -> str:
    parts = [f"Flags [{symbols.tcp_flags(segment.flags)}]", *_numbers(segment, seq_base, ack_base)]
    if segment.options:
        options = ",".join(option_words(option, ack_base) for option in segment.options)
        parts.append(f"options [{options}]")
    return ", ".join([*parts, f"length {segment.length}"])


def _read_tcp(line: Line, ports: list[int], seq_base: Serial, ack_base: Serial) -> TcpSegment:
    letters = line.take(r"(none|[FSRP.UEWe]+)\]", "flags as 'P.' and ']'")[1].replace("none", "")
    at = line.at
    seq = line.number(", seq ") if line.maybe(r"(?=, seq )") else 0
    end = line.number(":") if line.maybe(r"(?=:)") else seq
    segment = TcpSegment(
        source_port=ports[0],
        destination_port=ports[1],
        seq=seq_base + seq if line.at > at else Serial(0),
        flags="".join(flag for flag in symbols.TCP_FLAGS if symbols.tcp_flags(flag) in letters),
        ack=ack_base + line.number(", ack ") if "." in letters else Serial(0),
        window=line.number(", win ", 65536),
        urgent=line.number(", urg ", 65536) if "U" in letters else 0,
        options=_read_options(line, ack_base) if line.maybe(r", options \[") else (),
        length=line.number(", length "),
    )
    if line.at > at and (end - seq) % CIRCLE != segment.length:
        raise line.error(f"sequence numbers {segment.length} apart, as the length says", at)
    return segment


def option_words(option: TcpOption, ack_base: Serial | None) -> str:
    """'mss 1460', 'TS val 3 ecr 0', 'sack 1 {7:9}', its edges relative to `ack_base`."""
    word = symbols.tcp_option(option.kind)
    match option.kind, option.values:
        case 2 | 3, (number,):
            return f"{word} {number}"
        case 8, (value, echo):
            return f"{word} val {value} ecr {echo}"
        case 5, edges:
            at = [relative(Serial(edge), ack_base) for edge in edges]
            blocks = [f"{{{left}:{right}}}" for left, right in zip(at[::2], at[1::2], strict=True)]
            return f"{word} {len(blocks)} {''.join(blocks)}".rstrip()
        case 34, cookie:
            return f"{word} {_format_cookie(cookie)}"
        case 254, (0xF9, 0x89, *cookie):
            return f"{word}-tfo {_format_cookie(cookie)}"
        case _, ():
            return word
        case _, octets:
            return f"{word} 0x{bytes(octets).hex()}"


def _format_cookie(cookie: Sequence[int]) -> str:
    return f"cookie {bytes(cookie).hex()}" if cookie else "cookiereq"


def _read_options(line: Line, ack_base: Serial) -> tuple[TcpOption, ...]:
    options = [_read_option(line, ack_base)]
    while line.maybe(r","):
        options.append(_read_option(line, ack_base))
    line.take(r"\]", "',' or ']'")
    return tuple(options)


def _read_option(line: Line, ack_base: Serial) -> TcpOption:
    kinds = {word: kind for kind, word in symbols.TCP_OPTIONS.items()}
    if line.maybe(r"TS val "):
        return TcpOption(kind=8, values=(line.number(""), line.number(" ecr ")))
    if sized := line.maybe(r"(mss|wscale)(?= )"):
        return TcpOption(kind=kinds[sized[1]], values=(line.number(" ", 65536),))
    if line.maybe(r"sack "):
        return _read_sack(line, ack_base)
    if cookie := line.maybe(r"(exp-)?tfo +cookie(?:req| ((?:[0-9a-f]{2})+))"):
        magic = (EXPERIMENT, FAST_OPEN_MAGIC) if cookie[1] else (FAST_OPEN, ())
        return TcpOption(kind=magic[0], values=(*magic[1], *bytes.fromhex(cookie[2] or "")))
    at = line.at
    named = line.take(r"(?:unknown-(\d{1,3})|([a-zA-Z0-9-]+))(?: 0x((?:[0-9a-f]{2})+))?", "an option")
    kind = int(named[1]) if named[1] else kinds.get(named[2], 256)
    if kind > 255:
        raise line.error("an option, as 'mss 1460' or 'unknown-200 0x0102'", at)
    return TcpOption(kind=kind, values=tuple(bytes.fromhex(named[3] or "")))


def _read_sack(line: Line, ack_base: Serial) -> TcpOption:
    at, count, edges = line.at, line.number("", 256), []
    line.maybe(" ")
    while line.maybe(r"(?=\{)"):
        edges += [line.number(r"\{"), line.number(":")]
        line.take(r"\}", "'}'")
    if len(edges) != 2 * count:
        raise line.error(f"as many blocks as '{count}' says", at)
    return TcpOption(kind=5, values=tuple((ack_base + edge).value for edge in edges))
