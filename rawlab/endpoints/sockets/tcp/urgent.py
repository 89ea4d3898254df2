"""Which octet of a stream is urgent: the one before the last mark, as Linux reads the pointer (tcp(7), RFC 6093).

A read never goes over that octet together with what came before it, and never gives it: recv(…, MSG_OOB) does. An older
mark is forgotten when a new one comes: its octet is then an octet like any other.
"""

from __future__ import annotations


class Urgent:
    """Of one socket; places count from the first octet of the stream."""

    def __init__(self) -> None:
        self.at: int | None = None
        "the urgent octet's place"
        self.octet: bytes | None = None
        "the octet, once it has come; nobody has taken it yet"
        self.taken = False

    def mark(self, end: int) -> None:
        """The octet before this place is urgent."""
        self.at, self.octet, self.taken = end - 1, None, False

    def look(self, data: bytes, offset: int) -> None:
        """These octets came: is it among them?"""
        if self.at is not None and offset <= self.at < offset + len(data):
            self.octet = data[self.at - offset : self.at - offset + 1]

    def before(self, place: int, end: int) -> int:
        """How many of [place, end) a read may give at once."""
        return self.at - place if self.at is not None and place <= self.at < end else end - place
