"""Rows of text from columns: the same as Python's own words for each number."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rawlab.columns.lines import Number, Seconds, Text, lines

_NUMBERS = st.integers(-1, 2**63 - 1)
_TIMES = st.integers(-(10**18), 10**18)


def _seconds(ns: int) -> str:
    return f"{'-' if ns < 0 else ''}{abs(ns) // 10**9}.{abs(ns) % 10**9:09}"


@given(st.lists(st.tuples(_NUMBERS, _TIMES, st.integers(0, 2)), min_size=1, max_size=30))
def test_rows_are_what_python_writes(rows: list[tuple[int, int, int]]) -> None:
    """Whole numbers of any size, -1 as nothing; seconds to the nanosecond; texts from a table."""
    words = np.array(["", "a", "é…"], object)
    numbers, times, codes = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    table = np.array([word.encode() for word in words])
    made = lines([Number(values=numbers), Seconds(ns=times), Text(codes=codes, table=table)])
    expected = [f"{n if n >= 0 else ''}\t{_seconds(ns)}\t{words[code]}\n" for n, ns, code in rows]
    assert made.decode() == "".join(expected)


def test_what_stands_between_is_asked_for() -> None:
    """Another separator, another end."""
    cells = [Number(values=np.array([0, 10_000])), Number(values=np.array([9_999, 99_990_000]))]
    assert bytes(lines(cells, separator=b",", end=b"\r\n")) == b"0,9999\r\n10000,99990000\r\n"
