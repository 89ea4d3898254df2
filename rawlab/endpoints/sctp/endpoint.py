"""A local endpoint: addresses that share one port, and the associations made with it (RFC 9260 section 1.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rawlab.endpoints.sctp.association import Association
from rawlab.endpoints.sctp.events import Event, SctpError
from rawlab.endpoints.sctp.settings import Settings
from rawlab.model.address import Endpoint

if TYPE_CHECKING:
    from rawlab.endpoints.sctp.host import Host


class LocalEndpoint:
    """Made by `Host.open`."""

    def __init__(
        self, host: Host, port: int, addresses: tuple[str, ...], settings: Settings, *, one_to_many: bool = False
    ) -> None:
        self.host = host
        self.port = port
        self.addresses = addresses
        self.one_to_many = one_to_many
        self.settings = settings
        "what new associations take"
        self.streams_out = 10
        "offered to those who come"
        self.listening = False
        self.events: deque[Event] = deque()
        "of all its associations, in the order in which they happened"
        self.associations: dict[int, Association] = {}
        "by id"

    @property
    def crowded(self) -> bool:
        """The program takes no events: a peer gets nothing done here that would only add more."""
        return len(self.events) >= self.settings.max_events

    def listen(self, on: bool = True) -> None:
        """INITs are answered."""
        self.listening = on

    def associate(
        self,
        peer: Endpoint,
        now_ns: int,
        *,
        streams: int = 10,
        max_streams_in: int | None = None,
        max_attempts: int | None = None,
        alternatives: Sequence[str] = (),
    ) -> Association:
        """Sends an INIT. `alternatives`: more addresses of the same peer (sctp_connectx). Raises SctpError.

        `max_streams_in`, `max_attempts`: of SCTP_INITMSG, instead of the settings' streams_in, max_init_retransmits.
        """
        host = self.host
        host.clock(now_ns)
        addresses = list(dict.fromkeys((peer.address, *alternatives)))
        for address in addresses:
            if host.source_for(self.addresses, address) is None:
                raise SctpError("EADDRNOTAVAIL", f"an address of the same family as {address} expected, none there")
            if host.known(self.addresses, self.port, address, peer.port) is not None:
                raise SctpError("EISCONN", f"{Endpoint(address, peer.port)} has an association with this port already")
        if host.full:
            raise SctpError("EAGAIN", f"{host.settings.max_associations} associations at the most")
        association = host.new_association(self, peer.port, host.tag(), host.number32())
        if max_streams_in is not None:
            association.settings = replace(association.settings, streams_in=max_streams_in)
        if max_attempts is not None:
            association.settings = replace(association.settings, max_init_retransmits=max_attempts)
        host.add_paths(association, addresses, confirmed=True)
        association.opening.begin(streams, host.now)
        return association

    def offspring(self) -> LocalEndpoint:
        """Another place for associations and events of this port: accept(2), sctp_peeloff(3). It never listens."""
        return LocalEndpoint(self.host, self.port, self.addresses, self.settings)

    def close(self) -> None:
        """Forgets the port: no INIT is answered any more. Associations go on until they end."""
        self.listening = False
        self.host.release(self)
