"""What of SCTP is a parameter (RFC 9260 section 16), and the limits that keep a hostile peer from filling memory."""

from __future__ import annotations

from dataclasses import dataclass

MS = 1_000_000
SECOND = 1000 * MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The protocol's parameters, with the values that RFC 9260 recommends."""

    rto_initial: int = SECOND
    "ns, until a round trip was measured; Linux has 3 s"
    rto_min: int = SECOND
    "ns"
    rto_max: int = 60 * SECOND
    "ns"
    max_burst: int = 4
    "packets sent at one occasion (section 6.1, rule D)"
    rto_alpha: float = 1 / 8
    "weight of a new round trip in the smoothed one"
    rto_beta: float = 1 / 4
    "weight of a new deviation in the smoothed one"
    cookie_life: int = 60 * SECOND
    "ns that a state cookie is good for"
    association_max_retrans: int = 10
    "answers missed in a row, on all paths, that end the association"
    path_max_retrans: int = 5
    "answers missed in a row that make one path inactive"
    max_init_retransmits: int = 8
    "INITs or COOKIE ECHOs sent again"
    hb_interval: int = 30 * SECOND
    "ns between heartbeats on an idle path, besides its RTO; 0: none but those that confirm an address"
    sack_delay: int = 200 * MS
    "ns that a SACK may wait for a second packet"
    sack_frequency: int = 2
    "packets with DATA for one SACK; 1: no delay"
    mtu: int = 1500
    "octets of a packet, IP header included"
    receive_window: int = 1 << 20
    "octets of user data held for the program: the a_rwnd of INIT; 1500 at least (section 3.3.2)"
    send_buffer: int = 1 << 20
    "octets of user data not acknowledged yet; also the longest message"
    streams_in: int = 2048
    "the most that a peer may open to us (MIS)"
    max_associations: int = 65536
    "of one host"
    max_events: int = 65536
    "that an endpoint holds for its program before peers can add no more but messages, which their windows bound"
    max_addresses: int = 16
    "of one peer; further ones are left out"
    max_gaps: int = 256
    "gap ack blocks kept; DATA that would need one more is dropped and comes again"
