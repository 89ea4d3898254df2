"""Why a TCP segment was sent: rules, tried in order; the first that applies says it.

Each rule is given the connection as it stands when the segment leaves, and answers with a `Cause` or None. What
the segment's numbers, flags or bytes prove is *exact*; what only the order in time suggests is *inferred*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rawlab.attribution.connection import Connection, End, payload_of, segment_of
from rawlab.attribution.pairing import UNKNOWN, Draft
from rawlab.attribution.sockets import RECEIVERS, NumberedCall
from rawlab.attribution.tcp_again import sent_again
from rawlab.attribution.tcp_sight import is_outside
from rawlab.attribution.unclosed import unclosed
from rawlab.attribution.words import KERNEL, OWN_TCP, kernel, numbers, octets, packets_in_words
from rawlab.model.event import Call
from rawlab.model.states import TcpState
from rawlab.model.story import Cause

Rule = Callable[[Connection, Draft, End, End], Cause | None]


def cause_of(connection: Connection, draft: Draft, sender: End, receiver: End) -> Cause:
    """The answer of the first rule that applies."""
    for rule in _RULES:
        if (cause := rule(connection, draft, sender, receiver)) is not None:
            answers = (draft.ack or 0) > (sender.last_ack or 0)  # its number proves what it acknowledges
            if sender.recorded or answers or cause.confidence != "exact":
                return cause
            return replace(cause, confidence="inferred")  # without calls, it may be otherwise
    return UNKNOWN


# ----------------------------------------------------------------------------------------------- resets


def _reset(connection: Connection, draft: Draft, sender: End, receiver: End) -> Cause | None:
    if "R" not in segment_of(draft).flags:
        return None
    provoking = sender.last_arrival
    if is_ignored(draft, receiver):
        syn = f"SYN{_in_packet(receiver.syn)}"
        why = f"a reset that does not acknowledge {syn}: SYN-SENT ignores it (RFC 9293 section 3.10.7.3)"
        return Cause(kind="unknown", packets=numbers([provoking]), reason=why, confidence="unknown")
    if sender.listener is None and sender.socket is None and provoking and "S" in segment_of(provoking).flags:
        if "A" in segment_of(provoking).flags:
            why = f"no socket asked for SYN-ACK (packet {provoking.n})"
        else:
            why = f"no socket listens on port {sender.address.port}"
            why += f": {sender.speaker} refuses SYN (packet {provoking.n})"
        return kernel(why, packets=[provoking], confidence="exact" if sender.recorded else "inferred")
    if (closing := closing_call(sender, draft.at_ns, "close")) is not None:
        return _reset_after_close(draft, sender, receiver, closing)
    last = sender.listening.last_close if sender.listening is not None else None
    if last is not None and last[1].entered_ns <= draft.at_ns and not sender.reset:
        n, call = last
        why = f"{call.name} (call {n}) ends the listening socket: nobody can accept this connection any more"
        return Cause(kind="call", calls=(n,), reason=why, confidence="exact")
    if provoking is None:
        return None
    if draft.ack is not None and "A" in segment_of(provoking).flags:  # for no connection it would have no ACK
        why = "aborts the connection (a close with data unread, or SO_LINGER of 0 seconds), or another host injected it"
        return Cause(kind="unknown" if sender.recorded else "call", reason=why, confidence="inferred")
    return kernel(f"packet {provoking.n} fits no connection of this host", packets=[provoking], confidence="inferred")


def is_ignored(draft: Draft, receiver: End) -> bool:
    """Whether it is a reset that an end in SYN-SENT drops (RFC 9293 section 3.10.7.3): its SYN is not acknowledged.

    Where no calls tell what it did then, also one whose number lies outside its window (RFC 5961 section 3.2).
    """
    if "R" not in segment_of(draft).flags:
        return False
    if not receiver.recorded and receiver.last_ack is not None:
        return is_outside(draft, receiver)
    if receiver.lane.state is not TcpState.SYN_SENT:
        return False
    return receiver.last_ack is None and not 0 < (draft.ack or 0) <= receiver.sent_end


def _reset_after_close(draft: Draft, sender: End, receiver: End, closing: NumberedCall) -> Cause:
    n, call = closing
    unread = receiver.sent_end - 1 - (receiver.fin_number is not None) - sender.read.end
    if any(lingers_0(option) for _, option in sender.socket_calls("setsockopt")):
        why = f"{call.name} (call {n}) with SO_LINGER set to 0 seconds resets instead of ending in order"
        return Cause(kind="call", calls=(n,), reason=why, confidence="exact")
    late = sender.last_arrival
    if late is not None and segment_of(late).length and late.arrival_ns > call.entered_ns:
        why = f"packet {late.n} brought data after {call.name} (call {n}): nobody can read it any more"
        return kernel(why, [closing], [late])
    if unread > 0:
        why = f"{call.name} (call {n}) left {unread} octets unread: a reset tells the peer (RFC 2525 section 2.17)"
        return Cause(kind="call", calls=(n,), reason=why, confidence="exact")
    if late is not None and sender.lane.at(draft.at_ns) is TcpState.CLOSED:
        why = f"packet {late.n} came when the connection was over, after {call.name} (call {n})"
        return kernel(why, [closing], [late], confidence="inferred")
    return kernel(f"the socket was closed by {call.name} (call {n})", [closing], confidence="inferred")


def lingers_0(option: Call) -> bool:
    """Whether a setsockopt set SO_LINGER on, to 0 seconds: struct linger, two ints (socket(7))."""
    args = dict(option.args)
    value = args.get("optval")
    if args.get("optname") != "SO_LINGER" or option.errno is not None:
        return False
    if isinstance(value, bytes):
        return len(value) == 8 and any(value[:4]) and not any(value[4:])
    return isinstance(value, tuple) and len(value) == 2 and value[0] != 0 and value[1] == 0


# ------------------------------------------------------------------------------------------------- SYN


def syn_cause(connection: Connection, draft: Draft, sender: End, receiver: End) -> Cause | None:
    """Of a segment with SYN; None without."""
    if "S" not in segment_of(draft).flags:
        return None
    answer = "A" in segment_of(draft).flags
    if answer and sender.syn is not None and not sender.answered:
        why = f"answers SYN{_in_packet(receiver.syn)}, which has crossed its own: both open at once"
        return kernel(why, packets=[receiver.syn])
    if sender.syn is not None:
        waited = (draft.at_ns - sender.syn.at_ns) / 1e6
        opener = sender.listener if answer else sender.connect
        if not answer and receiver.listener and not receiver.answered and sender.syn.arrived_ns is not None:
            n, _ = receiver.listener
            why = f"packet {sender.syn.n} arrived, and was dropped: the queue (listen, call {n}) is full"
            return kernel(f"SYN again after {waited:.0f} ms: {why}", [opener] if opener else (), [sender.syn])
        return kernel(
            f"{'SYN-ACK' if answer else 'SYN'} again: packet {sender.syn.n} was not acknowledged for {waited:.0f} ms",
            [opener] if opener else (),
            [sender.syn],
        )
    return _syn_ack(sender, receiver) if answer else _first_syn(sender)


def _syn_ack(sender: End, receiver: End) -> Cause:
    last = sender.last_arrival
    first = next(iter(sender.bringers(0, 1)), receiver.syn)
    syn = last if last is not None and segment_of(last).flags == "S" else first
    packet = _in_packet(syn)
    if sender.listener is None:
        return kernel(f"answers SYN{packet}", packets=[syn], confidence="inferred")
    n, _ = sender.listener
    return kernel(
        f"{sender.speaker} answers SYN{packet} for the listening socket (listen, call {n}): no accept is needed",
        [sender.listener],
        [syn],
    )


def _in_packet(draft: Draft | None) -> str:
    return f" (packet {draft.n})" if draft else ""


def _first_syn(sender: End) -> Cause:
    if sender.connect is None:
        return Cause(kind="call", reason="a connect sends SYN", confidence="inferred")
    n, _ = sender.connect
    proven = sender.socket is not None or sender.port_is_connects
    return Cause(
        kind="call",
        calls=(n,),
        reason=f"connect (call {n}) sends SYN, the first of three steps of the handshake",
        confidence="exact" if proven else "inferred",
    )


# ------------------------------------------------------------------------------------------------- data


def _probe(connection: Connection, draft: Draft, sender: End, receiver: End) -> Cause | None:
    """One number below what the peer has acknowledged, with no data: only to be answered (RFC 9293 section 3.8.4)."""
    segment = segment_of(draft)
    if sender.speaker == OWN_TCP and segment.length == 1 and receiver.last_window == 0 and draft.seq is not None:
        writers = list(sender.written.over(draft.seq - 1, draft.seq))
        return kernel(
            "asks whether the peer's window, which is zero, has opened: with the next octet (RFC 9293 section 3.8.6.1)",
            [(n, call) for n, call, _, _ in writers],
            [sender.last_arrival],
            bytes=tuple((n, low, high) for n, _, low, high in writers),
        )
    if segment.length > 1 or "F" in segment.flags or draft.seq is None or draft.seq != sender.peer_ack - 1:
        return None
    if draft.seq == 0 or sender.sent_end <= draft.seq:
        return None
    if receiver.last_window == 0:
        return kernel(
            "asks whether the peer's window, which is zero, has opened", packets=[sender.last_arrival]
        )
    return kernel("asks whether the peer is still there (keep-alive)", confidence="inferred")


def _data(connection: Connection, draft: Draft, sender: End, receiver: End) -> Cause | None:
    segment = segment_of(draft)
    if not segment.length or draft.seq is None:
        return None
    first, end = draft.seq, draft.seq + segment.length
    writers = list(sender.written.over(first - 1, end - 1))
    carried = tuple((n, low, high) for n, _, low, high in writers)
    calls = [(n, call) for n, call, _, _ in writers]
    wrong = _mismatch(draft, writers)
    if end <= sender.sent_end and wrong is None:
        return sent_again(draft, sender, carried, calls, first, end)
    if sender.socket is None:
        return Cause(kind="call", reason=f"a write of {octets(first, end)}", confidence="inferred")
    if not sender.placed or first - 1 < sender.written.begins:
        late = ": the log begins in the middle of the connection, and by which call is not known"
        when = ", which is not in the log: it begins later" if sender.placed else late
        return Cause(kind="call", reason=f"a write of {octets(first, end)}{when}", confidence="inferred")
    if wrong is None and sum(high - low for _, low, high in carried) != segment.length:
        return Cause(
            kind="unknown", reason=f"no recorded call wrote all of {octets(first, end)}", confidence="unknown"
        )
    if wrong is not None:
        return Cause(
            kind="unknown", calls=(wrong,), reason=f"its bytes are not call {wrong}'s", confidence="unknown"
        )
    reason, packets = _carries(writers), numbers(())
    if first < sender.sent_end:
        before = sender.carriers(first, sender.sent_end)
        reason += f"; {octets(first, sender.sent_end)} again, as in {packets_in_words(before)}"
        packets = numbers(before)
    elif (held := _held_back(draft, sender, calls)) is not None:
        reason += f"; held back until packet {held.n} came"
        packets = numbers([held])
    if "F" in segment.flags and (closing := closing_call(sender, draft.at_ns)) is not None:
        reason += f"; FIN: {closing[1].name} (call {closing[0]})"
        calls = [*calls, closing]
    return Cause(
        kind="call",
        calls=tuple(n for n, _ in calls),
        packets=packets,
        bytes=carried,
        reason=reason,
        confidence="exact" if sender.written.proven else "inferred",
    )


def _carries(writers: Sequence[tuple[int, Call, int, int]]) -> str:
    """Which octets of which calls."""
    words = []
    for n, call, low, high in writers:
        whole = low == 0 and high == call.result
        part = (
            f"all {high}"
            if whole and high > 1
            else "the one"
            if whole
            else f"{high - low} of the {call.result}"
        )
        words.append(f"{part} octet{'s' if not whole or high > 1 else ''} of {call.name} (call {n})")
    joined = (
        " and ".join(words)
        if len(words) < 4
        else f"{words[0]}, …, and {words[-1]}, {len(words)} calls in all"
    )
    return f"carries {joined}"


def _mismatch(draft: Draft, writers: Sequence[tuple[int, Call, int, int]]) -> int | None:
    """The first call whose recorded bytes are not those in the packet."""
    payload = payload_of(draft)
    at = 0
    for n, call, low, high in writers:
        kept = (call.data or b"")[low:high]
        seen = payload[at : at + len(kept)]
        if seen != kept[: len(seen)]:
            return n
        at += high - low
    return None


def _held_back(draft: Draft, sender: End, calls: Sequence[NumberedCall]) -> Draft | None:
    """The packet whose arrival let it go, where the call had returned before it left."""
    _, last = calls[-1]
    arrival = sender.last_arrival
    if arrival is None or last.returned_ns is None or draft.at_ns <= last.returned_ns:
        return None
    return arrival if arrival.arrival_ns >= last.entered_ns else None


# -------------------------------------------------------------------------------------------------- FIN


def _fin(connection: Connection, draft: Draft, sender: End, receiver: End) -> Cause | None:
    if "F" not in segment_of(draft).flags:
        return None
    closing = closing_call(sender, draft.at_ns)
    if sender.fin is not None:
        waited = (draft.at_ns - sender.fin.at_ns) / 1e6
        why = f"FIN again: packet {sender.fin.n} was not acknowledged for {waited:.0f} ms"
        return kernel(why, [closing] if closing else (), [sender.fin])
    if closing is not None:
        n, call = closing
        left = f": {sender.speaker} closes what the process left open" if call.name == "exit_group" else ""
        why = f"{call.name} (call {n}) ends the {sender.host}'s direction: FIN{left}"
        return Cause(kind="call", calls=(n,), reason=why, confidence="exact")
    if sender.socket is None:
        return Cause(kind="call", reason="a close or shutdown sends FIN", confidence="inferred")
    return unclosed([sender.socket], draft.at_ns, "FIN", f"{sender.speaker} closes it")


def closing_call(end: End, at_ns: int | None = None, *names: str) -> NumberedCall | None:
    """The call (of these names) that closed this end's direction (by then): the first shutdown, else the last close."""
    ended = end.socket.last_close if end.socket is not None else None
    closes = [ended] if ended else list(end.socket_calls("close"))[::-1]
    done = [
        (n, call)
        for n, call in (*end.socket_calls("shutdown"), *closes)
        if at_ns is None or call.entered_ns <= at_ns
        if call.result in (0, None) and dict(call.args).get("how") != "SHUT_RD"
    ]
    return next((found for found in done if found[1].name in (names or _CLOSERS)), None)


_CLOSERS = ("shutdown", "close", "exit_group")


# --------------------------------------------------------------------------------------- acknowledgments


def _handshake_ack(connection: Connection, draft: Draft, sender: End, receiver: End) -> Cause | None:
    if draft.ack != 1 or draft.seq != 1 or sender.last_ack is not None or receiver.syn is None:
        return None
    syn = next(iter(sender.bringers(0, 1)), receiver.syn)
    calls = [sender.connect] if sender.connect else []
    if "A" in segment_of(syn).flags:
        why = f"acknowledges SYN-ACK (packet {syn.n}), the last of three steps: the connection is established"
        return kernel(why, calls, [syn])
    if sender.syn is None or "A" in segment_of(sender.syn).flags:
        return kernel(f"acknowledges SYN (packet {syn.n})", calls, [syn])
    why = f"acknowledges SYN (packet {syn.n}), which has crossed its own: both open at once"
    return kernel(why, calls, [syn])


def _acknowledgment(connection: Connection, draft: Draft, sender: End, receiver: End) -> Cause | None:
    if draft.ack is None:
        return None
    before = sender.last_ack if sender.last_ack is not None else 1
    if draft.ack > before:
        return _acknowledges_new(draft, sender, receiver, before)
    provoking = [
        arrived
        for arrived in sender.unacknowledged
        if arrived.arrived_ns is None or arrived.arrived_ns <= draft.at_ns
    ]
    if provoking:
        provoking = provoking if sender.speaker == KERNEL else provoking[:1]  # it answers each at once
        what = "says again what it expects next" if draft.ack == before else "acknowledges less than before"
        why = f"{what}, number {draft.ack}: {packets_in_words(provoking)} came out of order or once more"
        return kernel(why, packets=provoking)
    if segment_of(draft).window != sender.last_window:
        return _window_update(draft, sender)
    probe = sender.last_arrival
    if probe is not None and probe.seq == draft.ack - 1 and not segment_of(probe).span:
        window = segment_of(draft).window
        return kernel(f"answers the probe (packet {probe.n}): the window is {window or 'still zero'}", packets=[probe])
    if sender.last_arrival is not None:
        why = f"answers packet {sender.last_arrival.n} with what it expects next, number {draft.ack}"
        return kernel(why, packets=[sender.last_arrival], confidence="inferred")
    return None


def _acknowledges_new(draft: Draft, sender: End, receiver: End, before: int) -> Cause:
    assert draft.ack is not None
    acknowledged = sender.bringers(before, draft.ack)
    fin = receiver.fin_number is not None and draft.ack > receiver.fin_number
    data_end = draft.ack - fin
    parts = [octets(before, data_end)] if data_end > before else []
    parts += ["FIN"] if fin else []
    if not acknowledged:
        return kernel(
            f"acknowledges {' and '.join(parts)}, which the capture did not see", confidence="inferred"
        )
    return kernel(
        f"acknowledges {' and '.join(parts)} ({packets_in_words(acknowledged)})", packets=acknowledged
    )


def _window_update(draft: Draft, sender: End) -> Cause:
    reads = [
        (n, call)
        for n, call in sender.socket_calls(*RECEIVERS)
        if call.entered_ns <= draft.at_ns
    ]
    window = segment_of(draft).window
    grown = sender.last_window is not None and window > sender.last_window
    if reads and grown:
        n, call = reads[-1]
        why = f"{call.name} (call {n}) made room: the window opens (window update)"
        return kernel(why, reads[-1:], confidence="inferred")
    return kernel(f"tells the changed window, {window} unscaled", confidence="inferred")


_RULES: tuple[Rule, ...] = (_reset, syn_cause, _probe, _data, _fin, _handshake_ack, _acknowledgment)
