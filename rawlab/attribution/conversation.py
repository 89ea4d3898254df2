"""What a TCP connection and an SCTP association have in common: two ends, and the packets between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from rawlab.attribution.pairing import Draft


class _Lane(Protocol):
    def at(self, at_ns: int, /) -> StrEnum: ...


class _End(Protocol):
    @property
    def host(self) -> str: ...

    @property
    def lane(self) -> _Lane: ...


E = TypeVar("E", bound=_End)


@dataclass(slots=True, kw_only=True)
class Conversation(Generic[E]):
    """Two ends; the first is the one that opened it (or sent the first packet seen)."""

    ends: tuple[E, E]
    drafts: list[Draft] = field(default_factory=list)
    seen_from_start: bool = True
    "its first packet opens it: SYN, INIT"

    def direction(self, draft: Draft) -> tuple[E, E]:
        """(sender's end, receiver's end) of a packet."""
        one, other = self.ends
        return (one, other) if draft.forward else (other, one)

    def states(self, at_ns: int) -> tuple[tuple[str, str | None], ...]:
        """Each host's state at that time; None where the capture did not see how it began."""
        if not self.seen_from_start:
            return tuple((end.host, None) for end in self.ends)
        return tuple((end.host, end.lane.at(at_ns).value) for end in self.ends)
