"""Which call sent each user message of an association, and which call took it.

SCTP keeps boundaries: one send is one message, in one or more DATA chunks with consecutive TSNs. A message is tied to
the first send of its stream (ordered and unordered ones apart) whose length and octets it has. A receive is tied to
the message whose octets it returned; an ordered message is given out only when all earlier ones of its stream are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rawlab.attribution.association import Association, Message, SctpEnd, data_chunks
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sockets import RECEIVERS, SENDERS, NumberedCall
from rawlab.model.address import Endpoint
from rawlab.model.event import Call
from rawlab.model.sctp import SctpData

_Key = tuple[int, bool]
"(stream, whether unordered)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a receiving call took: a message, or a part of it."""

    message: Message
    brought: list[Draft]
    "the packets that first brought its fragments"
    held_by: Draft | None = None
    "the later packet that an earlier message of its stream came with"


def ancillary(call: Call) -> dict[str, str]:
    """The members of the SCTP_SNDRCV that it was given or gave: {'sinfo_stream': '1'}; those left out are 0."""
    control = dict(call.args).get("msg_control")
    words = [str(word) for word in control[1:]] if isinstance(control, tuple) else []
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def is_notification(call: Call) -> bool:
    """Whether a recvmsg returned a notification instead of a message."""
    return "MSG_NOTIFICATION" in str(dict(call.args).get("msg_flags", ""))


# ------------------------------------------------------------------------------------------------ sends


def tie_sends(associations: Sequence[Association]) -> None:
    """Gives each end its messages, and each message the call that sent it."""
    used: set[int] = set()
    for association in associations:
        for end, chunks in _fragments(association):
            end.messages = list(_messages(chunks))
            end.message_of = {tsn: message for message in end.messages for tsn in message.tsns}
        for end, other in (association.ends, association.ends[::-1]):
            _tie(end, other, used)


_Fragment = tuple[SctpData, Draft]


def _fragments(association: Association) -> list[tuple[SctpEnd, dict[int, _Fragment]]]:
    """For each end the first chunk seen with each relative TSN."""
    found: list[tuple[SctpEnd, dict[int, _Fragment]]] = [(end, {}) for end in association.ends]
    last = [0, 0]
    for draft in association.drafts:
        side = 0 if draft.forward else 1
        end, mine = found[side]
        for chunk in data_chunks(draft):
            tsn = end.relative(chunk.tsn, last[side])
            last[side] = max(last[side], tsn)
            mine.setdefault(tsn, (chunk, draft))
    return found


def _messages(fragments: dict[int, _Fragment]) -> Iterator[Message]:
    message: Message | None = None
    for tsn, (chunk, draft) in sorted(fragments.items()):
        if message is None or message.whole or chunk.begins or tsn != message.tsns.stop:
            if message is not None:
                yield message
            message = Message(first=tsn, stream=chunk.stream, unordered=chunk.unordered)
        message.offsets.append(message.size + chunk.size)
        first, end = chunk.data
        message.data += memoryview(draft.data)[first:end]
        message.whole = chunk.ends
    if message is not None:
        yield message


def _tie(end: SctpEnd, other: SctpEnd, used: set[int]) -> None:
    waiting: dict[_Key, list[NumberedCall]] = defaultdict(list)
    peers = _peers(end)
    for n, call in end.calls(*SENDERS):
        if n not in used and call.errno is None and _may_go_to(call, other, peers):
            waiting[_key(call)].append((n, call))
    for message in end.messages:
        candidates = waiting[message.stream, message.unordered]
        index = next((i for i, (_, call) in enumerate(candidates) if _is_of(message, call)), None)
        if index is not None:
            message.call = candidates.pop(index)
            used.add(message.call[0])


def _key(call: Call) -> _Key:
    told = ancillary(call)
    return int(told.get("sinfo_stream", "0")), "SCTP_UNORDERED" in told.get("sinfo_flags", "")


def _is_of(message: Message, call: Call) -> bool:
    """Whether the message is what the call sent: the same octets, as far as both were recorded, and as many."""
    data = call.data or b""
    given = call.result if call.result is not None else _given(call)
    common = min(len(data), len(message.data))
    same = message.data[:common] == data[:common]
    return same and (message.size == given if message.whole else message.size <= given)


def _given(call: Call) -> int:
    """Octets that a send was given, that had not returned when the capture ended."""
    arguments = dict(call.args)
    size = arguments.get("count", arguments.get("len"))
    return size if isinstance(size, int) else len(call.data or b"")


def _peers(end: SctpEnd) -> dict[str, Endpoint]:
    """Of a one-to-many socket: whom each assoc_id stands for, as messages from there have told."""
    peers: dict[str, Endpoint] = {}
    for _, call in end.calls("recvmsg"):
        peer, id = dict(call.args).get("msg_name"), ancillary(call).get("sinfo_assoc_id")
        if isinstance(peer, Endpoint) and id:
            peers[id] = peer
    return peers


def _may_go_to(call: Call, other: SctpEnd, peers: dict[str, Endpoint]) -> bool:
    """Whether what it sends goes to this peer, as far as it says so."""
    arguments = dict(call.args)
    named = arguments.get("dest_addr", arguments.get("msg_name"))
    target = named if isinstance(named, Endpoint) else peers.get(ancillary(call).get("sinfo_assoc_id", "0"))
    return target is None or (target.address in other.addresses and target.port == other.port)


# --------------------------------------------------------------------------------------------- receives


def receipts(end: SctpEnd, other: SctpEnd) -> dict[int, Receipt]:
    """For each of the end's receiving calls the message of the other end's that it took."""
    waiting = sorted(_delivered(end, other), key=lambda found: found[0])
    found: dict[int, Receipt] = {}
    taken: dict[int, int] = defaultdict(int)  # octets of each message, by its first TSN
    for n, call in end.calls(*RECEIVERS):
        if call.errno is not None or not call.result or call.returned_ns is None or is_notification(call):
            continue
        for index, (at_ns, receipt) in enumerate(waiting):
            if at_ns <= call.returned_ns and _is_taken_by(receipt.message, taken[receipt.message.first], call, other):
                found[n] = receipt
                if "MSG_PEEK" not in str(dict(call.args).get("flags")):
                    taken[receipt.message.first] += call.result
                if taken[receipt.message.first] >= receipt.message.size:
                    del waiting[index]
                break
    return found


def _delivered(end: SctpEnd, other: SctpEnd) -> Iterator[tuple[int, Receipt]]:
    """(when the program could have it, what) of each whole message that arrived."""
    last: dict[int, Draft] = {}  # of each stream: what the latest ordered message had to wait for
    for message in other.messages:
        if not message.whole or any(tsn not in end.brought for tsn in message.tsns):
            continue
        brought = _in_order(end.bringers(message))
        done = max(brought, key=lambda draft: draft.arrival_ns)
        held_by = None
        if not message.unordered:
            earlier = last.get(message.stream)
            if earlier is not None and earlier.arrival_ns > done.arrival_ns:
                held_by = done = earlier
            last[message.stream] = done
        yield done.arrival_ns, Receipt(message=message, brought=brought, held_by=held_by)


def _in_order(drafts: Iterable[Draft]) -> list[Draft]:
    return list({draft.n: draft for draft in drafts}.values())


def _is_taken_by(message: Message, taken: int, call: Call, other: SctpEnd) -> bool:
    arguments = dict(call.args)
    source = arguments.get("src_addr", arguments.get("msg_name"))
    if isinstance(source, Endpoint) and (source.port != other.port or source.address not in other.addresses):
        return False
    told = ancillary(call)
    if told and int(told.get("sinfo_stream", "0")) != message.stream:
        return False
    data = call.data or b""
    seen = message.data[taken : taken + len(data)]
    return seen == data[: len(seen)] and (call.result or 0) <= message.size - taken
