"""The active side of an association's beginning: INIT, and what answers it (RFC 9260 section 5.1).

T1-init and T1-cookie are one timer, since they never run together. The passive side keeps no state before a valid
COOKIE ECHO and therefore is not an association's: `answering`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawlab.endpoints.sctp import chunks, parameters
from rawlab.endpoints.sctp.inbound import Inbound
from rawlab.endpoints.sctp.paths import Path
from rawlab.endpoints.timers import Timer
from rawlab.endpoints.unwrapped import wire
from rawlab.model.sctp import INIT, SctpInit
from rawlab.model.states import SctpEvent, SctpState
from rawlab.wire import sctp_build as build

if TYPE_CHECKING:
    from rawlab.endpoints.sctp.association import Association


class Opening:
    """Opens one association."""

    def __init__(self, association: Association) -> None:
        self.association = association
        self.t1 = Timer(association.host.timers, self._t1_expired)
        self.attempts = 0
        "INITs or COOKIE ECHOs sent again"
        self.streams = 0
        "asked for"
        self.preservative = 0
        "ms that the next cookie should live longer"
        self.head: list[bytes] = []
        "COOKIE ECHO, and an ERROR that goes with it"
        self.path: Path | None = None
        "where INIT or COOKIE ECHO was last sent"
        self.sent = 0
        "when"

    def stop(self) -> None:
        """It is over, or the other side's opening came first."""
        self.t1.stop()

    def begin(self, streams: int, now: int) -> None:
        """Sends the INIT."""
        self.streams = streams
        self.association.streams_out = streams
        self.association.moves(SctpEvent.SEND_INIT)
        self._send_init(self.association.routes.primary, now)

    def _send_init(self, path: Path, now: int) -> None:
        association = self.association
        options = parameters.announced(association.local_addresses, frozenset({4, 6}), path.source, path.address)
        options.append(parameters.supported(association.local_addresses))
        if self.preservative:
            options.append(build.parameter(parameters.COOKIE_PRESERVATIVE, self.preservative.to_bytes(4, "big")))
        settings = association.settings
        window, streams_in, tsn = settings.receive_window, settings.streams_in, wire(association.local_tsn)
        init = build.init(INIT, association.local_tag, window, self.streams, streams_in, tsn, options)
        association.emit([init], path)
        self._sent(path, now)

    def _sent(self, path: Path, now: int) -> None:
        self.path, self.sent = path, now
        self.t1.start(now + path.rto)

    def _send_cookie(self, path: Path, now: int) -> None:
        association = self.association
        association.emit(association.outbound.with_cookie(now, self.head, path), path)
        self._sent(path, now)

    # ---- answers

    def init_ack(self, chunk: SctpInit, octets: bytes, path: Path, now: int) -> None:
        """INIT ACK, expected in COOKIE-WAIT alone (section 5.2.3)."""
        association = self.association
        if association.state is not SctpState.COOKIE_WAIT:
            return
        if not chunk.initiate_tag:  # section 3.3.3
            association.over(SctpEvent.SEND_ABORT, "ECONNABORTED")
            return
        asked = parameters.read(chunk, path.address, association.settings.max_addresses)
        association.peer_tag = chunk.initiate_tag
        if asked.fatal is not None:
            association.closing.abort(asked.fatal)
            return
        if asked.cookie is None or len(asked.cookie) > path.payload - 4:
            missing = b"\0\0\0\1" + build.STATE_COOKIE.to_bytes(2, "big")
            association.closing.abort(build.cause(chunks.MISSING_PARAMETER, missing))
            return
        if not self.attempts:
            path.measured(now - self.sent)
        self._agree(chunk, asked.addresses)
        association.moves(SctpEvent.RECEIVE_INIT_ACK)
        self.head = [build.cookie_echo(asked.cookie)]
        error = build.error([build.cause(chunks.UNRECOGNIZED_PARAMETERS, b"".join(asked.unknown))])
        if asked.unknown and len(self.head[0]) + len(error) <= path.payload:
            self.head.append(error)
        self._send_cookie(path, now)

    def _agree(self, chunk: SctpInit, addresses: tuple[str, ...]) -> None:
        """What the INIT ACK says is so from now on."""
        association = self.association
        association.streams_out = min(self.streams, chunk.inbound_streams)
        association.streams_in = min(association.settings.streams_in, chunk.outbound_streams)
        association.outbound.only_streams(association.streams_out)
        association.outbound.peer_rwnd = chunk.a_rwnd
        association.inbound = Inbound(association, chunk.initial_tsn.value)
        association.host.add_paths(association, addresses)

    def cookie_ack(self, now: int) -> None:
        """COOKIE ACK, expected in COOKIE-ECHOED alone (section 5.2.5)."""
        association = self.association
        if association.state is not SctpState.COOKIE_ECHOED:
            return
        self.t1.stop()
        association.moves(SctpEvent.RECEIVE_COOKIE_ACK)
        association.established(now)

    def stale(self, value: bytes, now: int) -> None:
        """The cookie was too old (section 5.2.6): once more, and it should live longer by so much, and a round trip."""
        association = self.association
        association.moves(SctpEvent.RECEIVE_STALE_COOKIE)
        association.peer_tag = 0
        association.outbound.mark_all()
        staleness = int.from_bytes(value[:4], "big") // 1000
        self.preservative = min(staleness + (now - self.sent) // 1_000_000 + 1, 0xFFFFFFFF)
        self.attempts += 1
        if self.attempts > association.settings.max_init_retransmits:
            association.timed_out()
        else:
            self._send_init(association.routes.primary, now)

    def _t1_expired(self, now: int) -> None:
        association, path = self.association, self.path
        assert path is not None
        self.attempts += 1
        path.backed_off()
        if self.attempts > association.settings.max_init_retransmits:
            association.timed_out()
        elif association.state is SctpState.COOKIE_WAIT:
            paths = association.routes.paths
            self._send_init(paths[self.attempts % len(paths)], now)
        elif association.state is SctpState.COOKIE_ECHOED:
            association.outbound.mark_all()
            self._send_cookie(association.routes.another(path), now)
