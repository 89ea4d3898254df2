"""Rows of a table on their way out, as columns: what a batch holds, and how it becomes Python's values.

A batch maps each column's name to its values: an array, in which -1 is none; a text as `Coded`; or a list, in which
None is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rawlab.model.columns import Column

Batch = Mapping[str, Any]


class Words:
    """Texts by number, to which more may come; None: no text."""

    def __init__(self, texts: Sequence[str | None] = ()) -> None:
        self.texts: list[str | None] = list(texts)
        self._encoded: npt.NDArray[np.bytes_] = np.zeros(0, "S1")

    def encoded(self) -> npt.NDArray[np.bytes_]:
        """All as UTF-8, none as nothing."""
        if (known := len(self._encoded)) < len(self.texts):
            more = np.array([(text or "").encode() for text in self.texts[known:]], np.bytes_)
            self._encoded = np.concatenate((self._encoded, more)) if known else more
        return self._encoded


@dataclass(frozen=True, slots=True)
class Coded:
    """A text in each row, by its number among words."""

    codes: npt.NDArray[np.integer]
    words: Words

    def list(self) -> list[str | None]:
        texts = self.words.texts
        return [texts[code] for code in self.codes.tolist()]


def select(batch: Batch, rows: Any) -> Batch:
    """Some of the rows: a truth for each, or a slice."""
    return {
        name: Coded(one.codes[rows], one.words) if isinstance(one, Coded) else one[rows] for name, one in batch.items()
    }


def values(batch: Batch, column: Column) -> list[Any]:
    """One column as Python's values, None where it lacks."""
    found = batch[column.name]
    if isinstance(found, Coded):
        return found.list()
    if isinstance(found, list):
        return found
    plain: list[Any] = found.tolist()
    if column.may_lack and column.type in ("number", "port"):
        return [None if value == -1 else value for value in plain]
    return plain


def rows(batch: Batch, columns: Sequence[Column]) -> Iterator[tuple[Any, ...]]:
    """The batch row by row."""
    return zip(*(values(batch, column) for column in columns), strict=True)
