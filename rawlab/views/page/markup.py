"""The page's table of rows, which says in words all that the ladder draws, and the choices of its filters.

Rows stand in groups, so that a browser need not lay out those that are out of sight (CSS's content-visibility); a table
laid out so says its roles itself.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rawlab.model.facts import ArpMessage, TcpSegment
from rawlab.model.sctp import SctpPacket
from rawlab.model.story import Packet, Story
from rawlab.views.conversations import Conversations
from rawlab.views.escape import terminal
from rawlab.views.places import Places
from rawlab.views.rows import Row, hosts, rows
from rawlab.wire import symbols

_GROUP = 40  # rows
_EARLY = ("", "CLOSED", "LISTEN", "SYN-SENT", "COOKIE-WAIT", "COOKIE-ECHOED")  # from here, CLOSED is the first again


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the page's table: words, not yet escaped for HTML."""

    step: int
    "from 1"
    label: str
    "'c5', 'p7'"
    ms: str
    who: str
    "'client', or 'client → server'"
    what: str
    states: tuple[str, ...]
    "each host's, in the order of `rows.hosts`; '' where none is known"
    why: str
    host: str
    protocol: str
    "'' for a call"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    "hosts whose CLOSED is that of a conversation which had been open: the diagram's second"


def lines(story: Story, shown: Collection[str] | None = None) -> list[Line]:
    """The table's rows, those of `shown` alone."""
    wanted = [row for row in rows(story) if shown is None or row.label in shown]
    last = {row.label: step for step, row in enumerate(wanted, 1)}
    first_ns = wanted[0].at_ns if wanted else 0
    places = Places(story, [row.packet for row in wanted if row.packet is not None])
    over = _over(story)
    return [
        _line(step, row, story, last[row.label], first_ns, places, over[row.label, row.last])
        for step, row in enumerate(wanted, 1)
    ]


def _over(story: Story) -> dict[tuple[str, bool], tuple[str, ...]]:
    """Of each row, by its label and whether it is the label's last: the hosts that are CLOSED after an open state.

    A packet, and a call of the host's own, tell of their conversation; what another host calls, of nothing new.
    """
    conversations = Conversations(story)
    opened: set[tuple[int, str]] = set()
    before: dict[str, str] = {}
    over: dict[str, bool] = {}
    found: dict[tuple[str, bool], tuple[str, ...]] = {}
    for row in rows(story):
        about = conversations.of_call[row.call.n] if row.call is not None else frozenset[int]()
        if row.packet is not None and row.packet.n in conversations.of_packet:
            about = frozenset((conversations.of_packet[row.packet.n],))
        for host, state in row.states:
            mine = row.packet is not None or row.host == host
            was = before.get(host, "")
            before[host] = state
            if state not in _EARLY and mine:
                opened |= {(number, host) for number in about}
            been = any((number, host) in opened for number in about)
            if state != "CLOSED" or (row.call is not None and mine and was == "LISTEN"):
                over[host] = False
            elif been or (about and mine):
                over[host] = been
            elif was != "CLOSED":
                over[host] = was not in _EARLY
        found[row.label, row.last] = tuple(host for host, is_over in over.items() if is_over)
    return found


def _line(
    step: int, row: Row, story: Story, last: int, first_ns: int, places: Places, over: tuple[str, ...]
) -> Line:
    states = dict(row.states)
    packet = row.packet
    who = row.host or "?"
    notes: tuple[str, ...] = packet.notes if packet is not None else ()
    if packet is not None:
        sender, receiver = places.ends(packet)
        who = f"{places.names[sender]} → {places.names[receiver]}"
    elif row.call is not None and step == last:
        notes = row.call.call.notes
    return Line(
        step=step,
        label=row.label,
        ms=f"{(row.at_ns - first_ns) / 1e6:.3f}",
        who=terminal(who),
        what=terminal(row.text),
        states=tuple(terminal(states.get(host, "")) for host in hosts(story)),
        why=terminal(row.why or _pending(row, last)),
        host=terminal(row.host or ""),
        protocol=_protocol(packet) if packet is not None else "",
        flags=_flags(packet) if packet is not None else (),
        notes=tuple(map(terminal, notes)),
        over=tuple(map(terminal, over)),
    )


def _pending(row: Row, last: int) -> str:
    """What is to be said of a call's entry, while nothing has come of it."""
    return f"the {row.host} calls {row.call.call.name}, which returns in step {last}" if row.call is not None else ""


def _protocol(packet: Packet) -> str:
    if isinstance(packet.facts.transport, ArpMessage):
        return "ARP"
    if packet.facts.ip is None:
        return "other"
    return symbols.protocol(packet.facts.ip.protocol).upper()


def _flags(packet: Packet) -> tuple[str, ...]:
    match packet.facts.transport:
        case TcpSegment() as segment:
            return tuple(symbols.TCP_FLAGS[letter] for letter in segment.flags)
        case SctpPacket() as transport:
            return tuple(dict.fromkeys(symbols.sctp_chunk(chunk.type) for chunk in transport.chunks))
    return ()


def table(story: Story, told: Sequence[Line]) -> str:
    """All of it."""
    heads = ["#", "ms", "who", "call or packet", *(f"{terminal(host)} is" for host in hosts(story)), "why"]
    titles = "".join(f'<th role="columnheader" scope="col">{html.escape(head)}</th>' for head in heads)
    groups = (told[at : at + _GROUP] for at in range(0, len(told), _GROUP))
    names = [html.escape(terminal(host)) for host in hosts(story)]
    bodies = "".join(
        f'<tbody role="rowgroup">{"".join(_row(line, names) for line in group)}</tbody>\n' for group in groups
    )
    head = f'<thead role="rowgroup"><tr role="row">{titles}</tr></thead>'
    many = f"hosts-{min(len(hosts(story)), 4)}"
    return f'<table id="rows" class="{many}" role="table" aria-label="Calls and packets">{head}\n{bodies}</table>'


def _row(line: Line, names: Sequence[str]) -> str:
    escape = html.escape
    kind = "packet" if line.label.startswith("p") else "call"
    marks = f'data-step="{line.step}" data-row="{line.label}" data-host="{escape(line.host)}" data-kind="{kind}"'
    if line.protocol:
        marks += f' data-protocol="{escape(line.protocol)}" data-flags="{escape("|".join(line.flags))}"'
    over, ended = ' data-over=""', tuple(map(escape, line.over))
    states = "".join(
        f'<td role="cell" class="is" data-of="{name}"{over * (name in ended)}>{escape(state)}</td>'
        for name, state in zip(names, line.states, strict=True)
    )
    notes = "".join(f'<span class="note">{escape(note)}</span>' for note in line.notes)
    return (
        f'<tr role="row" {marks}><td role="cell"><button type="button" class="row">{line.label}</button></td>'
        f'<td role="cell" class="ms">{line.ms}</td><td role="cell">{escape(line.who)}</td>'
        f'<td role="cell" class="what">{escape(line.what)}</td>{states}'
        f'<td role="cell" class="why"><span class="because">{escape(line.why)}</span>{notes}</td></tr>\n'
    )


def options(words: Iterable[str]) -> Iterator[str]:
    """A choice's options."""
    for word in words:
        yield f'<option value="{html.escape(word)}">{html.escape(word)}</option>'
