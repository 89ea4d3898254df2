"""Whole frames that a program wrote through a packet socket (packet(7)): each is the call's whose octets it is.

Runs after `neighbours`, whose reasons it replaces: an ARP request that a program wrote is not the kernel's.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

from rawlab.attribution.pairing import Draft
from rawlab.attribution.sockets import SENDERS, NumberedCall, Sockets
from rawlab.model.story import Cause


def attribute(drafts: Sequence[Draft], sockets: Sockets) -> None:
    """Gives its cause to every frame that was written as it is, in order."""
    written: dict[tuple[str, bytes], deque[NumberedCall]] = defaultdict(deque)
    for socket in (socket for socket in sockets if socket.is_packet):
        for n, call in socket.named(*SENDERS):
            if call.errno is None and call.data:
                written[socket.host, call.data].append((n, call))
    if not written:
        return
    for draft in drafts:
        calls = written.get((draft.sender or "", bytes(draft.data)))
        if calls and calls[0][1].entered_ns <= draft.at_ns:
            n, call = calls.popleft()
            draft.cause = Cause(
                kind="call",
                calls=(n,),
                bytes=((n, 0, len(draft.data)),),
                reason=f"the whole frame is what {call.name} (call {n}) wrote (packet(7))",
                confidence="exact",
            )
