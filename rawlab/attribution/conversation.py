"""What a TCP connection and an SCTP association have in common: two ends, and the packets between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from rawlab.attribution.pairing import Draft


class _Lane(Protocol):
    def at(self, at_ns: int, /) -> StrEnum: ...
    def transitions(self) -> Sequence[tuple[int, StrEnum, StrEnum]]: ...


class _End(Protocol):
    @property
    def host(self) -> str: ...

    @property
    def lane(self) -> _Lane: ...

    told_ns: int | None


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
        """Each host's state at that time; None where the capture did not see how it began, or who is there."""
        return tuple((end.host, end.lane.at(at_ns).value if self._tells(end, at_ns) else None) for end in self.ends)

    def transitions(self) -> Iterator[tuple[int, str, str]]:
        """(time, host, the state that begins), of one end after the other."""
        for end in self.ends:
            for at_ns, _, state in end.lane.transitions():
                if self._tells(end, at_ns):
                    yield at_ns, end.host, state.value

    def _tells(self, end: E, at_ns: int) -> bool:
        """Whether the end's state is known at that time."""
        return self.seen_from_start and end.told_ns is not None and end.told_ns <= at_ns

    def tell_who_spoke(self) -> None:
        """Without calls, an end's state is told once that end has spoken: to whom others speak may not be there."""
        for end in self.ends:
            end.told_ns = next((draft.at_ns for draft in self.drafts if self.direction(draft)[0] is end), None)


def named(known: Sequence[str | None], hosts: Sequence[str]) -> tuple[str | None, str | None]:
    """Whose the two ends are: what the frames tell, else the first host's and the last's, and no host's twice."""
    first, last = (hosts[0], hosts[-1] if len(hosts) > 1 else None) if hosts else (None, None)
    one, other = known
    return one or (last if other == first else first), other or (first if one and one == last else last)
