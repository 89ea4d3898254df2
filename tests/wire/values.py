"""Hypothesis strategies for calls: every type of argument, octets that are hostile, addresses of both families."""

from __future__ import annotations

from hypothesis import strategies as st

from rawlab.model.address import Endpoint
from rawlab.model.event import Call, Value
from rawlab.wire.errnos import ERRNOS

NS = 1_700_000_000_000_000_000
ENDPOINTS = st.builds(Endpoint, st.ip_addresses().map(str), st.integers(0, 0xFFFF))
WORDS = st.text("ABCMSGPEEK_", min_size=1, max_size=8)
SYMBOLS = st.lists(WORDS, min_size=1, max_size=3).map("|".join)
HOSTILE = st.sampled_from(
    [b'"', b"\\", b'\\"', b"\x1b[31m", b") = 0", b"\r\n", b"\\x41", b"\xe2\x80\xae", b"<unfinished ...>", b"..."]
)
BYTES = st.one_of(st.binary(max_size=40), HOSTILE, st.lists(HOSTILE, max_size=4).map(b"".join))
PLAIN: st.SearchStrategy[Value] = st.one_of(
    st.none(), st.integers(-(1 << 63), (1 << 64) - 1), SYMBOLS, BYTES, ENDPOINTS
)
VALUES: st.SearchStrategy[Value] = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6
)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
ERRORS = st.sampled_from([*ERRNOS, "EWHATEVER"])
NOTES = st.text(st.characters(codec="utf-8"), max_size=10)
TIMES = st.integers(NS, NS + 10**12)


@st.composite
def calls(draw: st.DrawFn, hosts: tuple[str, ...] = ("client", "server")) -> Call:
    """Any call, returned or not, failed or not."""
    errno = draw(st.none() | ERRORS)
    returned = draw(st.booleans())
    entered_ns = draw(TIMES)
    optional = st.none() | st.integers(0, 1 << 40)
    return Call(
        host=draw(st.sampled_from(hosts)),
        pid=draw(st.integers(1, 1 << 22)),
        name=draw(NAMES),
        args=tuple(draw(st.lists(st.tuples(NAMES, VALUES), max_size=5, unique_by=lambda argument: argument[0]))),
        result=(-1 if errno else draw(st.integers(-(1 << 31), 1 << 31))) if returned else None,
        errno=errno if returned else None,
        entered_ns=entered_ns,
        returned_ns=entered_ns + draw(st.integers(0, 10**9)) if returned else None,
        socket=draw(optional),
        new_socket=draw(optional),
        local=draw(st.none() | ENDPOINTS),
        peer=draw(st.none() | ENDPOINTS),
        state=draw(st.none() | st.sampled_from(["ESTABLISHED", "TIME-WAIT"])),
        state_ns=draw(optional),
        endpoint=draw(st.booleans()),
        notes=draw(st.lists(NOTES, max_size=2).map(tuple)),
    )
