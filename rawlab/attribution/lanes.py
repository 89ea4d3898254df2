"""Each end's TCP state over time, derived from the segments sent and received by the table of RFC 9293."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from rawlab.model.states import TcpEvent, TcpState, after


class Lane:
    """The states of one socket or of one end of a connection, with the times at which they began."""

    def __init__(self, state: TcpState = TcpState.CLOSED) -> None:
        self._times: list[int] = [-1]
        self._states: list[TcpState] = [state]

    @property
    def state(self) -> TcpState:
        """The latest state."""
        return self._states[-1]

    def apply(self, event: TcpEvent, at_ns: int) -> None:
        """Lets an event happen; times must not go backwards."""
        passive = self._states[0] is TcpState.LISTEN
        if (state := after(self.state, event, passive=passive)) is not self.state:
            self._times.append(at_ns)
            self._states.append(state)

    def at(self, at_ns: int) -> TcpState:
        """The state at that time, the transition of that very nanosecond included."""
        return self._states[bisect_right(self._times, at_ns) - 1]

    def transitions(self) -> list[tuple[int, TcpState, TcpState]]:
        """(time, from, to), in order."""
        return [
            (at, old, new) for at, (old, new) in zip(self._times[1:], pairwise(self._states), strict=True)
        ]
