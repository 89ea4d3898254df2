"""SCTP packets from a ladder's words: `DATA BE tsn 0 sid 1 ssn 0 "hello" + SACK 3 gaps 2-3`, TSNs relative.

    INIT [also 10.0.1.1], INIT-ACK, COOKIE-ECHO, COOKIE-ACK, HEARTBEAT, HEARTBEAT-ACK, SHUTDOWN-ACK
    DATA flags (of B, E and U; '-' for none) tsn N [sid N] [ssn N] "…"      SACK N [win N] [gaps 2-3,5-5] [dups 1,2]
    SHUTDOWN N      SHUTDOWN-COMPLETE [T]      ABORT [T] [cause N]      ERROR [cause N]
    behind the chunks: [tag 0x…], else the receiver's; INIT's is 0
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rawlab.model import sctp
from rawlab.wire import sctp_build as build
from tests.attribution.segments import ip_frame

TAGS = {"client": 0x11111111, "server": 0x22222222}
INITIAL_TSNS = {"client": 0xFFFFFFFE, "server": 500}  # the client's numbers wrap around with its third
_DATA_FLAGS = {"B": build.BEGINS, "E": build.ENDS, "U": build.UNORDERED}
_CHUNK = re.compile(r'(?P<name>[A-Z-]+)(?P<rest>(?: (?!\+)(?:"[^"]*"|[^" +]+))*)')


def frame(words: str, sender: str, ends: tuple[tuple[str, int], tuple[str, int]], identification: int) -> bytes:
    """The frame, from (address, port) to (address, port)."""
    (source, source_port), (destination, destination_port) = ends
    receiver = "server" if sender == "client" else "client"
    words, _, tag = words.partition(" tag ")
    chunks = [_chunk(part, sender, receiver) for part in words.split(" + ")]
    verification = int(tag, 16) if tag else 0 if words.startswith("INIT ") or words == "INIT" else TAGS[receiver]
    packet = build.packet(source_port, destination_port, verification, chunks)
    return ip_frame(source, destination, 132, packet, identification)


def _chunk(words: str, sender: str, receiver: str) -> bytes:
    found = _CHUNK.fullmatch(words)
    assert found, f"{words!r}: expected a chunk, as 'DATA BE tsn 0 \"hello\"'"
    return _MAKERS[found["name"]](found["rest"].strip(), sender, receiver)


def _number(name: str, rest: str, default: int = 0) -> int:
    found = re.search(rf"\b{name} (-?\d+)", rest)
    return int(found[1]) if found else default


def _init(type: int) -> Callable[[str, str, str], bytes]:
    def make(rest: str, sender: str, receiver: str) -> bytes:
        parameters = [build.address(address) for address in rest.removeprefix("also ").split()]
        if type == sctp.INIT_ACK:
            parameters.append(build.parameter(7, b"a cookie of " + sender.encode()))
        return build.init(type, TAGS[sender], 106496, 10, 10, INITIAL_TSNS[sender], parameters)

    return make


def _data(rest: str, sender: str, receiver: str) -> bytes:
    flags = sum(_DATA_FLAGS[letter] for letter in rest.split()[0].strip("-"))
    payload = rest.partition('"')[2].removesuffix('"').encode()
    tsn = INITIAL_TSNS[sender] + _number("tsn", rest)
    return build.data(tsn % 2**32, _number("sid", rest), _number("ssn", rest), 0, flags, payload)


def _sack(rest: str, sender: str, receiver: str) -> bytes:
    base = INITIAL_TSNS[receiver]
    gaps = re.search(r"gaps (\S+)", rest)
    blocks = [tuple(map(int, block.split("-"))) for block in gaps[1].split(",")] if gaps else []
    dups = re.search(r"dups (\S+)", rest)
    duplicates = [(base + int(tsn)) % 2**32 for tsn in dups[1].split(",")] if dups else []
    cumulative = (base + int(rest.split()[0])) % 2**32
    return build.sack(cumulative, _number("win", rest, 106496), [(a, b) for a, b in blocks], duplicates)


def _causes(rest: str) -> list[bytes]:
    return [build.cause(_number("cause", rest), b"")] if "cause" in rest else []


_MAKERS: dict[str, Callable[[str, str, str], bytes]] = {
    "INIT": _init(sctp.INIT),
    "INIT-ACK": _init(sctp.INIT_ACK),
    "COOKIE-ECHO": lambda rest, sender, receiver: build.cookie_echo(b"a cookie of " + receiver.encode()),
    "COOKIE-ACK": lambda rest, sender, receiver: build.cookie_ack(),
    "DATA": _data,
    "SACK": _sack,
    "HEARTBEAT": lambda rest, sender, receiver: build.heartbeat(b"when and where"),
    "HEARTBEAT-ACK": lambda rest, sender, receiver: build.heartbeat_ack(b"when and where"),
    "SHUTDOWN": lambda rest, sender, receiver: build.shutdown((INITIAL_TSNS[receiver] + int(rest)) % 2**32),
    "SHUTDOWN-ACK": lambda rest, sender, receiver: build.shutdown_ack(),
    "SHUTDOWN-COMPLETE": lambda rest, sender, receiver: build.shutdown_complete(reflected="T" in rest),
    "ABORT": lambda rest, sender, receiver: build.abort(_causes(rest), reflected="T" in rest.split()),
    "ERROR": lambda rest, sender, receiver: build.error(_causes(rest)),
}
