"""The paths of an association together: which one is used, heartbeats, failure and failover (RFC 9260 section 8).

DATA goes to the primary path while that is active and confirmed, else to another that is; what is sent again goes to
another path than the last time, if there is one (section 6.4.1). Each path has a heartbeat timer: an idle path is
asked each HB.Interval plus its RTO (section 8.3), an address that nobody vouched for (section 5.4) each RTO, until its
nonce comes back.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rawlab.endpoints.sctp.events import PathChanged
from rawlab.endpoints.sctp.paths import Path
from rawlab.endpoints.timers import Timer
from rawlab.model.states import SctpState
from rawlab.wire import sctp_build as build

if TYPE_CHECKING:
    from rawlab.endpoints.sctp.association import Association

NONCE_SIZE = 16

HEARTBEATING = (SctpState.ESTABLISHED, SctpState.SHUTDOWN_PENDING, SctpState.SHUTDOWN_RECEIVED)


class Routes:
    """All paths to the peer."""

    def __init__(self, association: Association) -> None:
        self.association = association
        self.paths: list[Path] = []
        self.by_address: dict[str, Path] = {}
        self.primary: Path

    def add(self, address: str, source: str, *, confirmed: bool) -> Path:
        """A further path; the first one is the primary path."""
        timers = self.association.host.timers
        path = Path(
            address,
            source,
            self.association.settings,
            Timer(timers, partial(self._t3_expired, address)),
            Timer(timers, partial(self._heartbeat_due, address)),
        )
        path.confirmed = confirmed
        if not self.paths:
            self.primary = path
        self.paths.append(path)
        self.by_address[address] = path
        return path

    def renew(self) -> None:
        """The peer began anew: the same addresses, nothing measured, nothing under way."""
        self.stop()
        old, primary = self.paths, self.primary.address
        self.paths, self.by_address = [], {}
        for path in old:
            self.add(path.address, path.source, confirmed=path.confirmed)
        self.primary = self.by_address[primary]

    def stop(self) -> None:
        """The association is over."""
        for path in self.paths:
            path.t3.stop()
            path.heartbeat.stop()

    # ---- which path

    def sending(self) -> Path:
        """Where new DATA goes."""
        primary = self.primary
        if primary.active and primary.confirmed:
            return primary
        return next((path for path in self.paths if path.usable), primary)

    def another(self, last: Path | None) -> Path:
        """Where DATA that was lost on `last` goes."""
        if len(self.paths) > 1:
            for path in self.paths:
                if path.usable and path is not last:
                    return path
        return self.sending()

    # ---- health (sections 8.1, 8.2)

    def alive(self, path: Path) -> None:
        """The peer acknowledged something that went there."""
        path.errors = 0
        self.association.errors = 0
        if not path.active:
            path.active = True
            self.association.tell(PathChanged(association=self.association, address=path.address, reachable=True))

    def missed(self, path: Path, *, counts: bool = True) -> bool:
        """No answer in time. False: it was one too many, and the association is over."""
        association = self.association
        path.errors += 1
        if path.active and path.errors > association.settings.path_max_retrans:
            path.active = False
            association.tell(PathChanged(association=association, address=path.address, reachable=False))
        if counts:
            association.errors += 1
            if association.errors > association.settings.association_max_retrans:
                association.timed_out()
                return False
        return True

    def _t3_expired(self, address: str, now: int) -> None:
        """Section 6.3.3."""
        path, association = self.by_address[address], self.association
        if not path.flight:
            return
        path.lost(timeout=True)
        path.backed_off()
        path.timed = None
        if not self.missed(path):
            return
        association.outbound.mark_all(path)
        association.flush(now, burst=1)

    # ---- heartbeats (section 8.3)

    def begin(self, now: int) -> None:
        """The association is established: unconfirmed addresses are asked at once, the others when they were idle."""
        wait = 0
        for path in self.paths:
            if path.confirmed:
                self._await_idle(path, now)
            else:
                path.heartbeat.start(now + wait)
                wait += path.rto  # section 5.4: one probe for each RTO

    def _await_idle(self, path: Path, now: int) -> None:
        if path.hb_interval:
            path.heartbeat.start(now + path.hb_interval + self._jittered(path.rto))
        else:
            path.heartbeat.stop()

    def _jittered(self, rto: int) -> int:
        """The RTO, give or take half of it."""
        return rto // 2 + rto * int.from_bytes(self.association.host.entropy(2), "big") // 0x10000

    def _heartbeat_due(self, address: str, now: int) -> None:
        path = self.by_address[address]
        if self.association.state not in HEARTBEATING:
            return
        if path.nonce:  # the last one was not answered
            path.backed_off()
            if not self.missed(path, counts=path.confirmed):
                return
        elif path.confirmed and path.used and now - path.used < path.hb_interval:
            path.heartbeat.start(path.used + path.hb_interval + self._jittered(path.rto))
            return
        self.ask(path, now)

    def ask(self, path: Path, now: int) -> None:
        """Sends a HEARTBEAT."""
        path.nonce = self.association.host.entropy(NONCE_SIZE)
        path.probed = now
        self.association.emit([build.heartbeat(path.nonce)], path)
        if path.confirmed or path.errors > path.settings.path_max_retrans:
            self._await_idle(path, now)
        else:
            path.heartbeat.start(now + path.rto)

    def answered(self, nonce: bytes, now: int) -> None:
        """A HEARTBEAT ACK: the path whose nonce it brings back is there."""
        for path in self.paths:
            if nonce and path.nonce == nonce:
                path.nonce = b""
                path.measured(now - path.probed)
                path.confirmed = True
                self.alive(path)
                self._await_idle(path, now)
                return
