"""One host's SCTP: which association or endpoint a packet is for, the timers, and what goes out.

Sans-IO: `receive` takes packets, `wake` the time, `take` gives packets; nothing here touches a descriptor or a clock.
Packets with a wrong checksum, a wrong verification tag (RFC 9260 section 8.5) or no sense are dropped without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rawlab.endpoints.host import BaseHost, Outgoing
from rawlab.endpoints.sctp import blue
from rawlab.endpoints.sctp.answering import Answering
from rawlab.endpoints.sctp.association import Association
from rawlab.endpoints.sctp.cookie import packed
from rawlab.endpoints.sctp.endpoint import LocalEndpoint
from rawlab.endpoints.sctp.events import SctpError
from rawlab.endpoints.sctp.parameters import family, unicast
from rawlab.endpoints.sctp.settings import Settings
from rawlab.model import sctp as m
from rawlab.model.facts import Undecoded
from rawlab.model.sctp import SctpPacket
from rawlab.model.states import SctpState
from rawlab.wire import sctp_build as build
from rawlab.wire.sctp import parse

ALONE = (m.INIT, m.INIT_ACK, m.SHUTDOWN_COMPLETE)
"never bundled (section 6.10)"
REFLECTING = (m.ABORT, m.SHUTDOWN_COMPLETE)
"may bear the sender's own tag, with the flag T (section 8.5.1)"

REMEMBERED = 4096
"tags of associations that have ended"

Key = tuple[str, int, str, int]


class Host(BaseHost[LocalEndpoint]):
    """All endpoints and associations of a host."""

    error = SctpError

    def __init__(
        self,
        addresses: Sequence[str],
        entropy: Callable[[int], bytes],
        now_ns: int,
        settings: Settings | None = None,
    ) -> None:
        """`entropy(n)` gives n octets that nobody can guess: for tags, TSNs, nonces and the cookies' secret."""
        super().__init__(addresses, entropy, now_ns)
        self.settings = settings or Settings()
        self.ready: dict[int, Association] = {}
        "associations with new DATA to send"
        self._associations: dict[int, Association] = {}
        self._by_key: dict[Key, Association] = {}
        self.gone: dict[int, None] = {}
        "local tags of associations that have ended, the last ones: a late copy of a cookie brings none back"
        self._last_id = 0
        self._answering = Answering(self)

    # ---- the program's side

    def open(self, port: int = 0, addresses: Sequence[str] = (), *, one_to_many: bool = False) -> LocalEndpoint:
        """Binds a port, at some or all addresses; port 0: any free one. Raises SctpError."""
        port, chosen = self._choose(port, addresses)
        return self._bind(LocalEndpoint(self, port, chosen, self.settings, one_to_many=one_to_many))

    # ---- the wire's side

    def receive(self, packet: bytes, source: str, destination: str, now_ns: int) -> None:
        """A packet that came, from its common header on. Never raises."""
        self.clock(now_ns)
        facts = parse(packet)
        if isinstance(facts, Undecoded) or not facts.checksum_right or not facts.chunks:
            return
        if not facts.source_port or not facts.destination_port:
            return
        kind = facts.chunks[0].type
        if len(facts.chunks) > 1 and any(chunk.type in ALONE for chunk in facts.chunks):
            return
        if kind == m.INIT and not facts.verification_tag:
            if not facts.malformed and self._ours(source, destination):
                self._answering.init(facts, len(packet), source, destination)
            return
        if kind == m.COOKIE_ECHO:
            if self._ours(source, destination):
                association = self._answering.cookie_echo(facts, packet, source, destination)
                if association is not None:
                    self._deliver(association, facts, packet, source)
            return
        association = self._by_key.get((destination, facts.destination_port, source, facts.source_port))
        if association is None or (kind == m.SHUTDOWN_ACK and association.state in EARLY):
            self._out_of_the_blue(facts, source, destination)
        elif _verified(facts, association):
            self._deliver(association, facts, packet, source)

    def _deliver(self, association: Association, facts: SctpPacket, packet: bytes, source: str) -> None:
        path = association.routes.by_address.get(source)
        if path is not None:
            association.receive(facts, packet, path, self.now)

    def _ours(self, source: str, destination: str) -> bool:
        """Section 8.4 rule 1, and what is not for us at all."""
        return destination in self.addresses and unicast(source)

    def _out_of_the_blue(self, facts: SctpPacket, source: str, destination: str) -> None:
        if not self._ours(source, destination):
            return
        if chunk := blue.answer(facts):
            packet = build.packet(facts.destination_port, facts.source_port, facts.verification_tag, [chunk])
            self.out.append(Outgoing(packet, destination, source))

    def take(self) -> list[Outgoing]:
        """What is to be put on the wire, in this order."""
        while self.ready:
            next(iter(self.ready.values())).flush(self.now)
        packets, self.out = self.out, []
        return packets

    @property
    def busy(self) -> bool:
        """Whether anything is still to be sent, answered, or shut down."""
        return bool(self.out or self.ready) or any(one.busy for one in self._associations.values())

    # ---- for the parts

    @property
    def full(self) -> bool:
        """No more associations."""
        return len(self._associations) >= self.settings.max_associations

    def tag(self) -> int:
        """A verification tag: any number but 0 (section 5.3.1)."""
        return self.number32() or 1

    def find(self, facts: SctpPacket, source: str, destination: str, addresses: Iterable[str]) -> Association | None:
        """The association with the peer that has one of these addresses."""
        for address in (source, *addresses):
            key = (destination, facts.destination_port, address, facts.source_port)
            if association := self._by_key.get(key):
                return association
        return None

    def known(self, local: Iterable[str], port: int, peer: str, peer_port: int) -> Association | None:
        """The association between these."""
        return next((self._by_key[key] for one in local if (key := (one, port, peer, peer_port)) in self._by_key), None)

    def source_for(self, local: Sequence[str], peer: str) -> str | None:
        """Which of our addresses a packet to this one comes from: the one most like it (RFC 6724 section 5 rule 8)."""
        same = [one for one in local if family(one) == family(peer)]
        return max(same, key=lambda one: _alike(one, peer), default=None)

    def new_association(self, endpoint: LocalEndpoint, peer_port: int, tag: int, tsn: int) -> Association:
        """Without paths as yet."""
        self._last_id += 1
        association = Association(endpoint, self._last_id, peer_port, tag, tsn, endpoint.settings)
        self._associations[association.id] = association
        endpoint.associations[association.id] = association
        return association

    def add_paths(
        self,
        association: Association,
        addresses: Iterable[str],
        *,
        source: str | None = None,
        confirmed: bool = False,
    ) -> None:
        """Addresses of its peer that it does not have; none that is another association's, or of no use to us."""
        routes = association.routes
        for address in addresses:
            if address in routes.by_address or len(routes.paths) >= self.settings.max_addresses:
                continue
            from_ = source or self.source_for(association.local_addresses, address)
            ports = association.local_port, association.peer_port
            keys = [(one, ports[0], address, ports[1]) for one in association.local_addresses]
            if from_ is None or any(key in self._by_key for key in keys):
                continue
            routes.add(address, from_, confirmed=confirmed)
            self._by_key.update(dict.fromkeys(keys, association))

    def forget(self, association: Association) -> None:
        """It is over."""
        for address in association.routes.by_address:
            for one in association.local_addresses:
                self._by_key.pop((one, association.local_port, address, association.peer_port), None)
        self._associations.pop(association.id, None)
        self.gone[association.local_tag] = None
        if len(self.gone) > REMEMBERED:
            del self.gone[next(iter(self.gone))]
        association.endpoint.associations.pop(association.id, None)
        self.ready.pop(association.id, None)
        if len(self.timers) > 64 + 16 * len(self._associations):
            self.timers.prune()


EARLY = (SctpState.COOKIE_WAIT, SctpState.COOKIE_ECHOED)
"a SHUTDOWN ACK is then of an association that was before (section 8.5.1 E)"


def _verified(facts: SctpPacket, association: Association) -> bool:
    """Whether the verification tag is right (section 8.5)."""
    tag = facts.verification_tag
    for chunk in facts.chunks:
        if chunk.type in REFLECTING and chunk.flags & build.TAG_REFLECTED:
            return tag == association.peer_tag and tag != 0
    return tag == association.local_tag


def _alike(one: str, other: str) -> int:
    """How many leading bits two addresses share."""
    a, b = packed(one), packed(other)
    return 8 * len(a) - (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_length()
