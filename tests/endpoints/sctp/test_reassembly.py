"""Reassembly: chunks in any order give the messages that were cut, each stream's in order."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from rawlab.endpoints.sctp.reassembly import InData, Reassembly
from rawlab.endpoints.unwrapped import BITS, unwrap, wire
from rawlab.wire.sctp_build import BEGINS, ENDS, UNORDERED

MESSAGE = st.tuples(st.integers(0, 3), st.integers(1, 6), st.booleans())


@given(messages=st.lists(MESSAGE, max_size=30), seed=st.integers(0, 2**32))
def test_any_order_of_chunks(messages: list[tuple[int, int, bool]], seed: int) -> None:
    """Property: (stream, fragments, unordered) cut, shuffled, put together; nothing is left behind."""
    chunks, ssns, tsn = list[InData](), [0] * 4, 1000
    want: dict[int, list[bytes]] = {}
    loose: list[bytes] = []
    for number, (stream, fragments, unordered) in enumerate(messages):
        whole = b""
        for at in range(fragments):
            flags = (BEGINS if at == 0 else 0) | (ENDS if at == fragments - 1 else 0) | (UNORDERED if unordered else 0)
            data = bytes([number, at])
            whole += data
            chunks.append(InData(tsn, stream, 0 if unordered else ssns[stream], 0, flags, data))
            tsn += 1
        if unordered:
            loose.append(whole)
        else:
            ssns[stream] += 1
            want.setdefault(stream, []).append(whole)
    Random(seed).shuffle(chunks)
    reassembly = Reassembly()
    got: dict[int, list[bytes]] = {}
    came: list[bytes] = []
    for chunk in chunks:
        done = reassembly.add(chunk)
        assert done is not None
        for message in done:
            if message.unordered:
                came.append(message.data)
            else:
                got.setdefault(message.stream, []).append(message.data)
    assert got == want
    assert sorted(came) == sorted(loose)
    assert not reassembly.heads
    assert not reassembly.tails
    assert not reassembly.waiting


@given(st.integers(2**40, 2**50), st.integers(-(2**31), 2**31 - 1))
def test_a_tsn_from_the_wire_finds_its_place(near: int, distance: int) -> None:
    """Property: its 32 bits suffice, up to half the circle away (RFC 9260 section 1.6)."""
    assert unwrap(wire(near + distance), near) == near + distance
    assert 0 <= wire(near) <= BITS
