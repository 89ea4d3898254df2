"""How a table is drawn: what its callers choose, and the ink. No meaning is in colour alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

# Below this width, hosts and wire share a column, and so do the states.
NARROW = 130
COLOURS = {"first": "\x1b[36m", "second": "\x1b[35m", "lost": "\x1b[31m"}
_PLAIN = "\x1b[0m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a table is drawn."""

    format: str = "simple"
    "one of tabulate's"
    width: int | None = None
    "columns of the terminal; None: as wide as it becomes"
    colour: bool = False
    most: int | None = None
    "rows at the most: of more, those in the middle are left out, and a row says how many"
    endpoint_calls: bool = False
    "with the calls that our own endpoint made on its raw socket"
    shown: Collection[str] | None = None
    "the rows ('c5', 'p7') that are wanted; None: all"
    notes: bool = False
    "with what each row means here, beneath it (`explanations`)"


def paint(cell: str, colour: str) -> str:
    """Each of the cell's lines in that colour; '': in none."""
    return "\n".join(f"{colour}{line}{_PLAIN}" for line in cell.split("\n")) if colour and cell else cell
