"""What the page knows of a story, as JSON's values: each packet's octets, fields and writers, each call's ties.

The rows themselves stand in the page's table (`markup`); this is what is shown when one of them is looked at. Headers
of the same kind share one list of their fields' names and places (`shapes`), so that a packet costs its values alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from rawlab import topics
from rawlab.model.story import CallStory, Packet, Story
from rawlab.views import anatomy, writers
from rawlab.views.captions import duration
from rawlab.views.escape import terminal
from rawlab.views.explanations import explanations
from rawlab.views.page.numbers import conversations
from rawlab.views.rows import hosts, words
from rawlab.wire.layer import Layer
from rawlab.wire.places import places
from rawlab.wire.strace import format_call, format_result, format_value

KEPT = 512
"octets of a packet that the page holds, and of a call's data that it writes out"

_NAMES = {"Raw": "data", "Padding": "padding"}


def value(story: Story, shown: Iterable[str]) -> dict[str, Any]:
    """The page's knowledge of the rows that are shown ('c5', 'p7')."""
    return _Data(story, set(shown)).value()


def ties(story: Story) -> dict[str, tuple[list[str], list[str]]]:
    """What each row was caused by, or waited for, and what it led to."""
    causes: dict[str, list[str]] = {}
    for told in story.calls:
        causes[told.label] = [f"p{n}" for n in told.waited_for]
    for packet in story.packets:
        causes[f"p{packet.n}"] = [f"c{n}" for n in packet.cause.calls] + [f"p{n}" for n in packet.cause.packets]
    effects: dict[str, list[str]] = defaultdict(list)
    for label, before in causes.items():
        for one in before:
            effects[one].append(label)
    for told in story.calls:
        effects[told.label] += [f"p{n}" for n in told.sent if f"p{n}" not in effects[told.label]]
    return {label: (before, effects[label]) for label, before in causes.items()}


class _Data:
    """The values in the making: shapes and writers are counted as they come."""

    def __init__(self, story: Story, shown: set[str]) -> None:
        self.story, self.shown = story, shown
        self.ties, self.means = ties(story), explanations(story)
        self.shapes: dict[tuple[Any, ...], int] = {}
        self.linktypes = {frame.number: story.timeline.points[frame.point].linktype for frame in story.frames}

    def value(self) -> dict[str, Any]:
        packets = {f"p{one.n}": self._packet(one) for one in self.story.packets if f"p{one.n}" in self.shown}
        calls = {told.label: self._call(told) for told in self.story.calls if told.label in self.shown}
        named = {told.call.name for told in self.story.calls if told.label in self.shown}
        return {
            "hosts": [terminal(host) for host in hosts(self.story)],
            "packets": packets,
            "calls": calls,
            "shapes": [{"name": name, "fields": list(map(list, fields))} for name, fields in self.shapes],
            "topics": {name: topics.topic(name) for name in sorted(named & set(topics.NAMES))},
            "conversations": conversations(self.story, self.shown),
        }

    def _ties(self, label: str) -> dict[str, list[str]]:
        before, after = self.ties[label]
        ways = {"causes": before, "effects": after}
        return {way: [label for label in labels if label in self.shown] for way, labels in ways.items()}

    def _packet(self, packet: Packet) -> dict[str, Any]:
        layers = places(packet.data, self.linktypes[packet.frames[0]])
        sure = packet.cause.confidence
        return {
            "words": terminal(words(packet, addresses=True)),
            "when": terminal(anatomy.when(packet, self.story)),
            "why": terminal(packet.cause.reason) + ("" if sure == "exact" else f" ({sure})"),
            "means": terminal(self.means.get(f"p{packet.n}", "")),
            "notes": [terminal(note) for note in packet.notes],
            "octets": bytes(packet.data[:KEPT]).hex(),
            "length": len(packet.data),
            "layers": [self._layer(layer, packet) for layer in layers],
            **self._ties(f"p{packet.n}"),
        }

    def _layer(self, layer: Layer, packet: Packet) -> list[Any]:
        """[shape, its first octet, its octets, who wrote them, values]."""
        begin = layer.offset * 8
        fields = tuple((field.name, field.offset_bits - begin, field.length_bits) for field in layer.fields)
        shape = self.shapes.setdefault((_NAMES.get(layer.name, layer.name), fields), len(self.shapes))
        writer = terminal(writers.writer(layer, packet, self.story))
        values = [terminal(field.value) + _relative(field.name, layer, packet) for field in layer.fields]
        return [shape, layer.offset, layer.length, writer, values]

    def _call(self, told: CallStory) -> dict[str, Any]:
        call = told.call
        after = dict(told.states_after)
        states = [_change(host, before, after.get(host)) for host, before in told.states if before or after.get(host)]
        took = None if call.returned_ns is None else call.returned_ns - call.entered_ns
        return {
            "words": terminal(format_call(call, KEPT)),
            "name": call.name,
            "who": terminal(f"{call.host}'s process {call.pid}"),
            "took": "had not returned when the capture ended" if took is None else _span(took),
            "args": [[name, terminal(format_value(argument, KEPT))] for name, argument in call.args],
            "result": terminal(format_result(call)),
            "why": terminal(told.why) + (" (inferred)" if told.inferred else ""),
            "means": terminal(self.means.get(told.label, "")),
            "notes": [terminal(note) for note in call.notes],
            "states": [terminal(state) for state in states],
            **self._ties(told.label),
        }


def _relative(name: str, layer: Layer, packet: Packet) -> str:
    """Beside TCP's numbers in the header, those that tables show."""
    if layer.name != "TCP":
        return ""
    number = {"Sequence Number": packet.seq, "Acknowledgment Number": packet.ack}.get(name)
    return "" if number is None else f" (relative: {number})"


def _change(host: str, before: str | None, after: str | None) -> str:
    return f"{host}: {before or '–'}" + ("" if after == before else f" → {after or '–'}")


def _span(ns: int) -> str:
    return f"{ns / 1000:.1f} µs" if ns < 1_000_000 else duration(ns)
