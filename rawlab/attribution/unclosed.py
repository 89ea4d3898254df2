"""Why a socket that no call closed ends its connection: its process was killed, or ended; or the log left close out."""

from __future__ import annotations

from collections.abc import Sequence

from rawlab.attribution.sockets import Socket
from rawlab.attribution.words import kernel
from rawlab.model.story import Cause

_NEAR_NS = 1_000_000_000  # strace is told of a death when all is closed


def unclosed(sockets: Sequence[Socket], at_ns: int, what: str, then: str, left: str = "") -> Cause:
    """`what`: the packet, 'FIN'; `then`: what happens when a process leaves the socket open, 'the kernel closes it'."""
    killed = next((found.killed for found in sockets if found.killed is not None), None)
    if killed is not None and at_ns <= killed[0] <= at_ns + _NEAR_NS:
        return kernel(f"the process was killed by {killed[1]} and left the socket open: {then}", confidence="inferred")
    if any(found.partial for found in sockets):
        why = f"a close or shutdown sends {what}: none is in the log (was it left out by -e?)"
        return Cause(kind="call", reason=why, confidence="inferred")
    return kernel(f"the process ended and left the socket open{left}: {then}", confidence="inferred")
