"""Numbers of things, in words."""

from __future__ import annotations


def count(number: int, what: str) -> str:
    """'1 packet', '2 packets'."""
    return f"{number} {what}{'' if number == 1 else 's'}"
