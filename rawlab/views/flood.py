"""A flood in words: how many packets were sent, came in and were answered, and what the server's kernel counted."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence

from tabulate import tabulate

from rawlab.model.craft import Crafted
from rawlab.model.event import Frame
from rawlab.model.flood import MARK, SHOWN, Flood
from rawlab.model.timeline import Timeline
from rawlab.views.counting import count
from rawlab.views.escape import terminal
from rawlab.wire.decode import decode
from rawlab.wire.kernel_counters import MEANINGS
from rawlab.wire.packets import format_packet


def before(packets: Sequence[Crafted], varied: Sequence[str]) -> str:
    """What will be sent: the packets in a line each, and what varies."""
    lines = [f"packet {n}: {_words(packet.data, packet.linktype)}" for n, packet in enumerate(packets[:10], 1)]
    lines += [f"… and {count(len(packets) - 10, 'packet')} more"] if len(packets) > 10 else []
    return "\n".join((*lines, f"from packet to packet {', '.join(varied) or 'nothing'} varies"))


def sample(captured: Timeline, told: Flood) -> str:
    """The packets that were kept, a line each."""
    frames = captured.frames
    if not frames:
        return "no packet came to the server's interface"
    began = frames[0].at_ns
    rows = [_row(n, frame, began) for n, frame in enumerate(frames, 1)]
    left_out = told.captured - len(frames)
    if left_out > 0:
        rows.insert(SHOWN, ("", "", "", f"… {left_out:,} packets are left out, here and in the file …"))
    title = f"the first {SHOWN} and the last {SHOWN} packets at the server's interface" if left_out > 0 else ""
    names = "n", "ms", "", "packet"
    table = tabulate(rows, names, disable_numparse=True, colalign=("right", "right", "left", "left"))
    return "\n".join((title or "the packets at the server's interface", "", table))


def _row(n: int, frame: Frame, began: int) -> tuple[str, str, str, str]:
    way = "server →" if frame.outgoing else "flood →" if MARK in frame.comments else "client →"
    return str(n), f"{(frame.at_ns - began) / 1e6:.3f}", way, _words(bytes(frame.data), 1)


def _words(data: bytes, linktype: int) -> str:
    return terminal(format_packet(decode(data, linktype)))


def report(told: Flood) -> str:
    """What was counted, and what the server's kernel says of it."""
    moved = [(f"{change:,}", name, MEANINGS[name]) for name, change in _moved(told)]
    kernel = _table(moved, ("more by", "counter", "what it counts"))
    settings = ", ".join(f"{name} = {value}" for name, value in _settings(told))
    heading = "the server's kernel, from before the flood to its end"
    lines = (_table(list(_sums(told)), ("packets", "", "")), "", heading, "", kernel)
    return "\n".join((*lines, "", f"with {settings}") if settings else lines)


def _settings(told: Flood) -> Iterator[tuple[str, str]]:
    """Those of the protocols that took part, by the counters that moved."""
    moved = {name.partition(".")[0] for name, _ in _moved(told)}
    for name, value in told.settings.items():
        protocol = {"Icmp"} if name.startswith("net.ipv4.icmp_") else {"Tcp", "TcpExt"}
        if protocol & moved:
            yield name, value


def _table(rows: Sequence[tuple[str, str, str]], names: tuple[str, str, str]) -> str:
    return tabulate(rows, names, disable_numparse=True, colalign=("right", "left", "left"))


def _sums(told: Flood) -> Iterator[tuple[str, str, str]]:
    calls = f"send × {told.calls:,}, {told.batch:,} packets of the transmit ring each at most, "
    calls += f"in {told.took_ns / 1e9:.3f} s"
    rate = f": {told.sent * 1_000_000_000 // told.took_ns:,} a second" if told.took_ns else ""
    yield f"{told.sent:,}", "sent", calls + rate
    if told.refused:
        yield "", "", f"{told.refused:,} calls of send ended for want of room (ENOBUFS); the next sent what was left"
    if told.error:
        yield "", "", f"it ended when the kernel refused a packet ({told.error})"
    yield f"{told.received:,}", "came in", "at the server's interface, by its kernel's count, ARP and the like included"
    if told.lost:
        yield f"{told.lost:,}", "lost", "dropped between the two interfaces, by the kernels' counts"
    if told.answered or not told.answers:
        yield f"{told.answered:,}", "went out", "at the server's interface"
    for name, number in told.answers.items():
        yield f"{number:,}", "", name
    if (others := _others(told)) > 0:
        yield f"{others:,}", "", "others: ARP, neighbour discovery, …"
    yield f"{told.captured:,}", "captured", "both ways, by the ring at the server's interface"
    if told.dropped or told.captured < told.received + told.answered:
        yield f"{told.dropped:,}", "not captured", "the ring had no room: they came in, or went out, unseen by it"
    where = "" if told.whole else f": the first {SHOWN} and the last {SHOWN}"
    yield f"{told.kept:,}", "in the file", f"of those captured{where}"


def _others(told: Flood) -> int:
    """Packets that went out and are of no kind that the kernel counts as an answer."""
    return told.answered - sum(told.answers.values())


def _moved(told: Flood) -> Iterator[tuple[str, int]]:
    for name in MEANINGS:
        if change := told.after.get(name, 0) - told.before.get(name, 0):
            yield name, change


def to_json(told: Flood) -> str:
    """All of it, for programs; counters as what they moved by.

    `went_out` is the sum of the kinds in `answers` and of `others`: ARP and the like; `file` says which packets it has.
    """
    file = "all that were captured" if told.whole else f"of those captured the first {SHOWN} and the last {SHOWN}"
    values = dataclasses.asdict(told) | {"went_out": told.answered, "others": max(_others(told), 0), "file": file}
    for name in ("before", "after", "answered", "whole"):
        del values[name]
    return json.dumps(values | {"counters": dict(_moved(told)), "settings": dict(_settings(told))}, indent=2)
