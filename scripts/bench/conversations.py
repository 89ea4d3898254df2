"""Captures to measure readers with: TCP conversations as a server's network sees them, from a seed.

Each conversation has a handshake with the usual options, data in segments of 1,448 octets with an acknowledgment for
every second one, a FIN each way; in 3 of 100 a segment is lost and comes again after duplicate acknowledgments, two
change places, or an acknowledgment is missing. Some sixty run at any time.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
MSS = 1448
SYN, ACK, FIN, PSH = 2, 16, 1, 8
_AT_ONCE = 64
_head = struct.Struct("<IIII").pack
_ip = struct.Struct("!6s6sHBBHHHBBH4s4s").pack
_tcp = struct.Struct("!HHIIBBHHH").pack
_times = struct.Struct("!BBBBII").pack
_SYN_OPTIONS = b"\x02\x04\x05\xb4\x04\x02\x08\x0a\0\0\0\1\0\0\0\0\x01\x03\x03\x07"
_POOL = random.Random(1).randbytes(1 << 16)

Segment = tuple[bool, int, int, int, int]
"whether the client's, its flags, seq, ack, octets of data"


def conversation(chance: random.Random, segments: int) -> Iterator[Segment]:
    """One connection, about so many segments in all."""
    client, server = chance.getrandbits(32), chance.getrandbits(32)
    yield True, SYN, client, 0, 0
    yield False, SYN | ACK, server, client + 1, 0
    client, server = client + 1, server + 1
    yield True, ACK, client, server, 0
    yield True, ACK | PSH, client, server, 200
    client += 200
    data = max(1, (segments - 8) * 2 // 3)
    trouble = chance.randrange(data) if chance.random() < 0.03 and data > 8 else -1
    for number in range(data):
        if number == trouble and (kind := chance.randrange(3)) < 2:
            if kind == 0:  # lost: what follows is acknowledged again and again
                for later in range(1, 4):
                    yield False, ACK, server + later * MSS, client, MSS
                    yield True, ACK, client, server, 0
            else:
                yield False, ACK, server + MSS, client, MSS
                yield False, ACK, server, client, MSS
                continue
        yield False, ACK, server + (MSS if number == trouble + 1 and trouble >= 0 else 0), client, MSS
        server += MSS
        if number % 2 and number != trouble:
            yield True, ACK, client, server, 0
    yield False, ACK | FIN, server, client, 0
    yield True, ACK | FIN, client, server + 1, 0
    yield False, ACK, server + 1, client + 1, 0


def _packet(ends: tuple[bytes, bytes, int, int], segment: Segment, us: int) -> bytes:
    outward, flags, seq, ack, size = segment
    options = _SYN_OPTIONS if flags & SYN else _times(1, 1, 8, 10, us >> 10 & 0xFFFFFFFF, 1)
    client, server, port, served = ends
    source, target = (client, server) if outward else (server, client)
    ports = (port, served) if outward else (served, port)
    total = 40 + len(options) + size
    macs = (b"\2\0\0\0\0\1", b"\2\0\0\0\0\2")
    return b"".join((
        _head(1_700_000_000 + us // 1_000_000, us % 1_000_000, 14 + total, 14 + total),
        _ip(macs[outward], macs[not outward], 0x800, 0x45, 0, total, seq & 0xFFFF, 0x4000, 64, 6, 0, source, target),
        _tcp(*ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, (20 + len(options)) << 2, flags, 501, 0, 0),
        options,
        _POOL[seq & 0x3FFF : (seq & 0x3FFF) + size],
    ))  # fmt: skip


def _ends(number: int) -> tuple[bytes, bytes, int, int]:
    client = struct.pack("!I", 0x0A000000 | (number * 7919) & 0xFFFF)
    return client, struct.pack("!I", 0xC0A80000 | number % 50), 10_000 + number // 0x10000 + number % 50_000, 443


def write(path: Path, packets: int, conversations: int, seed: int = 7) -> None:
    """A pcap of so many packets; each conversation about as long as the others, on the average."""
    chance = random.Random(seed)
    mean, number, us, written = packets // conversations, 0, 0, 0
    running: list[tuple[tuple[bytes, bytes, int, int], Iterator[Segment]]] = []
    with path.open("wb", buffering=1 << 20) as file:
        file.write(PCAP)
        while written < packets:
            while len(running) < _AT_ONCE and number < conversations:
                length = 2 * packets if conversations == 1 else max(12, int(chance.uniform(0.2, 1.8) * mean))
                running.append((_ends(number), conversation(chance, length)))
                number += 1
            if not running:
                number, conversations = conversations, conversations + 1
                continue
            place = chance.randrange(len(running)) if len(running) > 1 else 0
            for _ in range(chance.randrange(1, 6)):
                segment = next(running[place][1], None)
                if segment is None:
                    del running[place]
                    break
                us += chance.randrange(2, 60)
                file.write(_packet(running[place][0], segment, us))
                written += 1
                if written == packets:
                    break
