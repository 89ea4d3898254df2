"""How long to wait for an acknowledgment: RFC 6298. Pure; all times in ns."""

from __future__ import annotations

from rawlab.endpoints.tcp.settings import Settings


class Rtt:
    """The smoothed round trip, its variation, and the timeout with its backoff."""

    __slots__ = ("_base", "_settings", "backoff", "rto", "rttvar", "srtt")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.srtt: int | None = None
        self.rttvar = 0
        self.backoff = 0
        "times that the timer expired since the last measurement"
        self._base = settings.rto_initial
        self.rto = self._base

    def measured(self, rtt: int) -> None:
        """A round trip of a segment that was sent once (section 3: Karn), or of one with a timestamp (2.2 to 2.4)."""
        if self.srtt is None:
            self.srtt, self.rttvar = rtt, rtt // 2
        else:
            self.rttvar += (abs(self.srtt - rtt) - self.rttvar) // 4
            self.srtt += (rtt - self.srtt) // 8
        settings = self._settings
        self._base = max(self.srtt + max(settings.granularity, 4 * self.rttvar), settings.rto_min)
        self.backoff = 0
        self.rto = min(self._base, settings.rto_max)

    def expired(self) -> None:
        """Twice as long the next time (section 5.5)."""
        if self.rto < self._settings.rto_max:
            self.backoff += 1
        self.rto = min(self._base << self.backoff, self._settings.rto_max)

    def syn_was_lost(self) -> None:
        """Data may begin with 3 s at least, where nothing was measured (section 5.7)."""
        if self.srtt is None:
            self._base, self.backoff = max(self._settings.rto_initial, 3_000_000_000), 0
            self.rto = min(self._base, self._settings.rto_max)
