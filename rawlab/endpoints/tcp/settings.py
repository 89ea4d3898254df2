"""What of TCP is a parameter, and the limits that keep a hostile peer from filling memory."""

from __future__ import annotations

from dataclasses import dataclass

MS = 1_000_000
SECOND = 1000 * MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The protocol's parameters: what the RFCs recommend, and where they leave it open, what Linux has."""

    rto_initial: int = SECOND
    "ns, until a round trip was measured (RFC 6298 section 2.1)"
    rto_min: int = 200 * MS
    "ns; RFC 6298 section 2.4 would have 1 s, Linux has 200 ms"
    rto_max: int = 120 * SECOND
    "ns"
    granularity: int = MS
    "ns: G of RFC 6298"
    syn_retries: int = 6
    "SYNs sent again"
    syn_ack_retries: int = 5
    "SYN-ACKs sent again"
    retries: int = 15
    "times that a segment, or a probe of a window, is sent again without any answer: R2 of RFC 9293 section 3.8.3"
    time_wait: int = 60 * SECOND
    "ns: 2 MSL; RFC 9293 has 4 minutes, Linux 60 s"
    fin_wait_2: int = 60 * SECOND
    "ns that FIN-WAIT-2 lasts at most after close()"
    ack_delay: int = 40 * MS
    "ns that an ACK may wait for data to go with; RFC 9293 section 3.8.6.3: less than 500 ms"
    ack_every: int = 2
    "segments with data for one ACK; 1: no delay"
    nagle: bool = True
    "small segments wait for the ACK of what is under way (RFC 9293 section 3.7.4)"
    mtu: int = 1500
    "octets of a packet, IP header included"
    initial_window: int = 0
    "segments; 0: as RFC 5681 section 3.1 has it (2 to 4); Linux has 10 (RFC 6928)"
    receive_buffer: int = 1 << 20
    "octets held for the program: the window's size"
    send_buffer: int = 1 << 20
    "octets not acknowledged yet"
    window_scale: bool = True
    "RFC 7323 section 2"
    timestamps: bool = True
    "RFC 7323 section 3"
    sack: bool = True
    "what came out of order is told (RFC 2018); what the peer tells is not used"
    keepalive_idle: int = 0
    "ns without a segment from the peer until it is asked; 0: never (RFC 9293 section 3.8.4)"
    keepalive_interval: int = 75 * SECOND
    "ns between questions without answer"
    keepalive_probes: int = 9
    "questions without answer that end the connection"
    challenges: int = 10
    "challenge ACKs of one connection in `challenge_time` (RFC 5961 section 7)"
    challenge_time: int = 5 * SECOND
    "ns"
    window_events: bool = True
    "each change of cwnd and ssthresh is told"
    max_connections: int = 65536
    "of one host"
    max_half_open: int = 256
    "SYN-RECEIVED at one listening endpoint; further SYNs are dropped"
    max_gaps: int = 256
    "runs of octets kept that came out of order; a segment that would make one more is dropped and comes again"
