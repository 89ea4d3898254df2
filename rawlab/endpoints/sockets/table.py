"""All sockets of one host: who has which number, and the turn that gives each what has happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rawlab.endpoints.sctp import Host, SctpError, Settings
from rawlab.endpoints.sockets.socket import Socket
from rawlab.endpoints.sockets.values import Answer, Wait

_MS = 1_000_000
_ALWAYS = {"POLLERR", "POLLHUP"}  # told without being asked for, poll(2)


class Sockets:
    """One host's sockets."""

    def __init__(self, host: Host, settings: Settings, first: int = 1) -> None:
        """`first`: the number of the first socket."""
        self.host = host
        self.settings = settings
        self.now_ns = 0
        self._next = first
        self._open: dict[int, Socket] = {}
        self._leaving: list[Socket] = []

    def __iter__(self) -> Iterator[Socket]:
        return iter([*self._open.values(), *self._leaving])

    def socket(self, domain: str, kind: str) -> Answer:
        """A new socket: 'AF_INET' or 'AF_INET6', 'SOCK_STREAM' or 'SOCK_SEQPACKET'."""
        if kind not in ("SOCK_STREAM", "SOCK_SEQPACKET"):
            raise SctpError("ESOCKTNOSUPPORT", kind)
        return Answer(made=self.add(6 if domain == "AF_INET6" else 4, one_to_many=kind == "SOCK_SEQPACKET"))

    def add(self, family: int, *, one_to_many: bool) -> Socket:
        """A new socket."""
        made = self._open[self._next] = Socket(self, self._next, family, one_to_many=one_to_many)
        self._next += 1
        return made

    def leave(self, socket: Socket) -> None:
        """Nobody holds it any more; its associations end by themselves."""
        self._open.pop(socket.number, None)
        self._leaving.append(socket)

    def turn(self) -> None:
        """Gives the sockets what has happened to their associations."""
        for socket in self:
            socket.turn()
        self._leaving = [socket for socket in self._leaving if socket.associations]

    def poll(self, wanted: Sequence[tuple[Socket, str]], timeout_ms: int) -> Wait:
        """Waits until one of the sockets is ready; the answer's value has, for each, its events ('0': none)."""
        until = None if timeout_ms < 0 else self.now_ns + timeout_ms * _MS
        while True:
            found = [_order(socket.ready() & (set(events.split("|")) | _ALWAYS)) for socket, events in wanted]
            ready = sum(events != "0" for events in found)
            if ready or (until is not None and self.now_ns >= until):
                return Answer(result=ready, value=tuple(found))
            yield until


def _order(events: set[str]) -> str:
    known = ("POLLIN", "POLLPRI", "POLLOUT", "POLLERR", "POLLHUP", "POLLRDHUP")
    return "|".join(name for name in known if name in events) or "0"
