"""Each end's state over time, derived from the packets sent and received by the tables of RFC 9293 and RFC 9260."""

from __future__ import annotations

from bisect import bisect_right
from enum import StrEnum
from itertools import pairwise
from typing import Generic, TypeVar

from rawlab.model.states import SctpEvent, SctpState, TcpEvent, TcpState, after, sctp_after

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


class Lane(Generic[State, Event]):
    """The states of one socket, or of one end of a connection or association, with the times at which they began."""

    def __init__(self, state: State) -> None:
        self._times: list[int] = [-1]
        self._states: list[State] = [state]
        self.state, self.word = state, str(state.value)
        "the latest state, and in the RFC's words"

    def _after(self, event: Event) -> State:
        """The state that follows the latest one."""
        raise NotImplementedError

    def apply(self, event: Event, at_ns: int) -> None:
        """Lets an event happen; times must not go backwards."""
        self.restore(self._after(event), at_ns)

    def restore(self, state: State, at_ns: int) -> None:
        """It is in that state after all: what moved it last did not happen there."""
        if state is not self.state:
            self._times.append(at_ns)
            self._states.append(state)
            self.state, self.word = state, str(state.value)

    def at(self, at_ns: int) -> State:
        """The state at that time, the transition of that very nanosecond included."""
        return self._states[bisect_right(self._times, at_ns) - 1]

    def transitions(self) -> list[tuple[int, State, State]]:
        """(time, from, to), in order."""
        return [
            (at, old, new) for at, (old, new) in zip(self._times[1:], pairwise(self._states), strict=True)
        ]


class TcpLane(Lane[TcpState, TcpEvent]):
    """A TCP socket's or end's states."""

    def __init__(self, state: TcpState = TcpState.CLOSED) -> None:
        super().__init__(state)

    def _after(self, event: TcpEvent) -> TcpState:
        return after(self.state, event, passive=self._states[0] is TcpState.LISTEN)


class SctpLane(Lane[SctpState, SctpEvent]):
    """An SCTP association's states at one end; a socket that listens has none, and is CLOSED."""

    def __init__(self, state: SctpState = SctpState.CLOSED) -> None:
        super().__init__(state)

    def _after(self, event: SctpEvent) -> SctpState:
        return sctp_after(self.state, event)
