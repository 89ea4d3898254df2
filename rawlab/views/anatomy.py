"""One packet or one call, taken apart: which octets belong to which layer, who wrote them, and what each field says.

This is the answer to the course's question why sockets are the interface into the transport layer: what the process
wrote begins where the kernel's headers end, and a raw socket moves that border.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tabulate import tabulate

from rawlab.model.story import CallStory, Packet, Story
from rawlab.views.escape import terminal
from rawlab.views.explanations import explanations
from rawlab.views.places import addresses
from rawlab.views.rows import STRSIZE, words
from rawlab.views.table import labels
from rawlab.views.writers import written
from rawlab.wire.fields import fields
from rawlab.wire.layer import Layer
from rawlab.wire.strace import format_call

_NAMES = {"Raw": "data", "Padding": "padding"}


def packet(story: Story, n: int) -> str:
    """Packet n. Raises IndexError."""
    told = story.packets[n - 1]
    layers = fields(told.data, _linktype(story, told))
    rows = [(at, _named(layer), who) for layer in layers for at, who in written(layer, told, story)]
    return "\n".join(
        (
            f"p{n}: {words(told, addresses=True)}",
            when(told, story),
            f"why: {told.cause.reason} ({told.cause.confidence})",
            *_notes(f"p{n}", told.notes, story),
            "",
            tabulate(rows, ("octets", "layer", "written by"), disable_numparse=True),
            "",
            tabulate(list(field_rows(layers)), ("octet", "bits", "field", "value"), disable_numparse=True),
        )
    )


def call(story: Story, n: int, topic: str) -> str:
    """Call n, with the text that explains its kind. Raises IndexError."""
    told = story.calls[n - 1]
    lines = [f"c{n}: {told.call.host}: {terminal(format_call(told.call, STRSIZE))}", f"why: {told.why}", *_links(told)]
    lines += _notes(told.label, told.call.notes, story)
    for host, before in told.states:
        after = dict(told.states_after).get(host)
        if before or after:
            lines.append(f"{host}: {before or '–'}" + (f" → {after}" if after != before else ""))
    return "\n".join((*lines, "", topic))


def _links(told: CallStory) -> Iterator[str]:
    if told.sent:
        yield f"sent: {labels(told.sent)}"
    if told.waited_for:
        yield f"waited for: {labels(told.waited_for)}"


def _notes(label: str, notes: Sequence[str], story: Story) -> Iterator[str]:
    """What it means here, and the lecturer's notes."""
    if (said := explanations(story).get(label)) is not None:
        yield f"means: {said}"
    yield from (f"note: {terminal(note)}" for note in notes)


def _linktype(story: Story, told: Packet) -> int:
    frame = next(frame for frame in story.frames if frame.number == told.frames[0])
    return story.timeline.points[frame.point].linktype


def _named(layer: Layer) -> str:
    return _NAMES.get(layer.name, layer.name)


def when(told: Packet, story: Story) -> str:
    """From where to where: by the hosts' names or, in anyone's capture, by addresses; how long, and its frames."""
    numbers = f"frame{'s' * (len(told.frames) > 1)} {', '.join(map(str, told.frames))}"
    way = f"from the {told.sender or '?'} to the {told.receiver or '?'}"
    if not story.timeline.hosts and not story.calls:
        source, destination = addresses(told)
        way = f"from {source or '?'} to {destination or '?'}"
    if told.sent_ns is not None and told.arrived_ns is not None:
        way += f", {(told.arrived_ns - told.sent_ns) / 1e3:.1f} µs on the way"
    return f"{way}{'; lost' if told.lost else ''}; Wireshark's {numbers}"


def field_rows(layers: tuple[Layer, ...]) -> Iterator[tuple[str, str, str, str]]:
    """Each layer's name, then its fields: octet, bits, field, value."""
    for layer in layers:
        yield "", "", _named(layer), ""
        for field in layer.fields:
            octet, bit = divmod(field.offset_bits, 8)
            bits = f"{field.length_bits}" if bit == 0 and field.length_bits % 8 == 0 else f"{bit}+{field.length_bits}"
            yield str(octet), bits, f"  {field.name}", terminal(field.value)
