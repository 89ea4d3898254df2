"""A path: one address of the peer, with its own RTO (RFC 9260 section 6.3), congestion window (section 7) and health.

Which path is used for what, heartbeats and failures of all paths together stand in `routes`; this file knows one path
and sends nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from rawlab.endpoints.sctp.settings import Settings
from rawlab.endpoints.timers import Timer

COMMON_HEADER = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStatus:
    """What can be told of a path (section 11.1.7; SCTP_GET_PEER_ADDR_INFO)."""

    address: str
    active: bool
    confirmed: bool
    "the peer proved to be there (section 5.4)"
    primary: bool
    rto: int
    "ns"
    srtt: int | None
    "ns; None: nothing measured yet"
    cwnd: int
    "octets"
    mtu: int
    "octets, IP header included"
    errors: int
    "answers missed in a row"


class Path:
    """One address of the peer."""

    __slots__ = (
        "active", "address", "confirmed", "cwnd", "errors", "flight", "hb_interval", "heartbeat", "mtu", "nonce",
        "partial_bytes_acked", "payload", "probed", "rto", "rttvar", "settings", "source", "srtt", "ssthresh", "t3",
        "timed", "timed_since", "used",
    )  # fmt: skip

    def __init__(self, address: str, source: str, settings: Settings, t3: Timer, heartbeat: Timer) -> None:
        self.address = address
        self.source = source
        "our address on this path"
        self.settings = settings
        self.t3 = t3
        self.heartbeat = heartbeat
        self.hb_interval = settings.hb_interval
        self.mtu = settings.mtu
        self.payload = self.mtu - (40 if ":" in address else 20) - COMMON_HEADER & ~3
        "octets of chunks that fit into a packet"
        self.rto = min(max(settings.rto_initial, settings.rto_min), settings.rto_max)
        self.srtt: int | None = None
        self.rttvar = 0
        self.cwnd = min(4 * self.mtu, max(2 * self.mtu, 4404))  # section 7.2.1
        self.ssthresh = 1 << 31
        self.partial_bytes_acked = 0
        self.flight = 0
        "octets of user data sent there, neither acknowledged nor given up for lost"
        self.timed: int | None = None
        "the TSN whose round trip is being measured"
        self.timed_since = 0
        self.errors = 0
        self.active = True
        self.confirmed = False
        self.nonce = b""
        "of the HEARTBEAT that was not answered yet"
        self.probed = 0
        "when that was sent"
        self.used = 0
        "when DATA was last sent there"

    def status(self, primary: bool) -> PathStatus:
        """As a value."""
        return PathStatus(
            address=self.address,
            active=self.active,
            confirmed=self.confirmed,
            primary=primary,
            rto=self.rto,
            srtt=self.srtt,
            cwnd=self.cwnd,
            mtu=self.mtu,
            errors=self.errors,
        )

    @property
    def usable(self) -> bool:
        """Whether DATA may go there."""
        return self.active and self.confirmed

    # ---- the retransmission timer's time (section 6.3.1)

    def measured(self, rtt: int) -> None:
        """Rules C2, C3, C6, C7: a round trip took `rtt` ns."""
        settings = self.settings
        if self.srtt is None:
            self.srtt, self.rttvar = rtt, rtt // 2
        else:
            self.rttvar += round(settings.rto_beta * (abs(self.srtt - rtt) - self.rttvar))
            self.srtt += round(settings.rto_alpha * (rtt - self.srtt))
        self.rto = min(max(self.srtt + max(4 * self.rttvar, 1), settings.rto_min), settings.rto_max)

    def backed_off(self) -> None:
        """Rule E2: twice the time, up to RTO.Max."""
        self.rto = min(2 * self.rto, self.settings.rto_max)

    # ---- the congestion window (section 7.2)

    def sending(self, now: int) -> None:
        """Before DATA is sent: a window that was not used for an RTO shrinks by half (section 7.2.1)."""
        if not self.flight and self.used:
            idle, floor = now - self.used, 4 * self.mtu
            while idle > self.rto and self.cwnd > floor:
                self.cwnd = max(self.cwnd // 2, floor)
                idle -= self.rto
        self.used = now

    def acknowledged(self, octets: int, flight: int, *, advanced: bool, recovering: bool) -> None:
        """Sections 7.2.1, 7.2.2: so much was acknowledged while `flight` octets were out before."""
        if self.cwnd <= self.ssthresh:
            if advanced and not recovering and flight >= self.cwnd:
                self.cwnd += min(octets, self.mtu)
        elif advanced:
            self.partial_bytes_acked += octets
            if self.partial_bytes_acked >= self.cwnd:
                if flight >= self.cwnd:
                    self.partial_bytes_acked -= self.cwnd
                    if not recovering:
                        self.cwnd += self.mtu
                else:
                    self.partial_bytes_acked = self.cwnd
        if not self.flight:
            self.partial_bytes_acked = 0

    def lost(self, *, timeout: bool) -> None:
        """Section 7.2.3: the window after a fast retransmit, or after T3-rtx expired."""
        self.ssthresh = max(self.cwnd // 2, 4 * self.mtu)
        self.cwnd = self.mtu if timeout else self.ssthresh
        self.partial_bytes_acked = 0
