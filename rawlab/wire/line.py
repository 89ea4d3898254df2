"""A line of notation, read from left to right: what the readers of `wire.packets` and its neighbours share."""

from __future__ import annotations

import re

from rawlab.model.serial import CIRCLE, Serial


class Line:
    """A text and how far it is read."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def maybe(self, pattern: str) -> re.Match[str] | None:
        """Reads what fits the pattern, if it stands here."""
        found = re.compile(pattern, re.ASCII).match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found

    def take(self, pattern: str, expected: str) -> re.Match[str]:
        """Reads what fits the pattern. Raises ValueError if it does not stand here."""
        if (found := self.maybe(pattern)) is None:
            raise self.error(expected, self.at)
        return found

    def number(self, before: str, below: int = 1 << 32) -> int:
        """Reads a number that follows `before`."""
        found = self.take(f"{before}(\\d+)", f"'{before.replace(chr(92), '')}' and a number")
        if len(found[1]) > 10 or int(found[1]) >= below:
            raise self.error(f"a number below {below}", found.start(1))
        return int(found[1])

    def port(self, ends: re.Match[str], number: int) -> int:
        """The port behind the last dot of an address."""
        text = ends[number].rpartition(".")[2]
        if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 0xFFFF:
            raise self.error("an address, a dot and a port", ends.start(number))
        return int(text)

    def error(self, expected: str, at: int) -> ValueError:
        came = self.text[at : at + 24]
        return ValueError(f"{self.text!r}: at column {at + 1}: expected {expected}, came {came!r}")


def relative(number: Serial, base: Serial | None) -> int:
    """How far the number lies ahead of its base on the circle; the number itself without one."""
    return (number - (base or Serial(0))) % CIRCLE
