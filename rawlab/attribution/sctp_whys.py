"""One sentence for each call on an SCTP socket: what it did, or why it did nothing on the wire."""

from __future__ import annotations

from collections.abc import Callable

from rawlab.attribution.association import chunk_of
from rawlab.attribution.calls import Links
from rawlab.attribution.sctp_endings import closing_call
from rawlab.attribution.sctp_messages import is_notification
from rawlab.attribution.sockets import RECEIVERS, SENDERS
from rawlab.attribution.words import packets_in_words, waited
from rawlab.model import sctp as chunks
from rawlab.model.event import Call
from rawlab.model.states import SctpState

_FAILURES = {
    "EMSGSIZE": "a message longer than the send buffer can hold",
    "EPIPE": "the association is over",
    "ESHUTDOWN": "the association is being shut down, and takes no message any more",
    "ENOTCONN": "there is no association",
    "EINVAL": "an argument that SCTP does not take: no such stream, or a message without an octet",
}


def why(call: Call, mine: Links) -> str | None:
    """The sentence, for a call that is about an association; None where a stream's words say it as well."""
    if call.errno is not None:
        return _failed(call, mine)
    name = "send" if call.name in SENDERS else "receive" if call.name in RECEIVERS else call.name
    tell = _WORDS.get(name)
    return tell(call, mine) if tell else None


def _failed(call: Call, mine: Links) -> str | None:
    if not mine.sent and not mine.waited_for and call.errno in _FAILURES:
        return f"{_FAILURES[call.errno]}: nothing is sent"
    if mine.sent and call.errno == "ETIMEDOUT":
        return f"sends {packets_in_words(mine.sent)} (INIT); nobody answered, and it gave up (Max.Init.Retransmits)"
    if mine.sent or not mine.waited_for:
        return None
    return f"reports the ABORT that {packets_in_words(mine.waited_for)} brought: nothing is sent"


def _listen(call: Call, mine: Links) -> str:
    if mine.one_to_many:
        return "from now on who sends INIT gets an association on this descriptor, without accept: nothing is sent"
    backlog = dict(call.args).get("backlog")
    queue = f"; up to {backlog + 1} wait for accept" if isinstance(backlog, int) else ""
    return f"from now on who sends INIT gets an association, without the program's help{queue}: nothing is sent"


def _connect(call: Call, mine: Links) -> str | None:
    if not mine.sent:
        return None
    waits = f", {waited(call, mine.waited_for)} (INIT ACK, COOKIE ACK)" if mine.waited_for else ""
    return f"sends {packets_in_words(mine.sent)} (INIT){waits}"


def _accept(call: Call, mine: Links) -> str | None:
    if not mine.waited_for:
        return None
    last_step = waited(call, mine.waited_for)
    return f"takes an association off the queue; its set-up's third step, COOKIE ECHO: {last_step}; nothing is sent"


def _send(call: Call, mine: Links) -> str:
    if not mine.sent:
        return "the message was taken; it had not left before the capture's end" if call.result else "nothing is sent"
    opens = any(chunk_of(draft, chunks.INIT) for draft in mine.sent)
    data = [draft for draft in mine.sent if draft.seq is not None]
    if opens and data:
        return f"sets an association up ({packets_in_words(mine.sent[:1])}, INIT), then sends {packets_in_words(data)}"
    return f"sends {packets_in_words(mine.sent)}"


def _receive(call: Call, mine: Links) -> str | None:
    if is_notification(call):
        told = f", of what {packets_in_words(mine.waited_for)} brought" if mine.waited_for else ""
        return f"takes a notification{told}: nothing is sent"
    if not mine.waited_for:
        return None
    if not call.result:
        return f"the peer ends the association, and no message will come any more: {waited(call, mine.waited_for)}"
    receipt = mine.receipt
    if receipt is None:
        return None
    brought = packets_in_words(receipt.brought)
    part = ""
    if (call.result or 0) < receipt.message.size:
        part = f"{call.result} of the {receipt.message.size} octets of "
    if receipt.held_by is not None:
        late = f"an earlier message of stream {receipt.message.stream} came only with packet {receipt.held_by.n}"
        return f"takes {part}the message that {brought} brought; {late}"
    return f"takes {part}the message that {brought} brought; {waited(call, receipt.brought)}"


def _close(call: Call, mine: Links) -> str | None:
    if mine.sent:
        aborts = any(chunk_of(draft, chunks.ABORT) for draft in mine.sent)
        return f"sends {packets_in_words(mine.sent)} ({'ABORT' if aborts else 'SHUTDOWN'})"
    if mine.sctp_end is None or call.name == "exit_group":
        return None
    if not any(state is SctpState.ESTABLISHED for _, _, state in mine.sctp_end.lane.transitions()):
        return "gives the descriptor back; no association was set up: nothing is sent"
    if mine.sctp_end.aborted:
        return "gives the descriptor back; the association was aborted before: nothing is sent"
    closing = closing_call(mine.sctp_end)
    ended = mine.sctp_end.last_arrivals.get(chunks.SHUTDOWN)
    if ended is not None and ended.arrival_ns <= (call.returned_ns or call.entered_ns):
        if mine.one_to_many:
            return "gives the descriptor back; the peers had ended its associations: nothing is sent"
        return f"gives the descriptor back; the peer had ended the association (packet {ended.n}): nothing is sent"
    if closing is not None and closing[1] is not call:
        return f"gives the descriptor back; {closing[1].name} (call {closing[0]}) had ended it: nothing is sent"
    return "gives the descriptor back: nothing is sent"


def _set_option(call: Call, mine: Links) -> str | None:
    if mine.sent:
        return f"asks for {packets_in_words(mine.sent)} (HEARTBEAT) at once"
    if dict(call.args).get("optname") == "SCTP_SOCKOPT_BINDX_ADD":
        return "gives the socket these addresses (sctp_bindx): nothing is sent"
    return None


_WORDS: dict[str, Callable[[Call, Links], str | None]] = {
    "listen": _listen,
    "connect": _connect,
    "accept": _accept,
    "send": _send,
    "receive": _receive,
    "close": _close,
    "shutdown": _close,
    "setsockopt": _set_option,
}
