"""One packet or one call, taken apart: which octets belong to which layer, who wrote them, and what each field says.

This is the answer to the course's question why sockets are the interface into the transport layer: what the process
wrote begins where the kernel's headers end, and a raw socket moves that border.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tabulate import tabulate

from rawlab.model.sctp import SctpPacket
from rawlab.model.story import CallStory, Packet, Story
from rawlab.views.escape import terminal
from rawlab.views.explanations import explanations
from rawlab.views.rows import STRSIZE, words
from rawlab.views.table import labels
from rawlab.wire.fields import Layer, fields
from rawlab.wire.strace import format_call

_NAMES = {"Raw": "data", "Padding": "padding"}


def packet(story: Story, n: int) -> str:
    """Packet n. Raises IndexError."""
    told = story.packets[n - 1]
    layers = fields(told.data, _linktype(story, told))
    rows = [(_span(layer), _NAMES.get(layer.name, layer.name), writer(layer, told, story)) for layer in layers]
    return "\n".join(
        (
            f"p{n}: {words(told, addresses=True)}",
            when(told),
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


def when(told: Packet) -> str:
    numbers = ", ".join(map(str, told.frames))
    way = f"from the {told.sender or '?'} to the {told.receiver or '?'}"
    if told.sent_ns is not None and told.arrived_ns is not None:
        way += f", {(told.arrived_ns - told.sent_ns) / 1e3:.1f} µs on the way"
    return f"{way}{'; lost' if told.lost else ''}; Wireshark's frames {numbers}"


def _span(layer: Layer) -> str:
    return f"{layer.offset}–{layer.offset + layer.length - 1}"


def writer(layer: Layer, told: Packet, story: Story) -> str:
    """The process, where the layer's octets are those of a call; else the kernel, or our own endpoint."""
    kernel = f"the {told.sender or 'sender'}'s kernel"
    ours = story.timeline.run.stack == "user" and isinstance(told.facts.transport, SctpPacket)
    if ours and told.facts.ip is not None and layer.offset >= told.facts.ip.payload[0]:
        kernel = f"the {told.sender or 'sender'}'s SCTP, rawlab's own"
    own = {address for host in story.timeline.hosts for address in host.own_tcp}
    source = told.facts.ip.source if told.facts.ip is not None else getattr(told.facts.transport, "sender", None)  # ARP
    if source in own:
        kernel = f"the {told.sender or 'sender'}'s TCP, rawlab's own"  # whole frames, through a packet socket
    if told.cause.kind != "call" or not told.cause.bytes:
        return kernel
    process = f"the {told.sender or 'sender'}'s process"
    start = _raw_start(told, story)
    if start is None:
        parts = [f"c{n}, its octets {first} to {end - 1}" for n, first, end in told.cause.bytes]
        return f"{process}: {'; '.join(parts)}" if layer.name == "Raw" else kernel
    if layer.offset < start:
        return kernel
    n, first, _ = told.cause.bytes[0]
    at = first + layer.offset - start
    return f"{process}: c{n}, its octets {at} to {at + layer.length - 1}"


def _raw_start(told: Packet, story: Story) -> int | None:
    """Where a raw socket's octets begin in the frame; None for a packet of another kind of socket."""
    n = told.cause.bytes[0][0]
    call, ip = story.calls[n - 1].call, told.facts.ip
    made = next((each.call for each in story.calls if each.call.new_socket == call.socket), None)
    if made is not None and dict(made.args).get("domain") == "AF_PACKET":
        return 0
    if ip is None or made is None or "SOCK_RAW" not in str(dict(made.args).get("type")):
        return None
    includes_header = dict(made.args).get("protocol") == "IPPROTO_RAW"
    return ip.payload[1] - ip.length if includes_header else ip.payload[0]


def field_rows(layers: tuple[Layer, ...]) -> Iterator[tuple[str, str, str, str]]:
    """Each layer's name, then its fields: octet, bits, field, value."""
    for layer in layers:
        yield "", "", _NAMES.get(layer.name, layer.name), ""
        for field in layer.fields:
            octet, bit = divmod(field.offset_bits, 8)
            bits = f"{field.length_bits}" if bit == 0 and field.length_bits % 8 == 0 else f"{bit}+{field.length_bits}"
            yield str(octet), bits, f"  {field.name}", terminal(field.value)
