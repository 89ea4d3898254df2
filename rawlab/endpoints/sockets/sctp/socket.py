"""A socket of our own SCTP: its birth, its association or associations, its end; and what poll(2) says of it.

One-to-one (SOCK_STREAM) is TCP's model: connect, listen, accept, one association a socket. One-to-many (SOCK_SEQPACKET)
is UDP's: a message to a new address makes an association, and all of them are read from one queue (RFC 6458 sections 3
and 4). What each call returns in which state is Linux's, net/sctp/socket.c.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from rawlab.endpoints.sctp import (
    Association,
    Down,
    Event,
    LocalEndpoint,
    Message,
    PeerShutdown,
    SctpError,
    Settings,
    Up,
)
from rawlab.endpoints.sockets.sctp import notices
from rawlab.endpoints.sockets.sctp.values import Item, Options
from rawlab.endpoints.sockets.socket import ANY, BaseSocket
from rawlab.endpoints.sockets.values import Answer, Wait
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SndRcvInfo

if TYPE_CHECKING:
    from rawlab.endpoints.sockets.sctp.table import Sockets

_SECOND = 1_000_000_000


class Socket(BaseSocket):
    """One socket."""

    failure = SctpError

    def __init__(self, sockets: Sockets, number: int, family: int, *, one_to_many: bool) -> None:
        super().__init__(number, family)
        self.sockets, self.one_to_many = sockets, one_to_many
        self.settings: Settings = sockets.settings
        self.options = Options()
        self.endpoint: LocalEndpoint | None = None
        self.associations: dict[int, Association] = {}
        self.up: set[int] = set()
        self.queue: deque[Item] = deque()
        self.reads_end = False
        "whether a read at the end of the queue returns 0 (sk_shutdown & RCV_SHUTDOWN)"
        self.connected = False
        "whether it has, or had, an association (one-to-one)"
        self.peeled = False
        "whether it was peeled off: its reads end with ENOTCONN, as a one-to-many socket's"
        self.backlog = 0
        self._ready: deque[Association] = deque()
        self._early: dict[int, list[Event]] = {}

    # ---- names

    @property
    def listening(self) -> bool:
        """Whether listen(2) was called."""
        return self.endpoint is not None and self.endpoint.listening

    @property
    def association(self) -> Association | None:
        """A one-to-one socket's association, while there is one."""
        return None if self.one_to_many or self.listening else next(iter(self.associations.values()), None)

    @property
    def state(self) -> str | None:
        """The state of its only association, as SCTP_STATUS would have it; None: it may be any of several."""
        if self.one_to_many:
            return str(next(iter(self.associations.values())).state) if len(self.associations) == 1 else None
        association = self.association
        if association is None:
            return None if self.peeled else "CLOSED"
        return str(association.state)

    @property
    def lives(self) -> bool:
        """Whether it has an association left."""
        return bool(self.associations)

    # ---- before there is an association

    def bind(self, address: Endpoint) -> Answer:
        """Binds it to one address, or to all with the wildcard."""
        if self.endpoint is not None or (self.family == 4 and ":" in address.address):
            raise SctpError("EINVAL", "bound already, or another family")
        some = () if address.address in ANY.values() else (address.address,)
        self.open(address.port, some)
        self.bound = replace(address, port=self.port)
        return Answer()

    def open(self, port: int = 0, addresses: tuple[str, ...] = ()) -> LocalEndpoint:
        """Makes its endpoint at the port (0: any), on these addresses (none: all of its family)."""
        host = self.sockets.host
        mine = [address for address in host.addresses if (":" in address) == (self.family == 6)]
        self.endpoint = host.open(port, addresses or tuple(mine), one_to_many=self.one_to_many)
        self.bound = replace(self.bound, port=self.endpoint.port)
        self.configure()
        return self.endpoint

    @property
    def port(self) -> int:
        """Its endpoint's port, 0 before it has one."""
        return self.endpoint.port if self.endpoint else 0

    def configure(self) -> None:
        """Tells its endpoint what was set."""
        if self.endpoint is not None:
            self.endpoint.settings = self.settings
            self.endpoint.streams_out = self.options.streams

    def listen(self, backlog: int) -> Answer:
        """From now on INITs are answered; one-to-one: up to `backlog` + 1 associations wait for accept."""
        if not self.one_to_many and self.associations and not self.listening:
            raise SctpError("EINVAL", "it has an association")
        endpoint = self.endpoint or self.open()
        endpoint.listen(backlog > 0)
        self.backlog = backlog
        return Answer()

    def connect(self, addresses: tuple[Endpoint, ...]) -> Wait:
        """Makes an association with the peer that has these addresses, and waits until it is up."""
        association = self.associate(addresses)
        if self.nonblocking:
            raise SctpError("EINPROGRESS", "connect")
        yield from self.until_up(association)
        if association.id not in self.up:
            raise SctpError(self.error or "ECONNREFUSED", "connect")
        return Answer()

    def associate(self, addresses: tuple[Endpoint, ...]) -> Association:
        """Begins an association."""
        if self.listening and not self.one_to_many:
            raise SctpError("EISCONN", "it listens")
        if (old := self.association or self.with_peer(addresses[0])) is not None:
            raise SctpError("EISCONN" if old.id in self.up else "EALREADY", "connect")
        if not self.one_to_many and self.connected and self.reads_end:
            raise SctpError("EISCONN", "it had an association")
        endpoint = self.endpoint or self.open()
        self.configure()
        self.error = None
        association = endpoint.associate(
            addresses[0],
            self.sockets.now_ns,
            streams=self.options.streams,
            max_streams_in=self.options.max_streams_in,
            max_attempts=self.options.max_attempts,
            alternatives=[end.address for end in addresses[1:]],
        )
        self._own(association)
        return association

    def _own(self, association: Association) -> None:
        self.associations[association.id] = association
        if self.options.hb_interval_ms is not None:
            interval = self.options.hb_interval_ms * 1_000_000
            association.set_heartbeat(interval)
            association.settings = replace(association.settings, hb_interval=interval)  # and of paths yet to be told
        self._name_after(association)

    def _name_after(self, association: Association) -> None:
        """From its first association on, a socket has the address that it sends from."""
        if not self.one_to_many:
            self.peer = association.peer
        self.bound = replace(self.bound, address=association.routes.primary.source)

    def until_up(self, association: Association) -> Generator[int | None, None, None]:
        """Waits until the association is up, or gone."""
        while association.id in self.associations and association.id not in self.up:
            yield None

    def with_peer(self, peer: Endpoint) -> Association | None:
        """The association with that address."""
        for association in self.associations.values():
            if association.peer.port == peer.port and peer.address in association.peer_addresses:
                return association
        return None

    # ---- accept, peeloff

    def accept(self) -> Wait:
        """The first association of the queue, as a socket of its own."""
        if self.one_to_many:
            raise SctpError("EOPNOTSUPP", "one-to-many")
        if not self.listening:
            raise SctpError("EINVAL", "it does not listen")
        while not self._ready:
            if self.nonblocking:
                raise SctpError("EAGAIN", "accept")
            yield None
        association = self._ready.popleft()
        made = self._socket_of(association)
        for event in self._early.pop(association.id, ()):
            made.take(event)
        return Answer(address=made.peer, made=made)

    def peel_off(self, association: Association) -> Answer:
        """Takes one association off a one-to-many socket, as a one-to-one socket of its own."""
        if not self.one_to_many:
            raise SctpError("EINVAL", "one-to-one")
        made = self._socket_of(association)
        made.peeled = True
        mine, rest = deque[Item](), deque[Item]()
        for item in self.queue:
            (mine if item.association is association else rest).append(item)
        made.queue, self.queue = mine, rest
        return Answer(value=(association.id, 0), made=made)

    def _socket_of(self, association: Association) -> Socket:
        made = self.sockets.add(self.family, one_to_many=False)
        made.settings, made.options, made.bound = self.settings, replace(self.options), self.bound
        assert self.endpoint is not None
        made.endpoint = self.endpoint.offspring()
        if self.associations.pop(association.id, None):
            association.move(made.endpoint)
            made.associations[association.id] = association
        made.connected = True
        made._name_after(association)
        if association.id in self.up:
            self.up.discard(association.id)
            made.up.add(association.id)
        return made

    # ---- what happens to it

    def turn(self) -> None:
        """Takes the events that have come."""
        while self.endpoint is not None and self.endpoint.events:
            event = self.endpoint.events.popleft()
            waits = self.listening and not self.one_to_many and event.association.id not in self.up
            if waits and isinstance(event, Up) and not self.closed:
                self._enqueue(event)
            elif event.association.id in self._early:
                self._early[event.association.id].append(event)
                if isinstance(event, Down):
                    self.associations.pop(event.association.id, None)
            else:
                self.take(event)

    def _enqueue(self, event: Up) -> None:
        """An association that accept(2) will take."""
        association = event.association
        self.associations[association.id] = association
        self.up.add(association.id)
        if len(self._ready) > self.backlog:
            association.abort(self.sockets.now_ns)
            return
        self._ready.append(association)
        self._early[association.id] = [event]

    def take(self, event: Event) -> None:
        """One event."""
        association = event.association
        was_up = association.id in self.up
        match event:
            case Up():
                if association.id not in self.associations and not event.restarted:
                    self._own(association)
                self.up.add(association.id)
                self.connected = True
            case Message():
                self._take_message(event)
                return
            case PeerShutdown() if not (self.one_to_many or self.peeled) and association.id in self.up:
                self.reads_end = True
            case Down():
                self.associations.pop(association.id, None)
                self.up.discard(association.id)
                if event.errno not in (None, "ECONNABORTED"):
                    self.error = event.errno
                if not was_up:
                    self.peer = None
        notice = None if self.closed else notices.notification(event, self.options.events, was_up=was_up)
        if notice is not None:
            self.queue.append(Item(notice, association, association.peer, None))

    def _take_message(self, event: Message) -> None:
        association = event.association
        if self.closed or self.reads_end:
            association.consumed(len(event.data), self.sockets.now_ns)
            return
        info = SndRcvInfo(
            stream=event.stream,
            ssn=event.ssn,
            flags="SCTP_UNORDERED" if event.unordered else "0",
            ppid=event.ppid,
            tsn=event.tsn,
            cumtsn=event.cumulative_tsn if event.unordered else 0,  # as Linux
            assoc_id=association.id,
        )
        self.queue.append(Item(event.data, association, association.peer, info))

    # ---- its end

    def shutdown(self, how: str) -> Answer:
        """SCTP has no half-close: SHUT_WR and SHUT_RDWR end the association, when all that was sent has arrived."""
        if how not in ("SHUT_RD", "SHUT_WR", "SHUT_RDWR"):
            raise SctpError("EINVAL", how)
        if self.one_to_many:
            return Answer()
        association = self.association
        if association is None or association.id not in self.up:
            raise SctpError("ENOTCONN", "shutdown")
        if how != "SHUT_WR":
            self.reads_end = True
        if how != "SHUT_RD":
            association.shutdown(self.sockets.now_ns)
        return Answer()

    def close(self) -> Wait:
        """Lets go of it: the last one to do so shuts its associations down, or aborts them."""
        self.holders -= 1
        if self.holders:
            return Answer()
        unread = any(item.info is not None for item in self.queue)
        self.queue.clear()
        self.closed = True
        on, seconds = self.options.linger
        for association in list(self.associations.values()):
            early = any(isinstance(event, Message) for event in self._early.get(association.id, ()))
            if unread or early or association.pending or (on and not seconds):
                association.abort(self.sockets.now_ns)
            else:
                association.shutdown(self.sockets.now_ns)
        if self.endpoint is not None:
            self._early.clear()
            self.endpoint.listen(False)
            self.endpoint.close()
        self.sockets.leave(self)
        if on and seconds and not self.one_to_many:
            until = self.sockets.now_ns + seconds * _SECOND
            while self.associations and self.sockets.now_ns < until:
                yield until
        return Answer()

    # ---- poll

    def ready(self) -> set[str]:
        """Which events poll(2) would give now."""
        if self.listening and not self.one_to_many:
            return {"POLLIN"} if self._ready else set()
        events = {"POLLERR"} if self.error else set()
        if self.reads_end:
            events |= {"POLLRDHUP", "POLLIN"}
        if self.queue:
            events.add("POLLIN")
        association = self.association
        if not self.one_to_many and (association is None or association.id not in self.up):
            return events | ({"POLLHUP"} if self.connected or self.error else set())
        if all(association.room for association in self.associations.values()):
            events.add("POLLOUT")
        return events
