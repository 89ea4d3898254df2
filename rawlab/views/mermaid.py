"""The ladder as a Mermaid sequence diagram, for Markdown pages, wikis and README files that draw those.

Packets are messages (a dashed line: a kernel's own; a cross: lost), calls notes beside their host, active as long as
they block, states notes on it. Mermaid knows no time: what is later stands lower, no more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from rawlab.model.story import CallStory, Packet, Story
from rawlab.views import lanes, time_axis
from rawlab.views.captions import LOST, call_words, entry_words, marked, notes, packet_words, title
from rawlab.views.conversations import Conversations
from rawlab.views.escape import terminal
from rawlab.views.places import Places

# All else is written as an entity: `#`, `;` and `:` are Mermaid's own, `<` is HTML's, `$` KaTeX's.
_UNSAFE = re.compile(r"[^\w ,.()/=+*?!'\[\]|~^@…→←—–-]")
_ENDS = "exit_group"  # does not return, and nothing goes on


def draw(story: Story, *, shown: Collection[str] | None = None) -> str:
    """The diagram's text; `shown`: the rows that it is of, all where None."""
    return "\n".join(("sequenceDiagram", *(f"    {line}" for line in _lines(story, shown)))) + "\n"


def _lines(story: Story, shown: Collection[str] | None) -> Iterator[str]:
    calls = {told.n: told for told in story.calls if shown is None or told.label in shown}
    packets = {packet.n: packet for packet in story.packets if shown is None or f"p{packet.n}" in shown}
    places = Places(story, list(packets.values()))
    conversations = Conversations(story)
    moments = time_axis.moments(list(calls.values()), list(packets.values()))
    keys = [moment.key for moment in moments]
    states = lanes.changes(story, moments, calls, packets, conversations, places)
    several = len(conversations.all) > 1
    yield f"title: {text(title(story, places.names))}"
    for place, name in enumerate(places.names):
        yield f"participant h{place} as {text(name)}"
    begun: dict[lanes.Key, list[lanes.Change]] = {}
    for change in states:
        begun.setdefault(change.key, []).append(change)
    blocking: dict[int, CallStory] = {}
    for key, following in zip(keys, [*keys[1:], None], strict=False):
        kind, n, end = key
        if kind == "c":
            about = conversations.of_call[n]
            alone = following is not None and following[:2] == key[:2]
            mark = f"#{min(about)} " if several and len(about) == 1 else ""
            yield from _call(calls[n], end, alone, places, mark, blocking)
        elif not end:
            yield _packet(packets[n], story, places, conversations.of_packet.get(n) if several else None)
        for change in begun.get(key, ()):
            mark = f"#{change.conversation} " if several else ""
            yield f"Note over h{change.host}: {text(mark + change.state)}"
    for told in blocking.values():
        yield f"deactivate h{places.of_host(told.call.host)}"
    legend = conversations.all if several else []
    for note in notes(story, legend, sorted({change.conversation for change in states})):
        yield f"Note over h0,h{len(places.names) - 1}: {text(note)}"


def _call(
    told: CallStory, end: int, alone: bool, places: Places, mark: str, blocking: dict[int, CallStory]
) -> Iterator[str]:
    """A call's entry or return; of one during which nothing else happened, its entry says all."""
    place = places.of_host(told.call.host)
    side = "left" if place == 0 else "right"
    if alone or told.call.name == _ENDS:
        yield f"Note {side} of h{place}: {told.label} {text(mark + call_words(told))}"
    elif not end:
        blocking[told.n] = told
        yield f"activate h{place}"
        yield f"Note {side} of h{place}: {told.label} {text(mark + entry_words(told))}"
    elif blocking.pop(told.n, None) is not None:
        yield f"Note {side} of h{place}: {told.label} {text(mark + call_words(told))}"
        yield f"deactivate h{place}"


def _packet(packet: Packet, story: Story, places: Places, number: int | None) -> str:
    sender, receiver = places.ends(packet)
    line = "--" if packet.cause.kind == "kernel" else "-"
    head = "x" if packet.lost else ">>"
    words = ", ".join(line for line, _ in marked(packet_words(packet, story), number)).replace(LOST, "")
    return f"h{sender}{line}{head}h{receiver}: p{packet.n} {text(words + LOST * packet.lost)}"


def text(words: str) -> str:
    """Words that nothing in Mermaid, or in the page that shows it, takes for its own."""
    return _UNSAFE.sub(lambda found: f"#{ord(found[0])};", terminal(words).replace("\n", " "))
