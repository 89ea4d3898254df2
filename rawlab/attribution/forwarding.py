"""Packets that a router sends on: each link of the way carries a packet of its own, and its cause is the one before.

A router takes one from the TTL (RFC 1812 section 5.3.1; hop limit: RFC 8200 section 3), counts IPv4's checksum anew,
and writes its own link-layer addresses; all else stays. So a packet that leaves a host, and comes from an address that
is not that host's, is the earlier one that arrived there, if its octets are the same but for those.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

from rawlab.attribution.fragments import ip_of
from rawlab.attribution.pairing import Draft
from rawlab.attribution.words import kernel
from rawlab.model.timeline import Host

_CHANGED = {4: (slice(8, 9), slice(10, 12)), 6: (slice(7, 8),)}
"""The octets of the IP header that a router changes."""


def attribute(drafts: Sequence[Draft], hosts: Sequence[Host]) -> None:
    """Gives its cause to every packet that a router sent on; `drafts` in order of time."""
    if len(hosts) < 3:
        return
    own = {host.name: host.addresses for host in hosts}
    arrived: dict[tuple[str, bytes], deque[Draft]] = defaultdict(deque)
    moments = [(draft.at_ns, 1, draft) for draft in drafts if draft.sender]
    moments += [(draft.arrival_ns, 0, draft) for draft in drafts if draft.receiver and not draft.lost]
    for _, leaves, draft in sorted(moments, key=lambda moment: moment[:2]):
        host = draft.sender if leaves else draft.receiver
        if draft.facts.ip is None or host is None:
            continue
        ip = ip_of(draft)
        waiting = arrived[host, _unchanged(draft)]
        if not leaves:
            waiting.append(draft)
        elif waiting and ip.source not in own.get(host, ()):
            before = draft.forwarded = waiting.popleft()
            field = "TTL" if ip.version == 4 else "hop limit"
            why = f"the {host}'s kernel forwards packet {before.n}: {field} {ip_of(before).ttl} → {ip.ttl}"
            draft.cause = kernel(why, packets=[before])


def _unchanged(draft: Draft) -> bytes:
    """The packet from its IP header on, without what a router changes."""
    ip = ip_of(draft)
    packet = bytes(draft.data[ip.payload[1] - ip.length : ip.payload[1]])
    for place in _CHANGED[ip.version]:
        packet = packet[: place.start] + bytes(place.stop - place.start) + packet[place.stop :]
    return packet
