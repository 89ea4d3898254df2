"""How the list of flows is fitted to a terminal: which columns it has there, and how wide they are.

Tried in turn: all columns; those that are blank left out; the octets of both ways in one; without when it began; at
last what happened in words in one column, then with a flow's ends on two lines, broken behind the arrow, then without
how long it took. Words at the end of a line fold; numbers never do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rawlab.views.folding import columns_of, fit

GAP = "  "
BOTH = "octets → / ←"
WHAT = "what happened"
ARROWS = ("→", "←", "–")
_MAY_BE_BLANK = ("opened", "ended", "resent", "missing", "RTT ms", "notable")
_WORDS = {"notable": 14, WHAT: 28}
"columns that may be as narrow as this, though they say more"
_LEAST = 12
"so narrow they are before an end is broken"
Cells = Mapping[str, Sequence[str]]
"columns by their titles"


def fitted(wide: Cells, narrow: Cells, width: int) -> tuple[Cells, list[int]]:
    """What is shown, and how wide each column of it is."""
    narrower = {title: cells for title, cells in narrow.items() if title != "lasts s"}
    small = ((narrow, False), (narrow, True), (narrower, True))
    for cells, in_two in (*((cells, False) for cells in _layouts(wide)), *small):
        if (widths := _widths(cells, width, in_two=in_two)) is not None:
            return cells, widths
    lines = [list(narrow), *zip(*({**narrow, "flow": [*map(_in_two, narrow["flow"])]}).values(), strict=True)]
    return narrow, fit(lines, width - len(GAP) * (len(narrow) - 1))


def broken(flow: str, width: int) -> str:
    """A flow's cell on two lines, if it is too long for one."""
    return _in_two(flow) if columns_of(flow) > width else flow


def _in_two(flow: str) -> str:
    for arrow in ARROWS:
        if f" {arrow} " in flow:
            return flow.replace(f" {arrow} ", f" {arrow}\n", 1)
    return flow


def _layouts(wide: Cells) -> Iterator[Cells]:
    yield wide
    there = {title: cells for title, cells in wide.items() if title not in _MAY_BE_BLANK or any(cells)}
    yield there
    pairs = zip(wide["octets →"], wide["octets ←"], strict=True)
    both = [f"{out} / {back}" if out or back else "" for out, back in pairs]
    merged = {
        BOTH if title == "octets →" else title: both if title == "octets →" else cells
        for title, cells in there.items()
        if title != "octets ←"
    }
    yield merged
    yield {title: cells for title, cells in merged.items() if title != "at s"}


def _widths(cells: Cells, width: int, *, in_two: bool) -> list[int] | None:
    """None: there is no room for them."""
    wanted = {title: _width([title, *column]) for title, column in cells.items()}
    least = {title: min(want, max(_WORDS.get(title, want), len(title))) for title, want in wanted.items()}
    if in_two:
        least = {title: min(size, _LEAST if title in _WORDS else size) for title, size in least.items()}
        least["flow"] = _width([line for flow in cells["flow"] for line in _in_two(flow).split("\n")])
    spare = width - len(GAP) * (len(cells) - 1) - sum(least.values())
    if spare < 0:
        return None
    for title in _WORDS:
        if title in least:
            least[title] = min(least[title] + spare, wanted[title])
    return list(least.values())


def _width(texts: Sequence[str]) -> int:
    return max(map(columns_of, texts), default=0)
