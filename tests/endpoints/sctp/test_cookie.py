"""Cookies: what is sealed is what comes out, and nothing else comes out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rawlab.endpoints.sctp.cookie import Cookie, seal, unseal

SECRET = bytes(range(32))
WORD = st.integers(0, 2**32 - 1)
ADDRESS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)

cookies = st.builds(
    Cookie,
    created=st.integers(0, 2**64 - 1),
    life=WORD,
    local_tag=WORD,
    peer_tag=WORD,
    local_tsn=WORD,
    peer_tsn=WORD,
    peer_rwnd=WORD,
    streams_out=st.integers(0, 65535),
    streams_in=st.integers(0, 65535),
    ties=st.binary(min_size=8, max_size=8),
    addresses=st.lists(ADDRESS, max_size=16).map(tuple),
)


@given(cookie=cookies, source=ADDRESS)
def test_what_is_sealed_comes_out(cookie: Cookie, source: str) -> None:
    """For the same ports and source; 60 octets, and a few for each address listed."""
    octets = seal(cookie, SECRET, 7, 40000, source)
    assert unseal(octets, SECRET, 7, 40000, source) == cookie
    assert len(octets) == 60 + sum(17 if ":" in one else 5 for one in cookie.addresses)


@given(cookie=cookies, source=ADDRESS, place=st.integers(0), bit=st.integers(0, 7))
def test_one_bit_is_enough_to_spoil_it(cookie: Cookie, source: str, place: int, bit: int) -> None:
    """Wherever it is; and so are other ports, another secret, octets more or less."""
    octets = bytearray(seal(cookie, SECRET, 7, 40000, source))
    octets[place % len(octets)] ^= 1 << bit
    assert unseal(bytes(octets), SECRET, 7, 40000, source) is None
    whole = seal(cookie, SECRET, 7, 40000, source)
    assert unseal(whole, SECRET, 8, 40000, source) is None
    assert unseal(whole, SECRET, 7, 40001, source) is None
    assert unseal(whole, bytes(32), 7, 40000, source) is None
    assert unseal(whole + b"\0", SECRET, 7, 40000, source) is None
    assert unseal(whole[1:], SECRET, 7, 40000, source) is None


@given(octets=st.binary(max_size=100))
def test_any_octets_are_no_cookie(octets: bytes) -> None:
    """And raise nothing."""
    assert unseal(octets, SECRET, 1, 2, "10.0.0.1") is None


def test_age() -> None:
    """How long it has outlived its life."""
    cookie = Cookie(
        created=1_000_000_000, life=60_000, local_tag=1, peer_tag=1, local_tsn=1, peer_tsn=1, peer_rwnd=1,
        streams_out=1, streams_in=1,
    )  # fmt: skip
    assert cookie.age(61_000_000_000) == 0
    assert cookie.age(61_000_000_001) == 1
    assert cookie.age(2_000_000_000) < 0
