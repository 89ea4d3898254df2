"""The state cookie: all that a host must remember of an INIT, kept by the peer until it echoes it.

RFC 9260 section 5.1.3: before a valid COOKIE ECHO no memory is spent. The cookie's octets:

    created, ns (8) | life, ms (4) | local tag, peer's tag, local TSN, peer's TSN, peer's a_rwnd (4 each)
    | streams out, streams in (2 each) | tie-tags (8) | peer's addresses, each a length (1) and its octets | MAC (16)

Its 60 octets make an INIT ACK three times the smallest INIT, and no more: a forged source address is no amplifier.
Therefore what the COOKIE ECHO's packet says anyway is not in the cookie but under its MAC (HMAC-SHA256, RFC 2104,
the left half): the ports, and the peer's address if the INIT listed none.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from struct import Struct

MAC_SIZE = 16
_FIXED = Struct("!QIIIIIIHH8s")
_PORTS = Struct("!HH")
NO_TIES = bytes(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """What an INIT and the INIT ACK to it agreed on."""

    created: int
    "ns, by the host's clock"
    life: int
    "ms"
    local_tag: int
    peer_tag: int
    local_tsn: int
    peer_tsn: int
    peer_rwnd: int
    streams_out: int
    streams_in: int
    ties: bytes = NO_TIES
    "the tie-tags of the association that was there already (section 5.2.2); zero: there was none"
    addresses: tuple[str, ...] = ()
    "the peer's, the INIT's source first; none: only the source"

    def age(self, now: int) -> int:
        """How many ns it has outlived its life; negative while it lives."""
        return now - self.created - self.life * 1_000_000


@lru_cache(maxsize=4096)
def packed(address: str) -> bytes:
    """The 4 or 16 octets of an address."""
    return ip_address(address).packed


def seal(cookie: Cookie, secret: bytes, local_port: int, peer_port: int, source: str) -> bytes:
    """The octets that go into the INIT ACK."""
    body = _FIXED.pack(
        cookie.created,
        cookie.life,
        cookie.local_tag,
        cookie.peer_tag,
        cookie.local_tsn,
        cookie.peer_tsn,
        cookie.peer_rwnd,
        cookie.streams_out,
        cookie.streams_in,
        cookie.ties,
    )
    for address in cookie.addresses:
        octets = packed(address)
        body += bytes((len(octets),)) + octets
    return body + _mac(secret, body, local_port, peer_port, source)


def unseal(octets: bytes, secret: bytes, local_port: int, peer_port: int, source: str) -> Cookie | None:
    """The cookie, if this host made it for these ports (and, unless it lists addresses, this source)."""
    body, mac = octets[:-MAC_SIZE], octets[-MAC_SIZE:]
    if len(body) < _FIXED.size or not hmac.compare_digest(mac, _mac(secret, body, local_port, peer_port, source)):
        return None
    created, life, local_tag, peer_tag, local_tsn, peer_tsn, rwnd, streams_out, streams_in, ties = _FIXED.unpack_from(
        body
    )
    addresses, at = [], _FIXED.size
    while at < len(body):
        addresses.append(str(ip_address(body[at + 1 : at + 1 + body[at]])))
        at += 1 + body[at]
    return Cookie(
        created=created,
        life=life,
        local_tag=local_tag,
        peer_tag=peer_tag,
        local_tsn=local_tsn,
        peer_tsn=peer_tsn,
        peer_rwnd=rwnd,
        streams_out=streams_out,
        streams_in=streams_in,
        ties=ties,
        addresses=tuple(addresses),
    )


def _mac(secret: bytes, body: bytes, local_port: int, peer_port: int, source: str) -> bytes:
    """Over the body, and what the packet says besides."""
    beside = b"" if len(body) > _FIXED.size else packed(source)
    return hmac.digest(secret, body + _PORTS.pack(local_port, peer_port) + beside, "sha256")[:MAC_SIZE]
