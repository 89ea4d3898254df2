"""Why an association ended: which call closes it, and why ABORT and ERROR chunks were sent."""

from __future__ import annotations

from rawlab.attribution.association import SctpEnd, chunk_of
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sctp_messages import ancillary
from rawlab.attribution.sockets import NumberedCall
from rawlab.attribution.tcp_rules import lingers_0
from rawlab.attribution.unclosed import unclosed
from rawlab.attribution.words import kernel
from rawlab.model import sctp as chunks
from rawlab.model.event import Call
from rawlab.model.sctp import SctpChunk, SctpError
from rawlab.model.states import SctpState
from rawlab.model.story import Cause

_REFLECTED = 1
_ENDS = ("SHUT_WR", "SHUT_RDWR")
_CAUSES = {
    1: "it named a stream that does not exist",
    2: "it lacked a parameter that must be there",
    3: "its cookie was stale",
    4: "there is no memory for it",
    5: "it named an address that cannot be reached",
    6: "it brought a chunk type that is not known",
    7: "it brought a parameter that may not be there",
    8: "it brought parameters that are not known",
    9: "it brought DATA without a single octet",
    10: "it brought a cookie while the association was being shut down",
    11: "it would set the association up anew from another address",
    13: "it broke the protocol",
}
"""Cause codes, as what they say of the packet that provoked them (RFC 9260 section 3.3.10)."""
_USER_INITIATED = 12


def closing_call(end: SctpEnd, at_ns: int | None = None) -> NumberedCall | None:
    """The call that ends the association at this end: the first that was entered by `at_ns`."""
    found = [
        (n, call)
        for socket in end.sockets
        for n, call in socket.calls
        if call.errno is None and _closes(call, socket.last_close)
    ]
    found += [socket.last_close for socket in end.sockets if socket.last_close and _last(end) is socket.last_close]
    entered = [(n, call) for n, call in found if at_ns is None or call.entered_ns <= at_ns]
    return min(entered, default=None, key=lambda numbered: numbered[0])


def _closes(call: Call, last_close: NumberedCall | None) -> bool:
    if call.name == "shutdown":
        return dict(call.args).get("how") in _ENDS
    return "SCTP_EOF" in ancillary(call).get("sinfo_flags", "")


def _last(end: SctpEnd) -> NumberedCall | None:
    """The last close of the socket that holds the association: the one peeled off or accepted, if there is one."""
    own = [socket for socket in end.sockets if socket.parent is not None] or end.sockets
    return own[-1].last_close if own else None


def abort_cause(draft: Draft, chunk: SctpChunk, sender: SctpEnd, receiver: SctpEnd, stack: str) -> Cause | None:
    """Why an ABORT was sent: by a call, or by what came."""
    assert isinstance(chunk, SctpError)
    last = sender.last_arrival
    if last is not None and sender.lane.state is SctpState.CLOSED and (refused := _refused(last, chunk, sender, stack)):
        return refused
    asked = next(
        (
            (n, call)
            for n, call in sender.calls("sendmsg", "sendto")
            if "SCTP_ABORT" in ancillary(call).get("sinfo_flags", "") and call.entered_ns <= draft.at_ns
        ),
        None,
    )
    if asked is not None:
        n, call = asked
        why = f"{call.name} (call {n}) with SCTP_ABORT ends the association at once"
        return Cause(kind="call", calls=(n,), reason=why, confidence="exact")
    code = next((cause.type for cause in chunk.causes if cause.type in _CAUSES), None)
    if code is not None and last is not None:
        return kernel(f"{stack} gives up the association: packet {last.n}: {_CAUSES[code]}", packets=[last])
    closing = closing_call(sender, draft.at_ns)
    if closing is not None:
        return _by_close(closing, sender)
    if any(cause.type == _USER_INITIATED for cause in chunk.causes) and sender.sockets:
        why = "the association is aborted for it"
        return unclosed(sender.sockets, draft.at_ns, "ABORT", why, ", with messages unread")
    if any(cause.type == _USER_INITIATED for cause in chunk.causes):
        return Cause(kind="call", reason="the program ends the association at once", confidence="inferred")
    if last is not None:
        return kernel(f"packet {last.n} fits no association of this host", packets=[last], confidence="inferred")
    return None


def _refused(last: Draft, chunk: SctpChunk, sender: SctpEnd, stack: str) -> Cause | None:
    if chunk_of(last, chunks.INIT) is not None and not chunk.flags & _REFLECTED and sender.listener is None:
        why = f"no socket listens on port {sender.port}: {stack} refuses INIT (packet {last.n})"
        return kernel(why, packets=[last], confidence="exact" if sender.recorded else "inferred")
    if chunk.flags & _REFLECTED:
        provoking = sender.blue.pop(0) if sender.blue else last
        why = f"{stack} knows no association to which packet {provoking.n} belongs (out of the blue)"
        return kernel(why, packets=[provoking])
    return None


def _by_close(closing: NumberedCall, sender: SctpEnd) -> Cause:
    n, call = closing
    if any(lingers_0(option) for _, option in sender.calls("setsockopt")):
        why = f"{call.name} (call {n}) with SO_LINGER set to 0 seconds aborts instead of ending in order"
        return Cause(kind="call", calls=(n,), reason=why, confidence="exact")
    why = f"{call.name} (call {n}) left messages unread: ABORT tells the peer that they are lost"
    return Cause(kind="call", calls=(n,), reason=why, confidence="inferred")


def error_cause(chunk: SctpChunk, sender: SctpEnd) -> Cause | None:
    """Why an ERROR was sent: what the packet before it had brought."""
    assert isinstance(chunk, SctpError)
    last = sender.last_arrival
    said = [_CAUSES[cause.type] for cause in chunk.causes if cause.type in _CAUSES]
    if last is None:
        return kernel("reports an error", confidence="inferred")
    return kernel(f"reports of packet {last.n}: {', '.join(said) or 'an error'}", packets=[last])
