"""How far a long reading is: a line on standard error, where that is a terminal, which goes when the reading ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_AFTER, _EVERY = 0.5, 0.1
"seconds until it is shown; between two of it"
_CLEAR = "\r\x1b[K"
_BAR = 30


@contextmanager
def shown(what: str) -> Iterator[Callable[[int, int], None]]:
    """Within: call it with the octets done and all there are. `what`: 'reading FILE'."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda done, whole: None
        return
    line = _Line(what)
    try:
        yield line.tell
    finally:
        line.clear()


class _Line:
    def __init__(self, what: str) -> None:
        self._what = what
        self._due = time.monotonic() + _AFTER
        self._stands = False

    def tell(self, done: int, whole: int) -> None:
        """Draws it again, if it is time."""
        if (now := time.monotonic()) < self._due or not whole:
            return
        self._due, self._stands = now + _EVERY, True
        bar = "#" * (_BAR * done // whole)
        said = f"[{bar:<{_BAR}}] {100 * done // whole:3} %  {done >> 20} of {whole >> 20} MiB  {self._what}"
        room = max((os.get_terminal_size(sys.stderr.fileno()).columns or 80) - 1, 20)
        sys.stderr.write(f"{_CLEAR}{said[:room]}")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._stands:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
