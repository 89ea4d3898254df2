"""SCTP chunks for the tests: one of each kind that RFC 9260 and its extensions know, and packets of any of them."""

from __future__ import annotations

from hypothesis import strategies as st

from rawlab.model import sctp as m
from rawlab.wire import sctp_build as build

PORTS, NUMBERS, OCTETS = st.integers(0, 65535), st.integers(0, 2**32 - 1), st.binary(max_size=40)

ADDRESSES = [build.address("10.0.0.1"), build.address("fd00::1")]
CHANGES = [build.parameter(0xC001, bytes([0, 0, 0, 1]) + build.address("10.0.1.1"))]

# Each chunk kind, by a name.
KINDS: dict[str, bytes] = {
    "DATA": build.data(0xFFFFFFFE, 1, 2, 0, build.BEGINS | build.ENDS, b"hello"),
    "DATA, middle": build.data(7, 65535, 65535, 0xFFFFFFFF, 0, b"h"),
    "DATA, unordered": build.data(7, 0, 0, 1000, 15, b"hell"),
    "INIT": build.init(m.INIT, 0x1A2B3C4D, 106496, 10, 65535, 0xFFFFFFFF, ADDRESSES),
    "INIT ACK": build.init(m.INIT_ACK, 2, 1500, 10, 10, 7, [build.parameter(build.STATE_COOKIE, b"c" * 41)]),
    "SACK": build.sack(4, 0),
    "SACK, gaps": build.sack(0xFFFFFFFE, 1000, [(2, 3), (5, 5)], [1, 0xFFFFFFFF]),
    "HEARTBEAT": build.heartbeat(b"x" * 21),
    "HEARTBEAT ACK": build.heartbeat_ack(b"x" * 21),
    "ABORT": build.abort([build.cause(12, b"enough")]),
    "ABORT, reflected": build.abort(reflected=True),
    "SHUTDOWN": build.shutdown(9),
    "SHUTDOWN ACK": build.shutdown_ack(),
    "ERROR": build.error([build.cause(3, b"\0\0\0\1"), build.cause(1, b"\0\7\0\0")]),
    "COOKIE ECHO": build.cookie_echo(b"c" * 41),
    "COOKIE ACK": build.cookie_ack(),
    "ECNE": build.ecne(5),
    "CWR": build.cwr(5),
    "SHUTDOWN COMPLETE": build.shutdown_complete(),
    "SHUTDOWN COMPLETE, reflected": build.shutdown_complete(reflected=True),
    "AUTH": build.auth(1, 3, b"d" * 32),
    "I-DATA": build.i_data(7, 1, 70000, 1000, build.BEGINS, b"hello"),
    "I-DATA, end": build.i_data(8, 1, 70000, 1, build.ENDS, b"hello"),
    "ASCONF": build.asconf(0xFFFFFFFF, [ADDRESSES[0], *CHANGES]),
    "ASCONF-ACK": build.asconf(5, [build.parameter(0xC005, b"\0\0\0\1")], ack=True),
    "RE-CONFIG": build.re_config([build.parameter(13, bytes(12) + b"\0\1")]),
    "PAD": build.pad(5),
    "FORWARD-TSN": build.forward_tsn(9, [(1, 2), (3, 4)]),
    "I-FORWARD-TSN": build.i_forward_tsn(9, [(1, 2, True), (3, 70000, False)]),
    "unknown": build.chunk(63, 5, b"abc"),
}

PARAMETERS = st.lists(st.builds(build.parameter, PORTS, OCTETS), max_size=4)
CHUNKS = st.one_of(
    st.sampled_from(sorted(KINDS.values())),
    st.builds(build.data, NUMBERS, PORTS, PORTS, NUMBERS, st.integers(0, 255), OCTETS),
    st.builds(build.i_data, NUMBERS, PORTS, NUMBERS, NUMBERS, st.integers(0, 255), OCTETS),
    st.builds(build.init, st.sampled_from([m.INIT, m.INIT_ACK]), NUMBERS, NUMBERS, PORTS, PORTS, NUMBERS, PARAMETERS),
    st.builds(
        build.sack,
        NUMBERS,
        NUMBERS,
        st.lists(st.tuples(PORTS, PORTS), max_size=4),
        st.lists(NUMBERS, max_size=4),
    ),
    st.builds(build.abort, PARAMETERS, reflected=st.booleans()),
    st.builds(build.error, PARAMETERS),
    st.builds(build.asconf, NUMBERS, PARAMETERS, ack=st.booleans()),
    st.builds(build.re_config, PARAMETERS),
    st.builds(build.forward_tsn, NUMBERS, st.lists(st.tuples(PORTS, PORTS), max_size=4)),
    st.builds(build.i_forward_tsn, NUMBERS, st.lists(st.tuples(PORTS, NUMBERS, st.booleans()), max_size=4)),
    st.builds(build.chunk, st.integers(195, 255), st.integers(0, 255), OCTETS),
)
PACKETS = st.builds(build.packet, PORTS, PORTS, NUMBERS, st.lists(CHUNKS, max_size=5))
"whole packets with a right checksum"


def hostile(draw: st.DrawFn) -> bytes:
    """A packet with octets changed, cut off or put in."""
    octets = bytearray(draw(PACKETS))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(octets) - 1)) if octets else 0
        match draw(st.sampled_from(["change", "cut", "insert"])):
            case "change" if octets:
                octets[at] = draw(st.integers(0, 255))
            case "cut":
                del octets[at:]
            case _:
                octets[at:at] = draw(st.binary(max_size=8))
    return bytes(octets)


HOSTILE = st.composite(hostile)() | st.binary(max_size=200)
"what an attacker may send: mutated packets, and any octets"
