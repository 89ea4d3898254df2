"""The whole field tree of one packet, through scapy: each layer's fields with their exact place in the frame.

How it works: scapy dissects the frame; then each layer's fields are read a second time, one by one, from the
octets that the layer was made of, to see how many bits each takes. Where that second reading does not come
out at the layer's own length, the layer is given without fields rather than with wrong places.

Two exceptions: scapy knows not all of SCTP's chunks, so from the common header on `wire.sctp_fields` says where the
fields lie; and what scapy does not know before the innermost packet (802.11, PPP, VXLAN, …) is `wire.places`'s.

scapy is imported here (and in `wire.craft`) alone, and on first use only: it takes a third of a second. Its
import of `scapy.main`, the interactive shell, is kept out: that would create folders under the home
directory and write caches into them.

What does not belong here: facts for attribution (`wire.decode`), layout (`views`).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import islice
from types import ModuleType
from typing import Any

from rawlab.model.sctp import SctpPacket
from rawlab.wire.decode import decode
from rawlab.wire.layer import MAX_LAYERS, MAX_OCTETS, MAX_PARTS, MAX_VALUE, Field, Layer
from rawlab.wire.link_layers import LINKS
from rawlab.wire.places import places
from rawlab.wire.sctp import HEADER as SCTP_HEADER
from rawlab.wire.sctp_fields import sctp_parts


def fields(data: bytes | memoryview, linktype: int = 1) -> tuple[Layer, ...]:
    """The layers of a frame, from the link header in; their lengths add up to the frame's.

    A frame of a link type that scapy does not know, or that it fails on, is one 'Raw' layer. Never raises on
    account of the bytes.
    """
    octets = bytes(data)[:MAX_OCTETS]
    layers, facts = _dissected(octets, linktype), decode(octets, linktype)
    if facts.ip is not None and facts.ip.start not in [layer.offset for layer in layers]:
        layers = tuple(_behind(octets, linktype, facts.ip.start))
    elif linktype in LINKS and [layer.name for layer in layers] == ["Raw"]:
        return places(octets, linktype)
    return _with_sctp(layers, facts.transport, octets) if isinstance(facts.transport, SctpPacket) else layers


def _dissected(octets: bytes, linktype: int) -> tuple[Layer, ...]:
    scapy = load_scapy()
    with quiet():
        try:
            packet = scapy.config.conf.l2types[_LINKTYPES.get(linktype, linktype)](octets)
        except Exception:
            packet = scapy.packet.Raw(octets)
        return tuple(_layers(packet, octets))


def _behind(octets: bytes, linktype: int, begin: int) -> Iterator[Layer]:
    """Of a packet behind headers that scapy does not know: those as `wire.places` knows them, then scapy's own."""
    yield from (layer for layer in places(octets, linktype) if layer.offset < begin)
    for layer in _dissected(octets[begin:], _RAW):
        moved = tuple(replace(field, offset_bits=field.offset_bits + begin * 8) for field in layer.fields)
        yield replace(layer, offset=layer.offset + begin, fields=moved)


@cache
def load_scapy() -> Any:
    """The scapy package, with the layers imported that rawlab shows; nothing is written to any folder."""
    shell = ModuleType("scapy.main")
    shell.SCAPY_CACHE_FOLDER = None  # type: ignore[attr-defined]
    absent = "scapy.main" not in sys.modules
    if absent:
        sys.modules["scapy.main"] = shell
    try:
        with quiet():
            import scapy.layers.dhcp
            import scapy.layers.dns
            import scapy.layers.inet6
            import scapy.layers.sctp
    finally:
        if absent:
            del sys.modules["scapy.main"]
    return scapy


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps scapy's warnings about odd packets off the terminal for a while."""
    loggers = [logging.getLogger(name) for name in ("scapy", "scapy.runtime", "scapy.loading")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


_RAW = 101
_LINKTYPES = {14: _RAW}
"link types that scapy knows by another number: OpenBSD's RAW"


def _layers(packet: Any, octets: bytes) -> Iterator[Layer]:
    """Walks from header to header; what can't be placed, and what is beyond MAX_LAYERS, is one 'Raw'."""
    at, layer = 0, packet
    for _ in range(MAX_LAYERS):
        header = _header(layer) if layer else None
        if not header or not octets.startswith(header, at):
            break
        yield Layer(
            name=layer.name, offset=at, length=len(header), fields=_read_again(layer, header, at, octets)
        )
        at, layer = at + len(header), layer.payload
    if at < len(octets):
        yield _load("Raw", at, len(octets), octets)


def _header(layer: Any) -> bytes:
    """The octets that the layer was made of; where scapy has not kept them (ICMP errors), what its payload leaves."""
    kept: bytes | None = layer.raw_packet_cache
    if kept is None:
        whole, rest = layer.original, getattr(layer.payload, "original", b"")
        kept = whole[: len(whole) - len(rest)] if whole.endswith(rest) else b""
    return kept


def _with_sctp(layers: tuple[Layer, ...], packet: SctpPacket, octets: bytes) -> tuple[Layer, ...]:
    """The layers, those from the common header to the packet's end made anew."""
    begin, end = packet.data[0] - SCTP_HEADER, packet.data[1]
    before = tuple(layer for layer in layers if layer.offset + layer.length <= begin)
    if sum(layer.length for layer in before) != begin:
        return layers
    made = tuple(
        Layer(
            name=name,
            offset=at,
            length=length,
            fields=tuple(_field(field, value, 8 * first, 8 * size, octets) for field, first, size, value in places),
        )
        for name, at, length, places in islice(sctp_parts(octets, packet), MAX_PARTS)
    )
    at = made[-1].offset + made[-1].length
    rest = [("Raw", at, end), ("Padding", end, len(octets))]
    return (*before, *made, *(_load(name, first, last, octets) for name, first, last in rest if last > first))


def _load(name: str, first: int, last: int, octets: bytes) -> Layer:
    """What is octets only."""
    load = _field("load", repr(octets[first:last]), first * 8, (last - first) * 8, octets)
    return Layer(name=name, offset=first, length=last - first, fields=(load,))


def _read_again(layer: Any, header: bytes, at: int, octets: bytes) -> tuple[Field, ...]:
    """The layer's fields by their places; none if they don't take the header's length together."""
    found: list[Field] = []
    rest: Any = header
    begin, end = 0, len(header) * 8
    try:
        for description in layer.fields_desc:
            rest, _ = description.getfield(layer, rest)
            left, taken = rest if isinstance(rest, tuple) else (rest, 0)
            stop = end - len(left) * 8 + taken
            if stop > begin:
                value = description.i2repr(layer, layer.getfieldval(description.name))
                found.append(_field(description.name, str(value), at * 8 + begin, stop - begin, octets))
            begin = stop
            if begin == end:
                break
    except Exception:
        return ()
    return tuple(found) if begin == end else ()


def _field(name: str, value: str, offset: int, length: int, octets: bytes) -> Field:
    if len(value) > MAX_VALUE:
        value = value[: MAX_VALUE - 1] + "…"
    first, last = offset // 8, (offset + length + 7) // 8
    raw: int | bytes = octets[first:last]
    if length <= 64:
        raw = int.from_bytes(octets[first:last], "big") >> last * 8 - offset - length & (1 << length) - 1
    return Field(name=name, offset_bits=offset, length_bits=length, value=value, raw=raw)
