"""The structures of SCTP's socket options as data (include/uapi/linux/sctp.h), and values into them and back.

An option's value is an int, or a tuple of its struct's members in C's order: numbers, addresses, and where the C
name says more than its number, that: (1, 'SCTP_ESTABLISHED', 106496, …). A nested struct is a nested tuple. Members
left out at the end are zero, as in C; a single number is the first member (an assoc_id to ask with). An option that
no table has is an int.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rawlab.live import libc as c
from rawlab.model.address import Endpoint
from rawlab.model.event import Value
from rawlab.wire import sctp_names as names

Optval = int | tuple[Value, ...]
_ADDRESS = "128s"  # struct sockaddr_storage
_ROOM = 4096  # octets for lists of addresses and of associations


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a struct."""

    name: str
    code: str
    "of struct.pack, or _ADDRESS"
    names: Mapping[str, int] | None = None
    "of its values"
    flags: bool = False
    "whether `names` are of bits"


Layout = tuple[Member, ...]


def _layout(text: str, prefix: str, **named: tuple[Mapping[str, int], bool]) -> Layout:
    """'assoc_id:i state:i': members and their codes; `named`: those whose values have names, and whether of bits."""
    pairs = (word.split(":") for word in text.split())
    return tuple(Member(prefix + name, code, *named.get(name, ())) for name, code in pairs)


_PADDRINFO = _layout(
    "assoc_id:i address:128s state:i cwnd:I srtt:I rto:I mtu:I", "spinfo_", state=(names.PATH_STATES, False)
)
_STATUS = _layout(
    "assoc_id:i state:i rwnd:I unackdata:H penddata:H instrms:H outstrms:H fragmentation_point:I",
    "sstat_",
    state=(names.STATES, False),
)
LAYOUTS: Mapping[str, Layout] = {
    "SO_LINGER": _layout("onoff:i linger:i", "l_"),
    "SCTP_RTOINFO": _layout("assoc_id:i initial:I max:I min:I", "srto_"),
    "SCTP_ASSOCINFO": _layout(
        "assoc_id:i asocmaxrxt:H number_peer_destinations:H peer_rwnd:I local_rwnd:I cookie_life:I", "sasoc_"
    ),
    "SCTP_INITMSG": _layout("num_ostreams:H max_instreams:H max_attempts:H max_init_timeo:H", "sinit_"),
    "SCTP_SET_PEER_PRIMARY_ADDR": _layout("assoc_id:i addr:128s", "sspp_"),
    "SCTP_PRIMARY_ADDR": _layout("assoc_id:i addr:128s", "ssp_"),
    "SCTP_PEER_ADDR_PARAMS": _layout(
        "assoc_id:i address:128s hbinterval:I pathmaxrxt:H pathmtu:I sackdelay:I flags:I",  # as before Linux 4.19
        "spp_",
        flags=(names.PATH_FLAGS, True),
    ),
    "SCTP_EVENTS": _layout(
        "data_io:B association:B address:B send_failure:B peer_error:B shutdown:B partial_delivery:B "
        "adaptation_layer:B authentication:B sender_dry:B",
        "sctp_",
    ),
    "SCTP_MAXSEG": _layout("id:i value:I", "assoc_"),
    "SCTP_MAX_BURST": _layout("id:i value:I", "assoc_"),
    "SCTP_DELAYED_SACK": _layout("assoc_id:i delay:I freq:I", "sack_"),
    "SCTP_STATUS": _STATUS,
    "SCTP_GET_PEER_ADDR_INFO": _PADDRINFO,
    "SCTP_SOCKOPT_PEELOFF": _layout("associd:i sd:i", ""),
}
"""By the option's name. SCTP_STATUS is followed by the primary path, as SCTP_GET_PEER_ADDR_INFO has it."""
ADDRESSES = ("SCTP_SOCKOPT_BINDX_ADD", "SCTP_SOCKOPT_BINDX_REM", "SCTP_SOCKOPT_CONNECTX")
"""Options whose value is addresses, one after the other."""
_ADDRESS_LISTS = ("SCTP_GET_PEER_ADDRS", "SCTP_GET_LOCAL_ADDRS")  # assoc_id, how many, the addresses


def pack(optname: str, value: Optval) -> bytes:
    """The option's value as setsockopt(2) takes it. Raises ValueError for one that does not fit."""
    if isinstance(value, int):
        return struct.pack("=i", value)
    if optname in ADDRESSES:
        return b"".join(c.sockaddr(end) for end in value if isinstance(end, Endpoint))
    layout = LAYOUTS.get(optname) or tuple(Member(f"[{index}]", "i") for index in range(len(value)))
    return _pack(optname, layout, value)


def question(optname: str, value: Optval) -> bytes:
    """What getsockopt(2) is given for its answer: room, and at its beginning what is asked with."""
    values = value if isinstance(value, tuple) else (value,)
    if optname == "SCTP_STATUS":
        return _pack(optname, _STATUS + _PADDRINFO, values)
    if optname in LAYOUTS:
        return _pack(optname, LAYOUTS[optname], values)
    asked = struct.pack(f"={len(values)}i", *(number for number in values if isinstance(number, int)))
    return asked.ljust(_ROOM if optname in (*_ADDRESS_LISTS, "SCTP_GET_ASSOC_ID_LIST") else 4, b"\0")


def unpack(optname: str, raw: bytes) -> Optval:
    """What getsockopt(2) filled in."""
    if optname == "SCTP_STATUS":
        size = _size(_STATUS)
        return (*_unpack(_STATUS, raw), _unpack(_PADDRINFO, raw[size:]))
    if optname in LAYOUTS:
        return _unpack(LAYOUTS[optname], raw)
    if optname in _ADDRESS_LISTS:
        assoc_id, count = struct.unpack_from("=iI", raw)
        return assoc_id, count, tuple(_addresses(raw[8:], count))
    if optname == "SCTP_GET_ASSOC_ID_LIST":
        (count,) = struct.unpack_from("=I", raw)
        return count, struct.unpack_from(f"={count}i", raw, 4)
    return int.from_bytes(raw[:4].ljust(4, b"\0"), "little", signed=True)


def addresses(raw: bytes) -> tuple[Endpoint, ...]:
    """The addresses that a setsockopt(2) of one of ADDRESSES was given."""
    return tuple(_addresses(raw, None))


def _addresses(raw: bytes, count: int | None) -> Iterable[Endpoint]:
    """Packed one after the other: struct sockaddr_in has 16 octets, sockaddr_in6 28."""
    while raw and count != 0 and (end := c.endpoint(raw)) is not None:
        yield end
        raw = raw[28 if ":" in end.address else 16 :]
        count = None if count is None else count - 1


def _size(layout: Layout) -> int:
    return struct.calcsize("=" + "".join(member.code for member in layout))


def _pack(optname: str, layout: Layout, values: tuple[Value, ...]) -> bytes:
    """Packed, and filled up to a multiple of 4 octets, as long as the struct is not of octets or shorts only."""
    if len(values) > len(layout):
        raise ValueError(f"{optname}: {len(values)} values came, its struct has {len(layout)} members")
    parts = [_member(optname, member, value) for member, value in zip(layout, values, strict=False)]
    parts += [bytes(struct.calcsize("=" + member.code)) for member in layout[len(values) :]]
    whole = b"".join(parts)
    return whole + bytes(-len(whole) % 4 if layout[0].code == "i" else 0)


def _member(optname: str, member: Member, value: Value) -> bytes:
    if member.code == _ADDRESS and isinstance(value, Endpoint | None):
        return (c.sockaddr(value) if value else b"").ljust(128, b"\0")
    number = names.number(value, member.names) if isinstance(value, str) and member.names else value
    try:
        return struct.pack("=" + member.code, number)
    except struct.error as error:
        raise ValueError(f"{optname}: {member.name}: {value!r} came: {error}") from None


def _unpack(layout: Layout, raw: bytes) -> tuple[Value, ...]:
    """The members; those that the kernel did not fill in (an older one's shorter struct) are left out."""
    values: list[Value] = []
    at = 0
    for member in layout:
        code = struct.Struct("=" + member.code)
        if at + code.size > len(raw):
            break
        (value,) = code.unpack_from(raw, at)
        at += code.size
        values.append(_named(member, value))
    return tuple(values)


def _named(member: Member, value: int | bytes) -> Value:
    if isinstance(value, bytes):
        return c.endpoint(value)
    if member.names is None:
        return value
    return names.flags(value, member.names) if member.flags else names.name(value, member.names)
