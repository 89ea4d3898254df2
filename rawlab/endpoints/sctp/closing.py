"""The end of an association: SHUTDOWN from either side or both at once (RFC 9260 section 9.2), ABORT (section 9.1).

SHUTDOWN goes out once all that was sent is acknowledged; SCTP has no half-close, so the peer, too, only finishes what
it has queued. T2-shutdown repeats SHUTDOWN or SHUTDOWN ACK; T5-shutdown-guard ends what will not end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawlab.endpoints.sctp import chunks
from rawlab.endpoints.sctp.events import PeerShutdown
from rawlab.endpoints.sctp.paths import Path
from rawlab.endpoints.timers import Timer
from rawlab.endpoints.unwrapped import wire
from rawlab.model.sctp import SctpParameter
from rawlab.model.states import SctpEvent, SctpState
from rawlab.wire import sctp_build as build

if TYPE_CHECKING:
    from rawlab.endpoints.sctp.association import Association

GUARD = 5
"T5-shutdown-guard, in RTO.Max (section 9.2)"


class Closing:
    """Ends one association."""

    def __init__(self, association: Association) -> None:
        self.association = association
        self.asked = False
        "the program called shutdown"
        self.path: Path | None = None
        "where SHUTDOWN or SHUTDOWN ACK was last sent"
        self.t2 = Timer(association.host.timers, self._t2_expired)
        self.t5 = Timer(association.host.timers, self._t5_expired)

    def stop(self) -> None:
        """It is over."""
        self.t2.stop()
        self.t5.stop()

    # ---- our own doing

    def shutdown(self, now: int) -> None:
        """The program asks; before it is established this waits until it is."""
        association = self.association
        if association.state is SctpState.CLOSED:
            return
        self.asked = True
        association.moves(SctpEvent.CLOSE)
        self.proceed(now)
        association.flush(now)

    def proceed(self, now: int) -> None:
        """SHUTDOWN or SHUTDOWN ACK, if it is time for it."""
        association = self.association
        if association.state is SctpState.SHUTDOWN_PENDING and association.outbound.idle:
            association.moves(SctpEvent.SEND_SHUTDOWN)
            self.t5.start(now + GUARD * association.settings.rto_max)
            self.again(now)
        elif association.state is SctpState.SHUTDOWN_RECEIVED and association.outbound.idle:
            association.moves(SctpEvent.SEND_SHUTDOWN_ACK)
            self.again(now)

    def again(self, now: int) -> None:
        """SHUTDOWN or SHUTDOWN ACK goes out with the next packet, and T2-shutdown begins anew."""
        association = self.association
        if association.state is SctpState.SHUTDOWN_SENT:
            association.control.append(build.shutdown(wire(association.inbound.cumulative)))
            association.sack_timer.stop()
        else:
            association.control.append(build.shutdown_ack())
        self.path = association.reply_path or association.routes.sending()
        self.t2.start(now + self.path.rto)

    def abort(self, cause: bytes) -> None:
        """ABORT with this cause, if the peer's tag is known already."""
        association = self.association
        if association.peer_tag:
            path = association.reply_path or association.routes.sending()
            association.emit([build.abort([cause])], path)
        association.over(SctpEvent.SEND_ABORT, "ECONNABORTED")

    # ---- the peer's

    def aborted(self, causes: tuple[SctpParameter, ...]) -> None:
        """ABORT came."""
        refused = self.association.state in (SctpState.COOKIE_WAIT, SctpState.COOKIE_ECHOED)
        reason = next((one.value for one in causes if one.type == chunks.USER_INITIATED_ABORT), b"")
        self.association.over(SctpEvent.RECEIVE_ABORT, "ECONNREFUSED" if refused else "ECONNRESET", reason)

    def shutdown_came(self, bits: int, now: int) -> None:
        """SHUTDOWN acknowledges, and asks us to finish; what follows stands in `proceed`."""
        association = self.association
        state = association.state
        if state in (SctpState.ESTABLISHED, SctpState.SHUTDOWN_PENDING, SctpState.SHUTDOWN_RECEIVED):
            if not chunks.acknowledged(association, bits, None, (), now):
                return
            if state is not SctpState.SHUTDOWN_RECEIVED:
                association.moves(SctpEvent.RECEIVE_SHUTDOWN)
                association.tell(PeerShutdown(association=association))
        elif state is SctpState.SHUTDOWN_SENT:  # both at once
            association.moves(SctpEvent.RECEIVE_SHUTDOWN)
            association.tell(PeerShutdown(association=association))
            self.again(now)
        elif state is SctpState.SHUTDOWN_ACK_SENT:
            self.again(now)

    def shutdown_ack_came(self, path: Path) -> None:
        """The peer has finished, too."""
        association = self.association
        if association.state in (SctpState.SHUTDOWN_SENT, SctpState.SHUTDOWN_ACK_SENT):
            association.emit([build.shutdown_complete()], path)
            association.over(SctpEvent.RECEIVE_SHUTDOWN_ACK, None)

    def shutdown_complete_came(self) -> None:
        """The peer knows that we have finished."""
        if self.association.state is SctpState.SHUTDOWN_ACK_SENT:
            self.association.over(SctpEvent.RECEIVE_SHUTDOWN_COMPLETE, None)

    # ---- timers

    def _t2_expired(self, now: int) -> None:
        association, path = self.association, self.path
        assert path is not None
        path.backed_off()
        if association.routes.missed(path):
            association.reply_path = association.routes.another(path)
            self.again(now)
            association.flush(now)

    def _t5_expired(self, now: int) -> None:
        self.abort(build.cause(chunks.PROTOCOL_VIOLATION, b"SHUTDOWN takes too long"))
