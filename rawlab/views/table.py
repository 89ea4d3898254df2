"""The tables: `timeline`, all that happened in order of time, and `calls`, each system call and what it did.

tabulate places the ink, in any of its formats. For a terminal the cells are folded to the width given, and
coloured if asked: who called, and what did not arrive. No meaning is in colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from tabulate import tabulate, tabulate_formats

from rawlab.model.story import CallStory, Story
from rawlab.views import escape
from rawlab.views.explanations import explanations
from rawlab.views.folding import fit, fold
from rawlab.views.rows import SENDER_AND_RECEIVER, STRSIZE, Row, hosts, is_foreign, rows
from rawlab.views.simple import PADDING, blocks
from rawlab.views.style import COLOURS, NARROW, Style, paint
from rawlab.wire.strace import format_call

FORMATS: tuple[str, ...] = tuple(tabulate_formats)
_INDENT = "      "  # of a note beneath a row
_WITHOUT_CALLS, _WITHOUT_STATES = (0, 1, 3, 5, 6, 7), (0, 1, 3, 7)  # of the wide timeline's columns


def timeline(story: Story, style: Style) -> str:
    """Number, time, the client's call, the packet, the server's call, both states, and why."""
    told = list(rows(story, endpoint_calls=style.endpoint_calls))
    start_ns = told[0].at_ns if told else 0
    told = [row for row in told if style.shown is None or row.label in style.shown]
    names = hosts(story)
    narrow = style.width is not None and style.width < NARROW
    explained = explanations(story) if style.notes else {}
    body = [cells(row, start_ns, names, narrow=narrow) for row in told]
    header = titles(names, narrow=narrow)
    if is_foreign(story) and not narrow:  # nobody recorded a call
        kept = _WITHOUT_CALLS if any(row.states for row in told) else _WITHOUT_STATES
        header, body = [header[at] for at in kept], [[line[at] for at in kept] for line in body]
    beneath = [tuple(beneath_row(row, explained)) for row in told]
    return draw(header, body, style, [colour_of(row, names[0]) for row in told], beneath)


def titles(names: Sequence[str], *, narrow: bool) -> list[str]:
    """The timeline's; the first host's stands on the left, the last one's on the right."""
    left, right = _outer(names)
    if narrow:
        wire = "wire" if tuple(names) == SENDER_AND_RECEIVER else f"{left} → wire ← {right}"
        return ["#", "ms", wire, "states", "why"]
    return ["#", "ms", f"{left}'s call", "wire", f"{right}'s call", f"{left} is", f"{right} is", "why"]


def cells(row: Row, start_ns: int, names: Sequence[str], *, narrow: bool) -> list[str]:
    """A row of the timeline, below its titles; its time counts from `start_ns`."""
    left, right = _outer(names)
    milliseconds = f"{(row.at_ns - start_ns) / 1e6:.3f}"
    states = [dict(row.states).get(host, "") for host in (left, right)]
    told = _narrow(row, names, states) if narrow else _wide(row, names, right, states)
    return [row.label, milliseconds, *told, row.why]


def _outer(names: Sequence[str]) -> tuple[str, str]:
    return names[0], names[-1] if len(names) > 1 else ""


def beneath_row(row: Row, explained: Mapping[str, str]) -> Iterator[str]:
    """What stands beneath it: what it means here, and the lecturer's notes."""
    if row.last and row.label in explained:
        yield explained[row.label]
    yield from (f"note: {' '.join(note.split())}" for note in row.notes)


def colour_of(row: Row, left: str) -> str:
    """Who called or, in red, what was lost; the text says both too."""
    if row.packet is not None:
        return COLOURS["lost"] if row.packet.lost or row.packet.cause.kind == "unknown" else ""
    return COLOURS["first" if row.host == left else "second"]


def arrow(row: Row, names: Sequence[str]) -> str:
    """The packet with its direction: to the right from the host on the left; of several links, which one it is on."""
    receiver = row.packet.receiver if row.packet is not None else None
    if len(names) > 2 and row.host in names and receiver in names:
        forth = names.index(row.host) < names.index(receiver)
        return f"{row.host} → {receiver}: {row.text}" if forth else f"{receiver} ← {row.host}: {row.text}"
    if tuple(names) == SENDER_AND_RECEIVER:
        return row.text
    return f"→ {row.text}" if row.host == names[0] else f"← {row.text}" if row.host else row.text


def _wide(row: Row, names: Sequence[str], right: str, states: Sequence[str]) -> list[str]:
    cells = ["", "", ""]
    if row.packet is not None:
        cells[1] = arrow(row, names)
    else:
        between = row.host not in (names[0], right)
        cells[2 if row.host == right else 0] = f"{row.host}: {row.text}" if between else row.text
    return [*cells, *states]


def _narrow(row: Row, names: Sequence[str], states: Sequence[str]) -> list[str]:
    text = arrow(row, names) if row.packet is not None else f"{row.host}: {row.text}"
    return [text, "\n".join(states)]


def calls(story: Story, style: Style) -> str:
    """Each call: arguments and result, how long it blocked, the packets and octets it sent, those it waited for."""
    header = ["#", "host", "pid", "call", "ms", "sent", "octets", "because of", "state after", "why"]
    shown = (*story.calls, *(story.endpoint_calls if style.endpoint_calls else ()))
    body = [_call_cells(told, story) for told in shown]
    beneath = [tuple(f"note: {' '.join(note.split())}" for note in told.call.notes) for told in shown]
    if style.width is not None and style.width < NARROW:
        header = ["#", "call", "ms", "sent", "because of", "why"]
        body = [[n, f"{host}: {text}", ms, sent, cause, why] for n, host, _, text, ms, sent, _, cause, _, why in body]
    return draw(header, body, style, beneath=beneath)


def _call_cells(told: CallStory, story: Story) -> list[str]:
    call = told.call
    took = "" if call.returned_ns is None else f"{(call.returned_ns - call.entered_ns) / 1e6:.3f}"
    return [
        told.label,
        call.host,
        str(call.pid),
        format_call(call, STRSIZE),
        took,
        labels(told.sent),
        str(carried) if (carried := octets_sent(told, story)) else "",
        labels(told.waited_for),
        call.state or "",
        told.why,
    ]


def octets_sent(told: CallStory, story: Story) -> int:
    """How many of the call's octets the packets that it sent carried."""
    if told.call.endpoint:
        return 0
    return sum(
        end - first for n in told.sent for of, first, end in story.packets[n - 1].cause.bytes if of == told.n
    )


def labels(numbers: Sequence[int]) -> str:
    """'p3 p5–p9': packets by number, runs of three or more shortened."""
    parts: list[str] = []
    first = 0
    for index in range(1, len(numbers) + 1):
        if index == len(numbers) or numbers[index] != numbers[index - 1] + 1:
            run = numbers[first:index]
            parts += [f"p{run[0]}–p{run[-1]}"] if len(run) > 2 else [f"p{n}" for n in run]
            first = index
    return " ".join(parts)


# ------------------------------------------------------------------------------------------------- ink


def draw(
    header: Sequence[str],
    body: Sequence[Sequence[str]],
    style: Style,
    colours: Sequence[str] = (),
    beneath: Sequence[Sequence[str]] = (),
) -> str:
    """The table, folded to the style's width, each cell harmless where it goes.

    `colours`: one a line, '' for none. `beneath`: notes on each line; across the whole width where the format is
    'simple', else in a column of their own.
    """
    across = style.format == "simple"
    if any(beneath) and not across:
        header, body = [*header, "notes"], [[*line, "; ".join(n)] for line, n in zip(body, beneath, strict=True)]
    body, colours, beneath = shortened(body, colours, style.most, beneath)
    harmless = escape.for_format(style.format)
    cells = [[harmless(cell) for cell in line] for line in body]
    titles = [harmless(title) for title in header]
    if style.width is not None:
        padded = [title + " " * PADDING for title in titles]
        widths = fit([padded, *cells], style.width - 2 * (len(titles) - 1))
        cells = [[fold(cell, width) for cell, width in zip(line, widths, strict=True)] for line in cells]
        titles = [fold(title, width - PADDING) for title, width in zip(titles, widths, strict=True)]
    if style.colour and colours:
        cells = [[paint(cell, colour) for cell in line] for line, colour in zip(cells, colours, strict=True)]
    if across:
        return "\n".join(_interleaved(list(blocks(titles, cells)), beneath, style.width))
    return tabulate(cells, titles, tablefmt=style.format, disable_numparse=True)


def _interleaved(drawn: Sequence[Sequence[str]], beneath: Sequence[Sequence[str]], width: int | None) -> Iterator[str]:
    """The lines of a simple table, each row's notes beneath it."""
    room = (width or max(len(line) for lines in drawn for line in lines)) - len(_INDENT)
    for lines, notes in zip_longest(drawn, ((), *beneath), fillvalue=()):
        yield from lines
        for note in notes:
            yield from (f"{_INDENT}{part}" for part in fold(escape.terminal(note), room).split("\n"))


def shortened(
    body: Sequence[Sequence[str]], colours: Sequence[str], most: int | None, beneath: Sequence[Sequence[str]] = ()
) -> tuple[Sequence[Sequence[str]], Sequence[str], Sequence[Sequence[str]]]:
    """The lines, their colours and notes, the middle of too many replaced by a line that says so."""
    if most is None or len(body) <= most:
        return body, colours, beneath
    head, tail = most // 2, len(body) - most // 2
    gap = ["…", "", f"{tail - head} rows left out; --full shows them", *[""] * (len(body[0]) - 3)]
    return (
        [*body[:head], gap, *body[tail:]],
        [*colours[:head], "", *colours[tail:]] if colours else colours,
        [*beneath[:head], (), *beneath[tail:]] if beneath else beneath,
    )
