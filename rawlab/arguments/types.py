"""What the command line's words are turned into, and what an error says of one that does not fit."""

from __future__ import annotations

import argparse
import re

TYPE_CHECKING = False  # as typing's, whose import alone takes as long as the rest
if TYPE_CHECKING:
    from collections.abc import Callable


def number(low: int, high: int, bounds: str = "") -> Callable[[str], int]:
    """A whole number within these bounds; `bounds`: how an error tells them, if not by themselves."""
    def read(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            told = bounds or f"from {low} to {high}"
            raise argparse.ArgumentTypeError(f"a number {told} expected, {text!r} came")
        return int(text)

    return read


def seconds(text: str) -> float:
    """0 to 60, with up to three decimals."""
    if not re.fullmatch(r"\d{1,2}(\.\d{1,3})?", text, re.ASCII) or float(text) > 60:
        raise argparse.ArgumentTypeError(f"seconds from 0 to 60 expected, {text!r} came")
    return float(text)


def duration(text: str) -> float:
    """Seconds, above 0."""
    if not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", text, re.ASCII) or float(text) == 0:
        raise argparse.ArgumentTypeError(f"seconds, up to 999999, expected, {text!r} came")
    return float(text)


def hidden(text: str) -> tuple[str, ...]:
    """What a quiz hides."""
    known = ("seq", "ack", "state", "cause")
    if not set(words := text.split(",")) <= set(known):
        raise argparse.ArgumentTypeError(f"some of {','.join(known)} expected, {text!r} came")
    return tuple(dict.fromkeys(words))


def scale(text: str) -> float:
    """How much larger."""
    if not re.fullmatch(r"\d{1,2}(\.\d{1,3})?", text, re.ASCII) or not 0.1 <= float(text) <= 20:
        raise argparse.ArgumentTypeError(f"a number from 0.1 to 20 expected, {text!r} came")
    return float(text)


def factor(text: str) -> float:
    """How much faster."""
    if not re.fullmatch(r"\d{1,7}(\.\d{1,9})?", text, re.ASCII) or not 0 < float(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"a number above 0, up to 1000000, as 2 or 0.001, expected, {text!r} came")
    return float(text)


def span(text: str) -> float:
    """Seconds above 0, also as '30s'."""
    seconds = text.removesuffix("s")
    if not re.fullmatch(r"\d{1,4}(\.\d{1,3})?", seconds, re.ASCII) or not 0 < float(seconds) <= 3600:
        raise argparse.ArgumentTypeError(f"seconds above 0, up to 3600, expected, {text!r} came")
    return float(seconds)


def message(text: str) -> bytes:
    """The very octets that were typed."""
    return text.encode(errors="surrogateescape")


def message_of_size(text: str) -> bytes:
    """A message of so many octets."""
    size = number(0, 100_000_000)(text)
    line = b"the quick brown fox jumps over the lazy dog; "
    return (line * (size // len(line) + 1))[:size]
