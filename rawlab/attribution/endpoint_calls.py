"""The calls that our own endpoint makes on its raw or packet socket, each tied to the packet that it sends or receives.

They are told beside the program's calls, not among them: what a packet is for is the program's call, or the
protocol; that a sendto on a raw socket put it on the wire is how an endpoint outside the kernel does it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

from rawlab.attribution.pairing import Draft
from rawlab.attribution.sockets import RECEIVERS, SENDERS
from rawlab.model.event import Call
from rawlab.model.story import CallStory

_SCTP = 132


def tell(calls: Sequence[Call], drafts: Sequence[Draft]) -> tuple[CallStory, ...]:
    """The endpoint's calls, numbered from 1, in order of entry."""
    left: dict[tuple[str | None, bytes], deque[Draft]] = defaultdict(deque)
    came: dict[tuple[str | None, bytes], deque[Draft]] = defaultdict(deque)
    for draft in drafts if calls else ():
        octets = _handed_over(draft)
        left[draft.sender, octets].append(draft)
        if not draft.lost:
            came[draft.receiver, octets].append(draft)
    return tuple(_told(n, call, left, came) for n, call in enumerate(calls, 1))


def _handed_over(draft: Draft) -> bytes:
    """Of SCTP, on raw sockets, what is behind the IP header; else the whole frame, as a packet socket has it."""
    if draft.facts.ip is None or draft.facts.ip.protocol != _SCTP:
        return bytes(draft.data)
    first, end = draft.facts.ip.payload
    return bytes(memoryview(draft.data)[first:end])


_Packets = dict[tuple[str | None, bytes], deque[Draft]]


def _told(n: int, call: Call, left: _Packets, came: _Packets) -> CallStory:
    data = call.data or b""
    if call.name in SENDERS:
        packet = _next(left, call.host, data)
        why = f"puts packet {packet.n} on the wire" if packet else "nothing of it was seen on the wire"
        return CallStory(n=n, call=call, why=why, sent=(packet.n,) if packet else ())
    if call.name in RECEIVERS:
        header = (data[0] & 15) * 4 if data[:1] and data[0] >> 4 == 4 else 0  # raw(7): IPv4 comes with its header
        packet = _next(came, call.host, data[header:]) or _next(came, call.host, data)
        why = f"takes packet {packet.n}, as it came" if packet else "takes what was not seen on the wire"
        return CallStory(n=n, call=call, why=why, waited_for=(packet.n,) if packet else ())
    return CallStory(n=n, call=call, why="prepares the endpoint's way to the wire: nothing is sent")


def _next(packets: _Packets, host: str, octets: bytes) -> Draft | None:
    found = packets.get((host, octets))
    return found.popleft() if found else None
