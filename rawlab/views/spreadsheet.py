"""The story as comma-separated values (RFC 4180): the table's rows, for a spreadsheet or a script, in UTF-8.

One line a row, a call that took time as its entry and its return; the columns are those of `COLUMNS`. No cell begins a
formula, none moves a cursor (`escape`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator

from rawlab.model.facts import TcpSegment
from rawlab.model.story import Story
from rawlab.views.escape import spreadsheet, terminal
from rawlab.views.explanations import explanations
from rawlab.views.rows import Row, hosts, rows
from rawlab.views.table import labels

COLUMNS = ("row", "ms", "host", "what", "flags", "seq", "ack", "window", "octets", "sent", "because of")
"before each host's state, then: why, means, notes"


def render(story: Story, *, shown: Collection[str] | None = None) -> str:
    """The rows, all or those ('c5', 'p7') that are asked for."""
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\r\n")
    writer.writerows(_lines(story, shown))
    return sheet.getvalue()


def _lines(story: Story, shown: Collection[str] | None) -> Iterator[list[str]]:
    names, means = hosts(story), explanations(story)
    yield [_safe(word) for word in (*COLUMNS, *(f"{name} is" for name in names), "why", "means", "notes")]
    start_ns: int | None = None
    for row in rows(story):
        start_ns = row.at_ns if start_ns is None else start_ns
        if shown is not None and row.label not in shown:
            continue
        states = dict(row.states)
        cells = [
            row.label,
            f"{(row.at_ns - start_ns) / 1e6:.6f}",
            row.host or "",
            row.text,
            *_numbers(row),
            labels(row.call.sent) if row.call and row.last else "",
            _because(row),
            *(states.get(name, "") for name in names),
            row.why,
            means.get(row.label, "") if row.last else "",
            "; ".join(row.notes),
        ]
        yield [_safe(cell) for cell in cells]


def _numbers(row: Row) -> list[str]:
    """Flags, relative sequence and acknowledgment number, window and octets of data, as far as a packet has them."""
    if row.packet is None:
        return [""] * 5
    transport = row.packet.facts.transport
    octets = getattr(transport, "length", None)
    shown = [row.packet.seq, row.packet.ack, None, octets]
    flags = ""
    if isinstance(transport, TcpSegment):
        flags, shown[2] = transport.flags, transport.window
    return [flags, *("" if number is None else str(number) for number in shown)]


def _because(row: Row) -> str:
    """What a call waited for; what caused a packet."""
    if row.call is not None:
        return labels(row.call.waited_for) if row.last else ""
    assert row.packet is not None
    cause = row.packet.cause
    return " ".join([*(f"c{n}" for n in cause.calls), *(f"p{n}" for n in cause.packets)])


def _safe(cell: str) -> str:
    return spreadsheet(terminal(cell).strip())
