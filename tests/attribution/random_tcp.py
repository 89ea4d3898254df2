"""Random TCP segments, seeded, near every threshold that an analysis may have; and captures of them.

`wild` connections go on from where they are, mostly, but may do anything; `lossy` ones are transfers of two ends that
keep to TCP, seen from the middle of a path that loses, reorders and doubles.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import NamedTuple

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
CIRCLE = 1 << 32
MS = 1_000_000
_STEPS_NS = (0, 1, 1000, 100_000, MS, 5 * MS, 40 * MS, *(limit * MS + step for limit in (3, 20) for step in (-1, 0, 1)))
_STARTS = (0, 1, 2, CIRCLE - 1, CIRCLE - 2, CIRCLE - 150, 150)


class Row(NamedTuple):
    """One segment of one connection."""

    at_ns: int
    connection: int
    forward: bool
    seq: int
    ack: int
    flags: int
    window: int
    length: int
    wscale: int | None = None
    sack: tuple[tuple[int, int], ...] = ()


def wild(random: Random, connections: int, steps: int, odd: float = 0.1) -> list[Row]:
    """Up to `steps` segments of each, `odd` of them with flags of no order; in the order of time."""
    rows = [row for number in range(connections) for row in _wild(random, number, random.randrange(1, steps), odd)]
    return sorted(rows, key=lambda row: row.at_ns)


class _Side:
    """One direction of a wild connection."""

    def __init__(self, random: Random) -> None:
        self.start = random.choice((*_STARTS, random.randrange(CIRCLE), random.randrange(CIRCLE)))
        self.next = self.start
        self.ack: int | None = None
        self.window = 1000


def _wild(random: Random, number: int, steps: int, odd: float) -> Iterator[Row]:
    at_ns = 10**18 + random.randrange(10**9)
    sides = _Side(random), _Side(random)
    if random.random() < 0.6:
        for row in _opening(random, number, sides):
            at_ns += random.choice((0, 1000, MS, 5 * MS))
            yield row._replace(at_ns=at_ns)
        for side in sides:
            side.next += 1
    both = random.random() < 0.85
    for _ in range(steps):
        at_ns += random.choice(_STEPS_NS)
        forward = not both or random.random() < 0.5
        yield _any_segment(random, at_ns, number, forward, sides, odd)


def _opening(random: Random, number: int, sides: tuple[_Side, _Side]) -> list[Row]:
    """The handshake, or what is seen of it."""
    scales = [random.choice((None, 0, 2, 7, 14, 15)) for _ in sides]
    client, server = sides[0].start, sides[1].start
    rows = [
        Row(0, number, True, client, random.choice((0, 0, 0, 77)), SYN, 1000, 0, scales[0]),
        Row(0, number, False, server, (client + 1) % CIRCLE, SYN | ACK, random.choice((1000, 0)), 0, scales[1]),
        Row(0, number, True, (client + 1) % CIRCLE, (server + 1) % CIRCLE, ACK, random.choice((1000, 65535)), 0),
    ]
    if random.random() < 0.2:
        rows.insert(random.randrange(1, 3), random.choice(rows[:2]))
    if random.random() < 0.3:
        del rows[random.randrange(3)]
    if random.random() < 0.1:
        random.shuffle(rows)
    return rows


def _any_segment(
    random: Random, at_ns: int, number: int, forward: bool, sides: tuple[_Side, _Side], odd: float
) -> Row:
    own, other = (sides[0], sides[1]) if forward else (sides[1], sides[0])
    length = random.choice((0, 0, 0, 0, 1, 1, 2, 10, 100, 100, 100, min(other.window, 1400)))
    seq = own.next + random.choice((*(0,) * 14, -1, -1, -1, -2, -10, -11, -100, -100, -101, -200, 1, 10, 100, 200))
    last = other.next if own.ack is None else own.ack
    ack = random.choice(
        (*(last,) * 6, *(other.next,) * 4, other.next + 1, other.next + 100, other.next - 1, other.next - 100, last + 1)
    )
    window = random.choice((*(own.window,) * 6, 0, 0, 1, 100, 200, 1000, 65535))
    if random.random() < 0.15:  # all as before: to a probe, an answer
        seq, ack, window, length = own.next, last, own.window, 0
    flags, wscale = ACK, None
    if random.random() < odd:
        flags = random.choice((SYN, SYN | ACK, FIN | ACK, FIN | ACK, RST, RST | ACK, FIN, 0, ACK | PSH, URG, SYN | FIN))
        wscale = random.choice((None, 0, 3, 14, 20)) if flags & SYN else None
        seq = own.start if flags & SYN and random.random() < 0.6 else seq
        ack = 0 if not flags & ACK and random.random() < 0.7 else ack
    far = random.random()
    seq += 0 if far > 0.003 else random.choice((1 << 31, (1 << 31) - 1, (1 << 31) + 1, 1 << 30))
    edges = sorted(random.sample(range(200), 2 * random.randrange(1, 4))) if random.random() < 0.08 else []
    sack = tuple(((other.next + left) % CIRCLE, (other.next + right) % CIRCLE) for left, right in pairwise(edges))[::2]
    end = seq + length + bool(flags & (SYN | FIN))
    if end > own.next and far > 0.003 and random.random() < 0.9:
        own.next = end
    own.ack, own.window = ack, window
    return Row(at_ns, number, forward, seq % CIRCLE, ack % CIRCLE, flags, window, length, wscale, sack)


def lossy(random: Random, connections: int, segments: int) -> list[Row]:
    """Transfers, as a capture in the middle of the path sees them; all at once."""
    rows = [row for number in range(connections) for row in _lossy(random, number, segments)]
    return sorted(rows, key=lambda row: row.at_ns)


def _lossy(random: Random, number: int, segments: int) -> Iterator[Row]:
    """One sends, the other acknowledges; what is lost behind or before the capture is sent again."""
    client, server = random.randrange(CIRCLE), random.randrange(CIRCLE)
    client = client if random.random() < 0.8 else CIRCLE - random.randrange(100_000)
    at_ns = 10**18 + random.randrange(10**9)
    scale = random.choice((None, 2, 7))
    yield Row(at_ns, number, True, client, 0, SYN, 64240, 0, scale)
    yield Row(at_ns + 200_000, number, False, server, (client + 1) % CIRCLE, SYN | ACK, 65160, 0, scale)
    yield Row(at_ns + 300_000, number, True, (client + 1) % CIRCLE, (server + 1) % CIRCLE, ACK, 502, 0)
    seq, ack, window, hole = client + 1, server + 1, 65160 >> (scale or 0), 0
    at_ns += 300_000
    for _ in range(segments):
        at_ns += random.choice((10_000, 50_000, MS))
        fate, length = random.random(), random.choice((100, 1448, 1448))
        if fate < 0.05 and not hole:  # lost before the capture
            hole, missing = seq, length
        else:
            yield Row(at_ns, number, True, seq % CIRCLE, ack % CIRCLE, ACK, 502, length)
            if fate < 0.08:  # lost behind it, or doubled
                again = at_ns + random.choice((MS, 30 * MS, 300 * MS))
                yield Row(again, number, True, seq % CIRCLE, ack % CIRCLE, ACK, 502, length)
        seq += length
        if random.random() < 0.6:
            at_ns += 5000
            yield Row(at_ns, number, False, ack % CIRCLE, (hole or seq) % CIRCLE, ACK, window, 0)
        if hole and random.random() < 0.3:
            yield Row(at_ns + 1000, number, True, hole % CIRCLE, ack % CIRCLE, ACK, 502, missing)
            hole = 0
    for forward, own, other in ((True, seq, ack), (False, ack, seq + 1), (True, seq + 1, ack + 1)):
        at_ns += MS
        flags = ACK if own == seq + 1 else FIN | ACK
        yield Row(at_ns, number, forward, own % CIRCLE, other % CIRCLE, flags, 502, 0)


def pcap(rows: Sequence[Row]) -> bytes:
    """A capture of raw IPv4 (LINKTYPE_RAW), in nanoseconds, of headers only."""
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101)]
    for row in rows:
        headers = _headers(row)
        length = len(headers) + row.length
        parts.append(struct.pack("<IIII", row.at_ns // 10**9, row.at_ns % 10**9, len(headers), length) + headers)
    return b"".join(parts)


def _headers(row: Row) -> bytes:
    """IPv4 and TCP."""
    first, second = (0x0A000002 + row.connection * 2, 40000), (0x0A000003 + row.connection * 2, 50000)
    (source, source_port), (target, target_port) = (first, second) if row.forward else (second, first)
    options = b"" if row.wscale is None else bytes((1, 3, 3, row.wscale))
    if row.sack:
        options += bytes((1, 1, 5, 2 + 8 * len(row.sack)))
        options += b"".join(struct.pack(">II", left, right) for left, right in row.sack)
    offset = 5 + len(options) // 4 << 12
    tcp = struct.pack(">HHIIHHHH", source_port, target_port, row.seq, row.ack, offset | row.flags, row.window, 0, 0)
    length = 20 + len(tcp) + len(options) + row.length
    return struct.pack(">BBHHHBBHII", 0x45, 0, length, 0, 0, 64, 6, 0, source, target) + tcp + options
