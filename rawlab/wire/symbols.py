"""The names of what packets carry, as data: flags, options, types, codes, protocols.

Each table maps a number to the word that tcpdump(8) prints, or, where tcpdump has none, the registry's own
(IANA). The functions look a number up; one that no table has is printed as itself,
never as a guess. Templates ('net {to} unreachable') are written and read by `wire.messages`; what stands in
brackets there is left out when its slot is empty.
Names of link types (`wire.link_types`) and of system calls (errno, socket options) do not live here.
"""

from __future__ import annotations

from collections.abc import Mapping

TCP_FLAGS: Mapping[str, str] = {
    "F": "FIN",
    "S": "SYN",
    "R": "RST",
    "P": "PSH",
    "A": "ACK",
    "U": "URG",
    "E": "ECE",
    "W": "CWR",
    "e": "AE",
}
"""The letter of each TCP flag and its RFC name, from bit 0 up (RFC 9293 section 3.1; AE: RFC 9768)."""

TCP_OPTIONS: Mapping[int, str] = {
    0: "eol",
    1: "nop",
    2: "mss",
    3: "wscale",
    4: "sackOK",
    5: "sack",
    6: "echo",
    7: "echoreply",
    8: "TS",
    11: "cc",
    12: "ccnew",
    13: "ccecho",
    19: "md5",
    20: "scps",
    28: "uto",
    29: "tcp-ao",
    30: "mptcp",
    34: "tfo",
    254: "exp",
}
"""TCP option kinds (IANA tcp-parameters)."""

SCTP_CHUNKS: Mapping[int, str] = {
    0: "DATA",
    1: "INIT",
    2: "INIT ACK",
    3: "SACK",
    4: "HEARTBEAT",
    5: "HEARTBEAT ACK",
    6: "ABORT",
    7: "SHUTDOWN",
    8: "SHUTDOWN ACK",
    9: "ERROR",
    10: "COOKIE ECHO",
    11: "COOKIE ACK",
    12: "ECNE",
    13: "CWR",
    14: "SHUTDOWN COMPLETE",
    15: "AUTH",
    0x40: "I-DATA",
    0x80: "ASCONF-ACK",
    0x81: "PKTDROP",
    0x82: "RE-CONFIG",
    0x84: "PAD",
    0xC0: "FORWARD-TSN",
    0xC1: "ASCONF",
    0xC2: "I-FORWARD-TSN",
}
"""SCTP chunk types (IANA sctp-parameters, in the RFCs' spelling)."""

TCPDUMP_CHUNKS: Mapping[int, str] = {
    4: "HB REQ",
    5: "HB ACK",
    9: "OP ERR",
    12: "ECN ECHO",
    13: "ECN CWR",
    0xC0: "FOR CUM TSN",
}
"""The chunk types that tcpdump spells otherwise than the RFCs do."""

SCTP_DATA_FLAGS: Mapping[str, int] = {"I": 8, "U": 4, "B": 2, "E": 1}
"""The letters of the flags of DATA and their bits, in tcpdump's order (RFC 9260 section 3.3.1)."""

SCTP_PARAMETERS: Mapping[int, str] = {
    1: "Heartbeat Info",
    5: "IPv4 Address",
    6: "IPv6 Address",
    7: "State Cookie",
    8: "Unrecognized Parameter",
    9: "Cookie Preservative",
    11: "Host Name Address",
    12: "Supported Address Types",
    13: "Outgoing SSN Reset Request",
    14: "Incoming SSN Reset Request",
    15: "SSN/TSN Reset Request",
    16: "Re-configuration Response",
    17: "Add Outgoing Streams Request",
    18: "Add Incoming Streams Request",
    0x8000: "ECN Capable",
    0x8001: "Zero Checksum Acceptable",
    0x8002: "Random",
    0x8003: "Chunk List",
    0x8004: "Requested HMAC Algorithm",
    0x8005: "Padding",
    0x8008: "Supported Extensions",
    0xC000: "Forward TSN Supported",
    0xC001: "Add IP Address",
    0xC002: "Delete IP Address",
    0xC003: "Error Cause Indication",
    0xC004: "Set Primary Address",
    0xC005: "Success Indication",
    0xC006: "Adaptation Layer Indication",
}
"""SCTP parameter types (IANA sctp-parameters)."""

SCTP_CAUSES: Mapping[int, str] = {
    1: "Invalid Stream Identifier",
    2: "Missing Mandatory Parameter",
    3: "Stale Cookie",
    4: "Out of Resource",
    5: "Unresolvable Address",
    6: "Unrecognized Chunk Type",
    7: "Invalid Mandatory Parameter",
    8: "Unrecognized Parameters",
    9: "No User Data",
    10: "Cookie Received While Shutting Down",
    11: "Restart of an Association with New Addresses",
    12: "User-Initiated Abort",
    13: "Protocol Violation",
    160: "Request to Delete Last Remaining IP Address",
    161: "Operation Refused Due to Resource Shortage",
    162: "Request to Delete Source IP Address",
    163: "Association Aborted Due to Illegal ASCONF-ACK",
    164: "Request Refused - No Authorization",
    261: "Unsupported HMAC Identifier",
}
"""SCTP error causes (RFC 9260 section 3.3.10; RFC 5061, RFC 4895)."""

ETHERTYPES: Mapping[int, str] = {
    0x0800: "IPv4",
    0x0806: "ARP",
    0x8035: "Reverse ARP",
    0x8100: "802.1Q",
    0x86DD: "IPv6",
    0x8847: "MPLS unicast",
    0x8848: "MPLS multicast",
    0x8863: "PPPoE D",
    0x8864: "PPPoE S",
    0x888E: "EAPOL",
    0x88A8: "802.1Q-QinQ",
    0x88CC: "LLDP",
    0x88E5: "MACsec",
    0x88F7: "PTP",
    0x9000: "Loopback",
    0x9100: "802.1Q-9100",
}
"""EtherTypes (IANA ieee-802-numbers)."""

VLAN_TYPES = frozenset({0x8100, 0x88A8, 0x9100})
"""The EtherTypes after which a VLAN tag stands: 802.1Q, 802.1ad, and 802.1ad before it was a standard."""

IP_PROTOCOLS: Mapping[int, str] = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6", 132: "sctp"}
"""The IP protocols that rawlab speaks of by name (IANA protocol-numbers)."""

ICMP_MESSAGES: Mapping[tuple[int, int | None], str] = {
    (0, None): "echo reply, id {identifier}, seq {sequence}",
    (3, 0): "net {to} unreachable",
    (3, 1): "host {to} unreachable",
    (3, 2): "{to} protocol {protocol} unreachable",
    (3, 3): "{to} {upper} port {port} unreachable",
    (3, 4): "{to} unreachable - need to frag[ (mtu {mtu})]",
    (3, 5): "{to} unreachable - source route failed",
    (3, 6): "net {to} unreachable - unknown",
    (3, 7): "host {to} unreachable - unknown",
    (3, 8): "{to} unreachable - source host isolated",
    (3, 9): "net {to} unreachable - admin prohibited",
    (3, 10): "host {to} unreachable - admin prohibited",
    (3, 11): "net {to} unreachable - tos prohibited",
    (3, 12): "host {to} unreachable - tos prohibited",
    (3, 13): "host {to} unreachable - admin prohibited filter",
    (3, 14): "host {to} unreachable - host precedence violation",
    (3, 15): "host {to} unreachable - precedence cutoff",
    (3, None): "{to} unreachable - #{code}",
    (4, None): "source quench",
    (5, 0): "redirect {to} to net {target}",
    (5, 1): "redirect {to} to host {target}",
    (5, 2): "redirect-tos {to} to net {target}",
    (5, 3): "redirect-tos {to} to host {target}",
    (5, None): "redirect-#{code} {to} to {target}",
    (8, None): "echo request, id {identifier}, seq {sequence}",
    (9, None): "router advertisement",
    (10, None): "router solicitation",
    (11, 0): "time exceeded in-transit",
    (11, 1): "ip reassembly time exceeded",
    (11, None): "time exceeded-#{code}",
    (12, 0): "parameter problem",
    (12, None): "parameter problem - code {code}",
    (13, None): "time stamp query",
    (14, None): "time stamp reply",
    (15, None): "information request",
    (16, None): "information reply",
    (17, None): "address mask request",
    (18, None): "address mask reply",
}
"""ICMP's messages by type and code (RFC 792, 1122, 1812); code None: any code that has no line of its own."""

ICMP6_MESSAGES: Mapping[tuple[int, int | None], str] = {
    (1, 0): "destination unreachable, unreachable route {to}",
    (1, 1): "destination unreachable, unreachable prohibited {to}",
    (1, 2): "destination unreachable, beyond scope {to}, source address {origin}",
    (1, 3): "destination unreachable, unreachable address {to}",
    (1, 4): "destination unreachable, unreachable port, {to} {upper} port {port}",
    (1, None): "destination unreachable, unknown unreach code ({code})",
    (2, None): "packet too big, mtu {mtu}",
    (3, 0): "time exceeded in-transit for {to}",
    (3, 1): "time exceeded in-transit (reassembly)",
    (3, None): "time exceeded in-transit, unknown code ({code})",
    (4, 0): "parameter problem, erroneous",
    (4, 1): "parameter problem, next header",
    (4, 2): "parameter problem, option",
    (4, 3): "parameter problem, incomplete header chain",
    (4, None): "parameter problem, code-#{code}",
    (128, None): "echo request, id {identifier}, seq {sequence}",
    (129, None): "echo reply, id {identifier}, seq {sequence}",
    (130, None): "multicast listener query addr: {target}",
    (131, None): "multicast listener report addr: {target}",
    (132, None): "multicast listener done addr: {target}",
    (133, None): "router solicitation",
    (134, None): "router advertisement",
    (135, None): "neighbor solicitation, who has {target}",
    (136, None): "neighbor advertisement, tgt is {target}",
    (137, None): "redirect, {to} to {target}",
    (143, None): "multicast listener report v2",
}
"""ICMPv6's messages by type and code (RFC 4443, 4861, 2710, 3810)."""

ARP_MESSAGES: Mapping[int, str] = {
    1: "Request who-has {target}[ ({target_mac})] tell {sender}",
    2: "Reply {sender} is-at {sender_mac}",
    3: "Reverse Request who-is {target_mac} tell {sender_mac}",
    4: "Reverse Reply {target_mac} at {target}",
    8: "Inverse Request who-is {target_mac} tell {sender_mac}",
    9: "Inverse Reply {sender_mac} at {sender}",
}
"""ARP's operations (RFC 826, 903, 2390)."""

UNKNOWN_MESSAGES: Mapping[int, str] = {4: "type-#{type}", 6: "unknown icmp6 type ({type})"}
"""How an ICMP (4) or ICMPv6 (6) type without a line of its own is written, if its code is 0."""

CUT_MESSAGE = "type-#{type} code-#{code}"
"""How an ICMP message is written that lacks what its template names, or whose type and code have none."""

UNKNOWN_ARP = "Unknown ({operation})"


def tcp_flags(flags: str) -> str:
    """A segment's flags in tcpdump's letters: 'SA' is 'S.', none is 'none'."""
    return flags.replace("A", ".") or "none"


def tcp_option(kind: int) -> str:
    """An option kind's word: 'mss', 'unknown-253'."""
    return TCP_OPTIONS.get(kind, f"unknown-{kind}")


def sctp_chunk(kind: int) -> str:
    """A chunk type's name: 'INIT ACK', 'chunk-63'."""
    return SCTP_CHUNKS.get(kind, f"chunk-{kind}")


def tcpdump_chunk(kind: int) -> str:
    """A chunk type in tcpdump's spelling: 'HB REQ', 'Unknown chunk type: 0x3f'."""
    return TCPDUMP_CHUNKS.get(kind) or SCTP_CHUNKS.get(kind) or f"Unknown chunk type: 0x{kind:x}"


def sctp_parameter(kind: int) -> str:
    """A parameter type's name: 'State Cookie', 'parameter-32769'."""
    return SCTP_PARAMETERS.get(kind, f"parameter-{kind}")


def sctp_cause(code: int) -> str:
    """An error cause's name: 'Stale Cookie', 'cause-99'."""
    return SCTP_CAUSES.get(code, f"cause-{code}")


def ethertype(number: int) -> str:
    """An EtherType's name: 'IPv4', '0x0900'."""
    return ETHERTYPES.get(number, f"0x{number:04x}")


def protocol(number: int) -> str:
    """An IP protocol's name: 'tcp', 'ip:253'."""
    return IP_PROTOCOLS.get(number, f"ip:{number}")


def icmp_messages(version: int) -> Mapping[tuple[int, int | None], str]:
    """The table of ICMP (version 4) or ICMPv6 (6)."""
    return ICMP_MESSAGES if version == 4 else ICMP6_MESSAGES
