"""The list of a capture's flows: who spoke with whom, how much, how it opened and ended, what stands out.

It is drawn from columns (`model.columns.FLOWS`), each a list with an entry a flow, so that a hundred thousand lines
take no longer than their text. In a narrow terminal what happened shares one column. No meaning is in colour alone:
red is a flow that was refused or reset, or of which segments are missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from rawlab.views import escape
from rawlab.views.counting import count
from rawlab.views.flow_layout import BOTH, GAP, WHAT, Cells, broken, fitted
from rawlab.views.folding import fold
from rawlab.views.style import COLOURS, Style, paint

Columns = Mapping[str, Sequence[Any]]

NEEDED = (
    *("flow", "protocol", "ends", "packets", "bytes_out", "bytes_in", "start_ns", "duration_ns", "opened", "ended"),
    *("tcp_retransmissions", "tcp_missing", "handshake_rtt_ns", "notable"),
)
"the columns that it is drawn from; `ends`: 'A → B' if A opened it, 'A ← B' if B did, 'A – B' where nobody was seen to"
TITLES = (
    *("#", "protocol", "flow", "packets", "octets →", "octets ←", "at s", "lasts s", "opened", "ended"),
    *("resent", "missing", "RTT ms", "notable"),
)
_NARROW = ("#", "flow", "packets", "octets", "lasts s", WHAT)
RIGHT = {"#", "packets", "octets", "octets →", "octets ←", BOTH, "at s", "lasts s", "resent", "missing", "RTT ms"}
_GAP = GAP


def render(columns: Columns, style: Style, left_out: int = 0) -> str:
    """The list in one of tabulate's formats; `simple` as wide as `style` says.

    `left_out`: so many flows are not in the columns, in their middle.
    """
    wide: Cells = dict(zip(TITLES, _wide(columns), strict=True))
    colours: Sequence[str] = list(_colours(columns)) if style.colour else []
    if style.format != "simple":
        from rawlab.views.table import draw

        return draw(TITLES, list(zip(*wide.values(), strict=True)), style, colours)
    cells, widths = wide, [max(map(len, (title, *column))) for title, column in wide.items()]
    if style.width is not None:
        cells, widths = fitted(wide, dict(zip(_NARROW, _narrow(columns), strict=True)), style.width)
    body: list[Sequence[str]] = list(zip(*cells.values(), strict=True))
    if left_out:
        half = (len(body) + 1) // 2
        gap = [f"{left_out} rows left out; --full shows them" if title == "flow" else "" for title in cells]
        body = [*body[:half], ["…", *gap[1:]], *body[half:]]
        colours = [*colours[:half], "", *colours[half:]] if colours else colours
    return _simple(list(cells), body, widths, colours)


def head(widths: Sequence[int]) -> str:
    """The titles over lines that are made elsewhere (`columns.flow_lines`), as wide as those are."""
    return f"{(_GAP.join(_cells(TITLES, widths)) % TITLES).rstrip()}\n{_GAP.join('-' * size for size in widths)}"


def _wide(columns: Columns) -> Sequence[Sequence[str]]:
    """The cells, column by column, as many as titles."""
    return (
        list(map(str, columns["flow"])),
        columns["protocol"],
        columns["ends"],
        list(map(str, columns["packets"])),
        list(map(str, columns["bytes_out"])),
        list(map(str, columns["bytes_in"])),
        [f"{ns / 1e9:.3f}" for ns in columns["start_ns"]],
        [f"{ns / 1e9:.3f}" for ns in columns["duration_ns"]],
        [text or "" for text in columns["opened"]],
        [text or "" for text in columns["ended"]],
        _counts(columns["tcp_retransmissions"]),
        _counts(columns["tcp_missing"]),
        ["" if ns is None else f"{ns / 1e6:.3f}" for ns in columns["handshake_rtt_ns"]],
        columns["notable"],
    )


def _counts(numbers: Iterable[int]) -> list[str]:
    """Each in digits, 0 as nothing."""
    return [str(number) if number else "" for number in numbers]


def _narrow(columns: Columns) -> Sequence[Sequence[str]]:
    """The cells, column by column, as many as titles."""
    cells = _wide(columns)
    both = zip(columns["bytes_out"], columns["bytes_in"], strict=True)
    return (
        cells[0],
        [f"{protocol} {ends}" for protocol, ends in zip(cells[1], cells[2], strict=True)],
        cells[3],
        [str(out + back) for out, back in both],
        cells[7],
        ["; ".join(_what(row)) for row in zip(*cells, strict=True)],
    )


def _what(cells: Sequence[str]) -> Iterator[str]:
    """What a narrow terminal says in one column."""
    words = ("", "", "{} resent", "{} missing", "RTT {} ms", "")
    yield from ((word or "{}").format(cell) for word, cell in zip(words, cells[8:], strict=True) if cell)


def _colours(columns: Columns) -> Iterator[str]:
    for ended, missing in zip(columns["ended"], columns["tcp_missing"], strict=True):
        yield COLOURS["lost"] if missing or (ended or "").startswith("RST") else ""


def _simple(
    titles: Sequence[str], body: Sequence[Sequence[str]], widths: Sequence[int], colours: Sequence[str]
) -> str:
    """As tabulate's `simple`, but numbers stand on the right."""
    flow = list(titles).index("flow")
    line = _GAP.join(_cells(titles, widths))
    painted = [*_folded(titles, widths, line, ""), _GAP.join("-" * size for size in widths)]
    for index, cells in enumerate(body):
        cells = [*cells[:flow], broken(cells[flow], widths[flow]), *cells[flow + 1 :]]
        painted += _folded(cells, widths, line, colours[index] if colours else "")
    return "\n".join(painted)


def _cells(titles: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """'%7s' or '%-7s' for each column."""
    for title, size in zip(titles, widths, strict=True):
        yield f"%{'' if title in RIGHT else '-'}{size}s"


def _folded(cells: Sequence[str], widths: Sequence[int], line: str, colour: str) -> Iterator[str]:
    """A row in as many lines as its cells need."""
    parts = [fold(escape.terminal(cell), size).split("\n") for cell, size in zip(cells, widths, strict=True)]
    for part in zip_longest(*parts, fillvalue=""):
        yield paint((line % part).rstrip(), colour)


def summary(protocols: Sequence[str], missing: int, frames: int, span_ns: int, more: Sequence[str] = ()) -> str:
    """'3 flows (tcp 2, arp 1), 40 frames in 1.500 s; …'; `protocols`: each flow's; `more`: what else is to be said."""
    of = ", ".join(f"{escape.terminal(name)} {number}" for name, number in Counter(protocols).most_common())
    flows = count(len(protocols), "flow")
    said = [f"{flows}{f' ({of})' if of else ''}, {count(frames, 'frame')} in {span_ns / 1e9:.3f} s"]
    if missing:
        said.append(f"{count(missing, 'gap')} where segments are missing from the capture")
    return "; ".join([*said, *more])
