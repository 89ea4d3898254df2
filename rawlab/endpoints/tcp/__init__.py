"""TCP (RFC 9293), sans-IO: packets and the time go in, packets and events come out.

    host = Host(["10.0.0.2"], os.urandom, now)              the time: any int of ns that grows
    endpoint = host.open(7); endpoint.listen()
    host.receive(packet, "10.0.0.1", "10.0.0.2", now)       from the TCP header on
    host.wake(now)                                          at host.deadline_ns at the latest
    for out in host.take(): ...                             Outgoing(packet, source, destination)
    connection = endpoint.accept()
    connection.events.popleft()                             Up, Data, …: `events`

Which file holds what: `host` finds whose a segment is; `endpoint` opens, listens, accepts; `arriving` goes through a
segment as RFC 9293 section 3.10.7 does, `opening` through those of the handshake; `outbound` and `acknowledging` send,
`congestion` says how much (RFC 5681), `rtt` how long to wait (RFC 6298); `inbound` and `reassembly` receive;
`connection` holds these together. What does not belong here: sockets' calls and descriptors, IP, ARP (`live`).

Sequence numbers in here are ints that never wrap (as SCTP's `tsn` has it); only `segment` and `emit` know 32 bits.
"""

from rawlab.endpoints.host import Outgoing
from rawlab.endpoints.tcp.connection import Connection
from rawlab.endpoints.tcp.endpoint import LocalEndpoint
from rawlab.endpoints.tcp.events import (
    Data,
    Down,
    Event,
    PeerClosed,
    StateChanged,
    TcpError,
    Up,
    Urgent,
    Window,
)
from rawlab.endpoints.tcp.host import Host
from rawlab.endpoints.tcp.settings import Settings
from rawlab.model.states import TcpState

__all__ = [
    "Connection",
    "Data",
    "Down",
    "Event",
    "Host",
    "LocalEndpoint",
    "Outgoing",
    "PeerClosed",
    "Settings",
    "StateChanged",
    "TcpError",
    "TcpState",
    "Up",
    "Urgent",
    "Window",
]
