"""The fields of ICMP's and ICMPv6's header by the RFCs' names, for `wire.places`: what they are depends on the type.

RFC 792, 1191 (the next hop's MTU), 4443, 4861. What does not belong here: how a field is read (`wire.places`), messages
in tcpdump's words (`wire.messages`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

Field = tuple[str, int, Callable[[int], str]]
"(name, bits, how it is written)"

_TYPES: Mapping[int, Mapping[int, str]] = {
    4: {
        0: "echo reply",
        3: "destination unreachable",
        4: "source quench",
        5: "redirect",
        8: "echo",
        11: "time exceeded",
        12: "parameter problem",
    },
    6: {
        1: "destination unreachable",
        2: "packet too big",
        3: "time exceeded",
        4: "parameter problem",
        128: "echo request",
        129: "echo reply",
        133: "router solicitation",
        134: "router advertisement",
        135: "neighbor solicitation",
        136: "neighbor advertisement",
        137: "redirect",
    },
}
_CODES: Mapping[tuple[int, int], Mapping[int, str]] = {
    (4, 3): {
        0: "net unreachable",
        1: "host unreachable",
        2: "protocol unreachable",
        3: "port unreachable",
        4: "fragmentation needed and DF set",
        5: "source route failed",
        9: "network administratively prohibited",
        10: "host administratively prohibited",
        13: "communication administratively prohibited",
    },
    (4, 11): {0: "time to live exceeded in transit", 1: "fragment reassembly time exceeded"},
    (4, 12): {0: "pointer indicates the error"},
    (6, 1): {
        0: "no route to destination",
        1: "administratively prohibited",
        3: "address unreachable",
        4: "port unreachable",
    },
    (6, 3): {0: "hop limit exceeded in transit", 1: "fragment reassembly time exceeded"},
    (6, 4): {0: "erroneous header field", 1: "unrecognized Next Header", 2: "unrecognized IPv6 option"},
}
_ECHOES = frozenset(((4, 0), (4, 8), (6, 128), (6, 129)))
QUOTING = frozenset(((4, 3), (4, 4), (4, 5), (4, 11), (4, 12), (6, 1), (6, 2), (6, 3), (6, 4)))
"(version, type) of the errors, which quote the packet that provoked them"


def header(version: int, kind: int, code: int) -> tuple[Field, ...]:
    """The header's 8 octets, of a message of that type and code."""
    message = version, kind
    return (
        ("Type", 8, _named(_TYPES[version])),
        ("Code", 8, _named(_CODES.get(message, {}))),
        ("Checksum", 16, "0x{:04x}".format),
        *_rest(message, code),
    )


def _rest(message: tuple[int, int], code: int) -> tuple[Field, ...]:
    if message in _ECHOES:
        return ("Identifier", 16, str), ("Sequence Number", 16, str)
    if message == (4, 3) and code == 4:
        return ("Unused", 16, str), ("Next-Hop MTU", 16, str)
    if message == (4, 12):
        return ("Pointer", 8, str), ("Unused", 24, str)
    if message == (6, 2):
        return (("MTU", 32, str),)
    if message == (6, 4):
        return (("Pointer", 32, str),)
    return (("Unused" if message in QUOTING - {(4, 5)} else "Rest of Header", 32, "0x{:x}".format),)


def _named(names: Mapping[int, str]) -> Callable[[int], str]:
    return lambda number: f"{number} ({names[number]})" if number in names else str(number)
