"""What each call, flag and notion is, in short: one text a topic, beside this file."""

from __future__ import annotations

from importlib.resources import files

_FILES = {entry.name.removesuffix(".txt"): entry for entry in files(__name__).iterdir() if entry.name.endswith(".txt")}
NAMES = tuple(sorted(_FILES, key=str.lower))


def topic(name: str) -> str:
    """The text of that topic. Raises KeyError."""
    return _FILES[name].read_text(encoding="utf-8")
