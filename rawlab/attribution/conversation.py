"""What a TCP connection and an SCTP association have in common: two ends, and the packets between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from rawlab.attribution.pairing import Draft


class _Lane(Protocol):
    word: str

    def at(self, at_ns: int, /) -> StrEnum: ...
    def transitions(self) -> Sequence[tuple[int, StrEnum, StrEnum]]: ...


class _End(Protocol):
    @property
    def host(self) -> str: ...

    @property
    def lane(self) -> _Lane: ...

    told_ns: int | None
    has_spoken: bool


E = TypeVar("E", bound=_End)


@dataclass(slots=True, kw_only=True)
class Conversation(Generic[E]):
    """Two ends; the first is the one that opened it (or sent the first packet seen)."""

    ends: tuple[E, E]
    drafts: list[Draft] = field(default_factory=list)
    seen_from_start: bool = True
    "its first packet opens it: SYN, INIT"
    over: bool = False
    "SCTP's: it was aborted, or shut down"
    known_later: bool = False
    "what it has shown since tells its ends' states, of each from its `told_ns` on"

    def direction(self, draft: Draft) -> tuple[E, E]:
        """(sender's end, receiver's end) of a packet."""
        one, other = self.ends
        return (one, other) if draft.forward else (other, one)

    def states(self, at_ns: int) -> tuple[tuple[str, str | None], ...]:
        """Each host's state at that time; None where the capture did not see how it began, or who is there."""
        return tuple((end.host, end.lane.at(at_ns).value if self._tells(end, at_ns) else None) for end in self.ends)

    def states_now(self) -> tuple[tuple[str, str | None], ...]:
        """Each host's state at the packet that is walked, where no calls tell."""
        seen = self.seen_from_start or self.known_later
        one, other = self.ends
        return (
            (one.host, one.lane.word if seen and one.has_spoken else None),
            (other.host, other.lane.word if seen and other.has_spoken else None),
        )

    def transitions(self) -> Iterator[tuple[int, str, str]]:
        """(time, host, the state that begins), of one end after the other."""
        for end in self.ends:
            for at_ns, _, state in end.lane.transitions():
                if self._tells(end, at_ns):
                    yield at_ns, end.host, state.value

    def _tells(self, end: E, at_ns: int) -> bool:
        """Whether the end's state is known at that time."""
        seen = self.seen_from_start or self.known_later
        return seen and end.told_ns is not None and end.told_ns <= at_ns

    def tell_who_spoke(self) -> None:
        """Without calls, an end's state is told once that end has spoken: to whom others speak may not be there."""
        for end in self.ends:
            end.told_ns = next((draft.at_ns for draft in self.drafts if self.direction(draft)[0] is end), None)


def moments_seen(drafts: Sequence[Draft]) -> Iterator[tuple[int, bool, Draft]]:
    """(time, whether it arrives, packet), where no calls tell; those of the same nanosecond in the packets' order."""
    if all(draft.arrived_ns is None or draft.sent_ns is None for draft in drafts):
        for draft in drafts:
            yield draft.at_ns, False, draft
            if not draft.lost:
                yield draft.at_ns, True, draft
        return
    moments = [(draft.at_ns, draft.n, False, draft) for draft in drafts]
    moments += [(draft.arrival_ns, draft.n, True, draft) for draft in drafts if not draft.lost]
    for at_ns, _, arrives, draft in sorted(moments, key=lambda moment: moment[:3]):
        yield at_ns, arrives, draft


def tells_states(draft: Draft, *, arrives: bool) -> bool:
    """Whether the states of this moment are the packet's: those when it left, or, seen once, after all of it."""
    once = draft.arrived_ns is None or draft.sent_ns is None
    return arrives == (once and not draft.lost)


def named(known: Sequence[str | None], hosts: Sequence[str]) -> tuple[str | None, str | None]:
    """Whose the two ends are: what the frames tell, else the first host's and the last's, and no host's twice."""
    first, last = (hosts[0], hosts[-1] if len(hosts) > 1 else None) if hosts else (None, None)
    one, other = known
    return one or (last if other == first else first), other or (first if one and one == last else last)
