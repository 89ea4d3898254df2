"""The parameters of an INIT or INIT ACK: what they say, what is wrong with them (RFC 9260 sections 3.2.1, 5.1.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from rawlab.endpoints.sctp import chunks
from rawlab.model.sctp import SctpInit
from rawlab.wire import sctp_build as build

COOKIE_PRESERVATIVE, HOST_NAME, SUPPORTED_ADDRESSES = 9, 11, 12
ECN_CAPABLE = 0x8000
LEAST_WINDOW = 1500
"octets (section 3.3.2)"
KNOWN_SIZES = {build.IPV4_ADDRESS: 4, build.IPV6_ADDRESS: 16, COOKIE_PRESERVATIVE: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an INIT or INIT ACK says in its parameters."""

    addresses: tuple[str, ...] = ()
    "unicast, each once, without its packet's source"
    families: frozenset[int] = frozenset({4, 6})
    "of addresses that the peer can use"
    cookie: bytes | None = None
    life: int = 0
    "ms more that a cookie should live"
    unknown: tuple[bytes, ...] = ()
    "parameters to be reported, whole"
    fatal: bytes | None = None
    "the cause of an ABORT"


@lru_cache(maxsize=4096)
def unicast(address: str) -> bool:
    """Whether an address is one host's."""
    it = ip_address(address)
    return not (it.is_multicast or it.is_unspecified or address == "255.255.255.255")


def family(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4


def read(init: SctpInit, source: str, most: int) -> Asked:
    """All parameters, up to one that says stop. At most so many addresses."""
    if not init.outbound_streams or not init.inbound_streams or init.a_rwnd < LEAST_WINDOW:
        return Asked(fatal=build.cause(chunks.INVALID_PARAMETER))
    addresses: dict[str, None] = {}
    families, cookie, life, unknown = frozenset({4, 6}), None, 0, []
    for parameter in init.parameters:
        kind, value = parameter.type, parameter.value
        if kind in KNOWN_SIZES and len(value) != KNOWN_SIZES[kind]:
            return Asked(fatal=build.cause(chunks.PROTOCOL_VIOLATION, b"a parameter of a wrong length"))
        if kind in (build.IPV4_ADDRESS, build.IPV6_ADDRESS):
            address = str(ip_address(value))
            if unicast(address) and address != source and len(addresses) < most - 1:
                addresses[address] = None
        elif kind == build.STATE_COOKIE:
            cookie = value
        elif kind == COOKIE_PRESERVATIVE:
            life = int.from_bytes(value, "big")
        elif kind == SUPPORTED_ADDRESSES:
            named = {int.from_bytes(value[at : at + 2], "big") for at in range(0, len(value) - 1, 2)}
            families = frozenset(one for one, number in ((4, 5), (6, 6)) if number in named)
        elif kind == HOST_NAME:
            return Asked(fatal=build.cause(chunks.UNRESOLVABLE_ADDRESS, build.parameter(kind, value)))
        elif kind not in (build.UNRECOGNIZED, ECN_CAPABLE):
            if kind & 0x4000:
                unknown.append(build.parameter(kind, value))
            if not kind & 0x8000:
                break
    return Asked(addresses=tuple(addresses), families=families, cookie=cookie, life=life, unknown=tuple(unknown))


def announced(addresses: Sequence[str], families: frozenset[int], own: str, peer: str) -> list[bytes]:
    """Address parameters that tell a peer of all our addresses that it can use; none if it is only one."""
    local = ip_address(peer).is_loopback
    here = [one for one in addresses if family(one) in families and ip_address(one).is_loopback == local]
    return [build.address(one) for one in here] if set(here) - {own} else []


def supported(addresses: Sequence[str]) -> bytes:
    """Which families of addresses we can use (section 3.3.2.1.7)."""
    kinds = sorted({family(one) for one in addresses})
    return build.parameter(SUPPORTED_ADDRESSES, b"".join({4: b"\0\5", 6: b"\0\6"}[kind] for kind in kinds))
