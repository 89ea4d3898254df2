"""A flood's packets (`rawlab craft --flood`): whose they are, where its calls are not recorded.

The file marks each packet of the flood, where it keeps the first and the last only; in one that keeps all, none is
marked, and what came in is the flood's or the client's kernel's: nothing says which. A client that floods has no
connection, whatever its packets look like.
"""

from __future__ import annotations

from collections.abc import Sequence

from rawlab.attribution.pairing import Draft
from rawlab.model.flood import LAB, MARK
from rawlab.model.story import Cause
from rawlab.model.timeline import Timeline

_CALL = "the whole frame was in the transmit ring when the flood called send (packet(7)); its calls are not recorded"
_EITHER = "the flood sent it, or the client's kernel: a flood's calls are not recorded"


def attribute(drafts: Sequence[Draft], timeline: Timeline) -> None:
    """Gives their causes to a flood's packets, in place of those that packets like them would have."""
    if not (timeline.run.lab or "").startswith(LAB):
        return
    marked = {frame.number for frame in timeline.frames if MARK in frame.comments}
    inbound = {frame.number for frame in timeline.frames if frame.outgoing is False}
    for draft in drafts:
        if marked.intersection(draft.frames):
            draft.cause = Cause(kind="call", reason=_CALL, confidence="exact")
        elif not marked and inbound.intersection(draft.frames):
            draft.cause = Cause(kind="unknown", reason=_EITHER, confidence="unknown")
        draft.states = tuple((host, None if host == "client" else state) for host, state in draft.states)
