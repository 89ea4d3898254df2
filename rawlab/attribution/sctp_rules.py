"""Why an SCTP packet was sent: one rule a chunk type; a packet's cause is its chunks' causes, put together.

Each rule is given the association as it stands when the packet leaves. What tags, TSNs, flags or bytes prove is
*exact*; what only the order in time suggests is *inferred*. Who speaks SCTP (the kernel, or our endpoint) is said by
the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rawlab.attribution.association import Association, SctpEnd, chunk_of, packet_of
from rawlab.attribution.pairing import UNKNOWN, Draft
from rawlab.attribution.sctp_data import data_cause, sack_cause, tsns
from rawlab.attribution.sctp_endings import abort_cause, closing_call, error_cause
from rawlab.attribution.unclosed import unclosed
from rawlab.attribution.words import kernel, packets_in_words, took
from rawlab.model import sctp as chunks
from rawlab.model.sctp import SctpChunk, SctpData, SctpForwardTsn
from rawlab.model.story import Cause

__all__ = ["cause_of", "closing_call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A packet that leaves, and the association then."""

    association: Association
    draft: Draft
    sender: SctpEnd
    receiver: SctpEnd
    stack: str
    "who speaks SCTP, in words"


Rule = Callable[[Moment, SctpChunk], Cause | None]
_RANK = {"exact": 0, "inferred": 1, "unknown": 2}


def cause_of(association: Association, draft: Draft, sender: SctpEnd, receiver: SctpEnd, stack: str) -> Cause:
    """All of the packet's chunks' causes, as one."""
    now = Moment(association=association, draft=draft, sender=sender, receiver=receiver, stack=stack)
    found: list[Cause] = []
    data = [chunk for chunk in packet_of(draft).chunks if isinstance(chunk, SctpData)]
    for chunk in packet_of(draft).chunks:
        if isinstance(chunk, SctpData):
            if chunk is data[0]:
                found.append(data_cause(draft, data, sender, receiver))
        elif (cause := _RULES.get(chunk.type, _other)(now, chunk)) is not None:
            found.append(cause)
    if not found:
        return UNKNOWN
    cause = _together(found)
    return cause if sender.recorded or cause.confidence != "exact" else replace(cause, confidence="inferred")


def _together(causes: list[Cause]) -> Cause:
    if len(causes) == 1:
        return causes[0]
    kinds = [cause.kind for cause in causes]
    return Cause(
        kind="call" if "call" in kinds else "kernel" if "kernel" in kinds else "unknown",
        reason="; ".join(cause.reason for cause in causes),
        confidence=max((cause.confidence for cause in causes), key=_RANK.__getitem__),
        calls=tuple(dict.fromkeys(n for cause in causes for n in cause.calls)),
        packets=tuple(sorted({n for cause in causes for n in cause.packets})),
        bytes=tuple(part for cause in causes for part in cause.bytes),
    )


def _again(now: Moment, type: int, name: str, timer: str) -> Cause | None:
    """The same chunk once more, because its answer did not come."""
    last = now.sender.lasts.get(type)
    if last is None:
        return None
    waited = (now.draft.at_ns - last.at_ns) / 1e6
    opener = [now.sender.opener] if now.sender.opener and type in (chunks.INIT, chunks.COOKIE_ECHO) else []
    why = f"{name} again ({timer}): packet {last.n} was not answered for {waited:.0f} ms"
    return kernel(why, opener, [last])


# ----------------------------------------------------------------------------------------------- set-up


def _init(now: Moment, chunk: SctpChunk) -> Cause | None:
    stale = now.sender.last_arrivals.get(chunks.ERROR)
    if stale is not None and chunks.COOKIE_ECHO in now.sender.firsts:
        return kernel(f"INIT again: packet {stale.n} said that the cookie was stale", packets=[stale])
    if (again := _again(now, chunks.INIT, "INIT", "T1-init")) is not None:
        return again
    if now.sender.opener is None:
        return Cause(kind="call", reason="a connect sends INIT", confidence="inferred")
    n, call = now.sender.opener
    what = "sends INIT, the first of four steps of the set-up"
    if call.name != "connect":
        what = f"to an address without an association: {what}"
    return Cause(kind="call", calls=(n,), reason=f"{call.name} (call {n}) {what}", confidence="exact")


def _init_ack(now: Moment, chunk: SctpChunk) -> Cause | None:
    init = now.sender.last_arrivals.get(chunks.INIT)
    packet = f" (packet {init.n})" if init else ""
    if chunks.INIT in now.sender.firsts:
        why = f"answers INIT{packet}, which has crossed its own: both set up at once"
        return kernel(why, packets=[init])
    if now.sender.listener is None:
        since = f" after {took(now.draft.at_ns - init.at_ns)}" if init is not None and not now.sender.recorded else ""
        return kernel(f"answers INIT{packet}{since}", packets=[init], confidence="inferred")
    n, _ = now.sender.listener
    why = f"{now.stack} answers INIT{packet} for the listening socket (listen, call {n}), and keeps no state:"
    return kernel(f"{why} all that it must know is in the cookie", [now.sender.listener], [init])


def _cookie_echo(now: Moment, chunk: SctpChunk) -> Cause | None:
    again = _again(now, chunks.COOKIE_ECHO, "COOKIE ECHO", "T1-cookie")
    if again is not None and not _after_stale_cookie(now):
        return again
    brought = now.sender.last_arrivals.get(chunks.INIT_ACK)
    packet = f" of packet {brought.n}" if brought else ""
    opener = [now.sender.opener] if now.sender.opener else []
    return kernel(f"gives back the cookie{packet}: the third of four steps", opener, [brought])


def _after_stale_cookie(now: Moment) -> bool:
    """Whether a new INIT ACK has come since the first COOKIE ECHO."""
    brought, first = now.sender.last_arrivals.get(chunks.INIT_ACK), now.sender.firsts[chunks.COOKIE_ECHO]
    return brought is not None and brought.arrival_ns > first.at_ns


def _cookie_ack(now: Moment, chunk: SctpChunk) -> Cause | None:
    echo = now.sender.last_arrivals.get(chunks.COOKIE_ECHO)
    packet = f" of packet {echo.n}" if echo else ""
    if chunks.COOKIE_ACK in now.sender.firsts:
        return kernel(f"the cookie{packet} has come again, and is confirmed again", packets=[echo])
    why = f"the cookie{packet} is the one that it gave, and not stale: the association is set up"
    if now.sender.listener is None:
        return kernel(why, packets=[echo])
    n, _ = now.sender.listener
    why += f" for the listening socket (listen, call {n}); no accept is needed"
    return kernel(why, [now.sender.listener], [echo])


# -------------------------------------------------------------------------------------------- heartbeat


def _heartbeat(now: Moment, chunk: SctpChunk) -> Cause | None:
    ip = now.draft.facts.ip
    to = ip.destination if ip else "the peer"
    asked = [
        (n, call)
        for n, call in now.sender.calls("setsockopt")
        if dict(call.args).get("optname") == "SCTP_PEER_ADDR_PARAMS" and call.entered_ns <= now.draft.at_ns
    ]
    if asked and "SPP_HB_DEMAND" in str(dict(asked[-1][1].args).get("optval")):
        n, call = asked[-1]
        if call.returned_ns is None or now.draft.at_ns <= call.returned_ns:
            why = f"setsockopt (call {n}) asks for a heartbeat at once: is the path to {to} alive?"
            return Cause(kind="call", calls=(n,), reason=why, confidence="exact")
    if to not in _spoken_to(now):
        return kernel(f"is {to}, which the set-up named, really the peer's? (path verification)")
    before = now.sender.heartbeats.get(to)
    if before is not None and not _answered(now, before, to):
        why = f"heartbeat again: packet {before.n} was not answered; is the path to {to} alive?"
        return kernel(why, asked[-1:], [before])
    return kernel(f"heartbeat timer: is the path to {to} alive?", asked[-1:])


def _answered(now: Moment, heartbeat: Draft, to: str) -> bool:
    """Whether a HEARTBEAT ACK came from there since."""
    ack = now.sender.heartbeat_acks.get(to)
    return ack is not None and ack.at_ns >= heartbeat.at_ns


def _spoken_to(now: Moment) -> set[str]:
    """The addresses to or from which this end has had anything but HEARTBEAT."""
    found: set[str] = set()
    for draft in now.association.drafts:
        if draft.at_ns >= now.draft.at_ns:
            break
        ip = draft.facts.ip
        only = all(chunk.type in (chunks.HEARTBEAT, chunks.HEARTBEAT_ACK) for chunk in packet_of(draft).chunks)
        answered = not draft.lost and chunk_of(draft, chunks.HEARTBEAT_ACK) is not None
        if ip is not None and (not only or answered):
            found |= {ip.source, ip.destination}
    return found


def _heartbeat_ack(now: Moment, chunk: SctpChunk) -> Cause | None:
    asked = now.sender.last_arrivals.get(chunks.HEARTBEAT)
    packet = f" (packet {asked.n})" if asked else ""
    return kernel(f"answers HEARTBEAT{packet}, with the octets that it brought", packets=[asked])


# --------------------------------------------------------------------------------------------- shutdown


def _shutdown(now: Moment, chunk: SctpChunk) -> Cause | None:
    data = [draft for draft in now.sender.unacknowledged if chunks.SHUTDOWN in now.sender.firsts]
    if data:
        return kernel(f"SHUTDOWN again, to acknowledge the data of {packets_in_words(data)}", packets=data)
    if (again := _again(now, chunks.SHUTDOWN, "SHUTDOWN", "T2-shutdown")) is not None:
        return again
    closing = closing_call(now.sender, now.draft.at_ns)
    if closing is None and now.sender.sockets:
        return unclosed(now.sender.sockets, now.draft.at_ns, "SHUTDOWN", "the association is ended for it")
    if closing is None:
        return Cause(kind="call", reason="a close or shutdown sends SHUTDOWN", confidence="inferred")
    n, call = closing
    why = f"{call.name} (call {n}) ends the association: all that was sent is acknowledged"
    waited_for = [
        draft for draft, _, _ in now.sender.peer_acks[-1:] if draft.arrival_ns > call.entered_ns
    ]
    if waited_for:
        why += f", since packet {waited_for[0].n} came"
    return Cause(
        kind="call",
        calls=(n,),
        packets=tuple(draft.n for draft in waited_for),
        reason=why,
        confidence="exact",
    )


def _shutdown_ack(now: Moment, chunk: SctpChunk) -> Cause | None:
    if (again := _again(now, chunks.SHUTDOWN_ACK, "SHUTDOWN ACK", "T2-shutdown")) is not None:
        return again
    asked = now.sender.last_arrivals.get(chunks.SHUTDOWN)
    packet = f" (packet {asked.n})" if asked else ""
    why = f"answers SHUTDOWN{packet}: all that it had sent is acknowledged, too; no close is needed"
    return kernel(why, packets=[asked])


def _shutdown_complete(now: Moment, chunk: SctpChunk) -> Cause | None:
    answered = now.sender.last_arrivals.get(chunks.SHUTDOWN_ACK)
    packet = f" (packet {answered.n})" if answered else ""
    return kernel(f"answers SHUTDOWN ACK{packet}: the association is over", packets=[answered])


def _abort(now: Moment, chunk: SctpChunk) -> Cause | None:
    return abort_cause(now.draft, chunk, now.sender, now.receiver, now.stack)


def _error(now: Moment, chunk: SctpChunk) -> Cause | None:
    return error_cause(chunk, now.sender)


# ----------------------------------------------------------------------------------------------- others


def _sack(now: Moment, chunk: SctpChunk) -> Cause | None:
    return sack_cause(now.draft, chunk, now.sender, now.receiver)


def _forward_tsn(now: Moment, chunk: SctpChunk) -> Cause | None:
    assert isinstance(chunk, SctpForwardTsn)
    last = now.sender.relative(chunk.cumulative_tsn)
    return kernel(f"gives up what is not acknowledged of {tsns(0, last + 1)} (RFC 3758)", confidence="inferred")


_WORDS = {
    chunks.AUTH: "AUTH proves who sent the chunks behind it (RFC 4895)",
    chunks.ASCONF: "ASCONF changes the association's addresses (RFC 5061)",
    chunks.RE_CONFIG: "RE-CONFIG resets or adds streams (RFC 6525)",
    chunks.PAD: "PAD makes the packet longer (RFC 4820)",
    chunks.ECNE: "ECNE: a packet came marked by a congested router",
    chunks.CWR: "CWR: the congestion window was reduced",
}


def _other(now: Moment, chunk: SctpChunk) -> Cause | None:
    if chunk.type == chunks.ASCONF_ACK:
        asked = now.sender.last_arrivals.get(chunks.ASCONF)
        return kernel(f"answers ASCONF{f' (packet {asked.n})' if asked else ''}", packets=[asked])
    if chunk.type in _WORDS:
        return kernel(_WORDS[chunk.type], confidence="inferred")
    return Cause(kind="unknown", reason=f"chunk type {chunk.type} is not known here", confidence="unknown")


_RULES: dict[int, Rule] = {
    chunks.INIT: _init,
    chunks.INIT_ACK: _init_ack,
    chunks.COOKIE_ECHO: _cookie_echo,
    chunks.COOKIE_ACK: _cookie_ack,
    chunks.SACK: _sack,
    chunks.HEARTBEAT: _heartbeat,
    chunks.HEARTBEAT_ACK: _heartbeat_ack,
    chunks.SHUTDOWN: _shutdown,
    chunks.SHUTDOWN_ACK: _shutdown_ack,
    chunks.SHUTDOWN_COMPLETE: _shutdown_complete,
    chunks.ABORT: _abort,
    chunks.ERROR: _error,
    chunks.FORWARD_TSN: _forward_tsn,
    chunks.I_FORWARD_TSN: _forward_tsn,
}
