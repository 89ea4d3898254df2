"""SCTP (RFC 9260), sans-IO: packets and the time go in, packets and events come out.

    host = Host(["10.0.0.2"], os.urandom, now)              another thread's or test's clock: any int of ns that grows
    endpoint = host.open(7); endpoint.listen()
    host.receive(packet, "10.0.0.1", "10.0.0.2", now)       from the common header on
    host.wake(now)                                          at host.deadline_ns at the latest
    for out in host.take(): ...                             Outgoing(packet, source, destination)
    endpoint.events.popleft()                               Up, Message, …: `events`

Which file holds what: `host` finds whose a packet is; `answering` and `opening` begin an association, `closing` ends
it; `outbound` and `acknowledging` send, `inbound` and `reassembly` receive; `paths` and `routes` know the ways to the
peer; `association` holds these together. What does not belong here: sockets' calls and descriptors (`live`).
"""

from rawlab.endpoints.host import Outgoing
from rawlab.endpoints.sctp.association import Association
from rawlab.endpoints.sctp.endpoint import LocalEndpoint
from rawlab.endpoints.sctp.events import (
    Down,
    Event,
    Message,
    PathChanged,
    PeerShutdown,
    RemoteError,
    SctpError,
    SendFailed,
    Up,
)
from rawlab.endpoints.sctp.host import Host
from rawlab.endpoints.sctp.paths import PathStatus
from rawlab.endpoints.sctp.settings import Settings
from rawlab.model.states import SctpState

__all__ = [
    "Association",
    "Down",
    "Event",
    "Host",
    "LocalEndpoint",
    "Message",
    "Outgoing",
    "PathChanged",
    "PathStatus",
    "PeerShutdown",
    "RemoteError",
    "SctpError",
    "SctpState",
    "SendFailed",
    "Settings",
    "Up",
]
