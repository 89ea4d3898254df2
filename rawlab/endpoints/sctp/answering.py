"""The passive side of an association's beginning: the answer to an INIT, and what a COOKIE ECHO makes of it.

An INIT leaves nothing behind: all goes into the cookie (RFC 9260 section 5.1). A COOKIE ECHO whose cookie is ours makes
an association; where there is one already, section 5.2.4 says by the tags what happened:

    local tag   peer's tag   tie-tags   action
    X           X            M          A   the peer restarted: everything begins anew, under the same id
    M           X            any        B   both sent INIT at once: the cookie's values count
    X           M            0          C   the cookie is late: it is thrown away
    M           M            any        D   ours: established, if it was not

(M: matches the association's, X: does not.) No answer here is larger than three times what was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rawlab.endpoints.host import Outgoing
from rawlab.endpoints.sctp import chunks, parameters
from rawlab.endpoints.sctp.association import FRESH, Association
from rawlab.endpoints.sctp.cookie import NO_TIES, Cookie, seal, unseal
from rawlab.endpoints.sctp.settings import Settings
from rawlab.endpoints.unwrapped import wire
from rawlab.model.sctp import INIT_ACK, SctpInit, SctpPacket
from rawlab.model.states import SctpEvent, SctpState
from rawlab.wire import sctp_build as build

if TYPE_CHECKING:
    from rawlab.endpoints.sctp.endpoint import LocalEndpoint
    from rawlab.endpoints.sctp.host import Host

AMPLIFICATION = 3
MOST_LIFE = 2
"times the usual life of a cookie, if a peer asks for more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """An INIT that came, with what its packet says besides."""

    packet: SctpPacket
    size: int
    "octets of the packet"
    source: str
    destination: str
    init: SctpInit
    asked: parameters.Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What an INIT ACK says of us."""

    tag: int
    tsn: int
    streams_out: int
    settings: Settings
    addresses: tuple[str, ...]
    ties: bytes = NO_TIES


class Answering:
    """Answers INITs and COOKIE ECHOs of one host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.secret = host.entropy(32)

    # ---- INIT

    def init(self, packet: SctpPacket, size: int, source: str, destination: str) -> None:
        """An INIT alone in its packet, with the tag 0 (section 8.5.1 A)."""
        (init,) = packet.chunks
        assert isinstance(init, SctpInit)
        if not init.initiate_tag:  # section 3.3.2
            return
        asked = parameters.read(init, source, self.host.settings.max_addresses)
        came = Came(packet=packet, size=size, source=source, destination=destination, init=init, asked=asked)
        endpoint = self.host.endpoints.get((destination, packet.destination_port))
        association = self.host.find(packet, source, destination, asked.addresses)
        if association is not None:
            self._again(association, came)
        elif endpoint is None or not endpoint.listening:
            self._abort(came)  # section 8.4 rule 3
        elif asked.fatal is not None:
            self._abort(came, asked.fatal)
        elif self.host.full:
            self._abort(came, build.cause(chunks.OUT_OF_RESOURCE))
        else:
            tag, tsn, settings = self.host.tag(), self.host.number32(), endpoint.settings
            streams, addresses = endpoint.streams_out, endpoint.addresses
            offer = Offer(tag=tag, tsn=tsn, streams_out=streams, settings=settings, addresses=addresses)
            self._acknowledge(came, offer)

    def _again(self, association: Association, came: Came) -> None:
        """An INIT where there is an association (sections 5.2.1, 5.2.2)."""
        if came.asked.fatal is not None:
            self._abort(came, came.asked.fatal)
            return
        if association.state is SctpState.SHUTDOWN_ACK_SENT:  # section 9.2
            association.closing.again(self.host.now)
            association.flush(self.host.now)
            return
        known = association.routes.by_address
        new = [build.address(one) for one in (came.source, *came.asked.addresses) if one not in known]
        if new and association.state is not SctpState.COOKIE_WAIT:
            self._abort(came, build.cause(chunks.RESTART_WITH_NEW_ADDRESSES, b"".join(new)))
            return
        tag, tsn = association.local_tag, wire(association.local_tsn)
        if association.state not in FRESH:  # a restart: a new tag
            tag, tsn = self.host.tag(), self.host.number32()
        if association.state is not SctpState.COOKIE_WAIT and not association.ties:
            association.ties = self.host.entropy(len(NO_TIES))
        offer = Offer(
            tag=tag,
            tsn=tsn,
            streams_out=association.opening.streams or association.streams_out,
            settings=association.settings,
            addresses=association.local_addresses,
            ties=association.ties or NO_TIES,
        )
        self._acknowledge(came, offer)

    def _acknowledge(self, came: Came, offer: Offer) -> None:
        """INIT ACK, with a cookie."""
        packet, init, asked, settings = came.packet, came.init, came.asked, offer.settings
        life = settings.cookie_life // 1_000_000
        cookie = Cookie(
            created=self.host.now,
            life=min(life + asked.life, MOST_LIFE * life),
            local_tag=offer.tag,
            peer_tag=init.initiate_tag,
            local_tsn=offer.tsn,
            peer_tsn=init.initial_tsn.value,
            peer_rwnd=init.a_rwnd,
            streams_out=min(offer.streams_out, init.inbound_streams),
            streams_in=min(settings.streams_in, init.outbound_streams),
            ties=offer.ties,
            addresses=(came.source, *asked.addresses) if asked.addresses else (),
        )
        sealed = seal(cookie, self.secret, packet.destination_port, packet.source_port, came.source)
        least = [build.parameter(build.STATE_COOKIE, sealed)]
        more = [build.parameter(build.UNRECOGNIZED, one) for one in asked.unknown]
        more += parameters.announced(offer.addresses, asked.families, came.destination, came.source)
        body = INIT_ACK, offer.tag, settings.receive_window, offer.streams_out, settings.streams_in, offer.tsn
        while more and len(build.init(*body, more + least)) + 12 > AMPLIFICATION * came.size:
            more.pop()
        self._send(packet, init.initiate_tag, build.init(*body, more + least), came.source, came.destination)

    def _abort(self, came: Came, *causes: bytes) -> None:
        """An INIT that leads to nothing: the tag is its own (section 8.4 rule 3)."""
        self._send(came.packet, came.init.initiate_tag, build.abort(causes), came.source, came.destination)

    def _send(self, packet: SctpPacket, tag: int, chunk: bytes, source: str, destination: str) -> None:
        """Back to where it came from."""
        answer = build.packet(packet.destination_port, packet.source_port, tag, [chunk])
        self.host.out.append(Outgoing(answer, destination, source))

    # ---- COOKIE ECHO

    def cookie_echo(self, packet: SctpPacket, octets: bytes, source: str, destination: str) -> Association | None:
        """A COOKIE ECHO, first in its packet; the association whose the rest of the packet is, if there is one."""
        first, last = packet.chunks[0].value
        ports = packet.destination_port, packet.source_port
        cookie = unseal(octets[first:last], self.secret, *ports, source)
        if cookie is None or cookie.local_tag != packet.verification_tag:  # section 5.1.5
            return None
        if cookie.addresses and source not in cookie.addresses:
            return None
        association = self.host.find(packet, source, destination, cookie.addresses)
        same = association is not None and (cookie.local_tag, cookie.peer_tag) == (
            association.local_tag,
            association.peer_tag,
        )
        if (late := cookie.age(self.host.now)) > 0 and not same:
            staleness = min(late // 1000, 0xFFFFFFFF).to_bytes(4, "big")
            error = build.error([build.cause(chunks.STALE_COOKIE, staleness)])
            self._send(packet, cookie.peer_tag, error, source, destination)
            return None
        if association is None and cookie.local_tag in self.host.gone:
            return None
        endpoint = self.host.endpoints.get((destination, packet.destination_port))
        if endpoint is not None and endpoint.crowded and not same:
            return None
        if association is not None:
            return association if self._matched(association, cookie, source) else None
        if endpoint is None or not endpoint.listening or self.host.full:
            answer = build.abort([build.cause(chunks.OUT_OF_RESOURCE)] if endpoint else [])
            self._send(packet, cookie.peer_tag, answer, source, destination)
            return None
        return self._fresh(endpoint, cookie, packet, source, destination)

    def _fresh(
        self, endpoint: LocalEndpoint, cookie: Cookie, packet: SctpPacket, source: str, destination: str
    ) -> Association | None:
        """A new association (section 5.1.5)."""
        host = self.host
        association = host.new_association(endpoint, packet.source_port, cookie.local_tag, cookie.local_tsn)
        first = cookie.addresses[0] if cookie.addresses else source
        host.add_paths(association, [first], source=destination if first == source else None, confirmed=True)
        host.add_paths(association, cookie.addresses)
        if source not in association.routes.by_address:  # it is the peer of an association that an endpoint before left
            host.forget(association)
            return None
        association.adopt(cookie)
        self._up(association)
        return association

    def _up(self, association: Association, *, restarted: bool = False) -> None:
        association.opening.stop()
        association.moves(SctpEvent.RECEIVE_COOKIE_ECHO)
        association.control.append(build.cookie_ack())
        association.established(self.host.now, restarted=restarted)

    def _matched(self, association: Association, cookie: Cookie, source: str) -> bool:
        """The table of section 5.2.4. False: the packet is thrown away."""
        local = cookie.local_tag == association.local_tag
        peer = cookie.peer_tag == association.peer_tag
        ties = cookie.ties != NO_TIES and cookie.ties == association.ties
        if local and peer:  # D
            if association.state is SctpState.COOKIE_ECHOED:
                self._up(association)
            else:
                association.control.append(build.cookie_ack())
            return True
        if local:  # B
            association.outbound.mark_all()
            if association.state in FRESH:
                association.adopt(cookie)
                self.host.add_paths(association, cookie.addresses)
                self._up(association)
            else:
                association.peer_tag = cookie.peer_tag
                association.control.append(build.cookie_ack())
            return True
        if not peer and ties:  # A
            return self._restart(association, cookie, source)
        return False

    def _restart(self, association: Association, cookie: Cookie, source: str) -> bool:
        """The peer forgot the association and began it anew (section 5.2.4 action A)."""
        if association.endpoint.crowded:
            return False
        if any(one not in association.routes.by_address for one in cookie.addresses or (source,)):
            return False
        if association.state is SctpState.SHUTDOWN_ACK_SENT:
            error = build.error([build.cause(chunks.COOKIE_WHILE_SHUTTING_DOWN)])
            association.peer_tag = cookie.peer_tag
            association.closing.again(self.host.now)
            association.control.append(error)
            association.flush(self.host.now)
            return False
        association.restart(cookie)
        association.control.append(build.cookie_ack())
        association.established(self.host.now, restarted=True)
        return True
