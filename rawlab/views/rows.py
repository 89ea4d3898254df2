"""A story as the rows of a table: calls and packets in order of time, both hosts side by side.

A call during which nothing else happened is one row. Any other is two, at its entry and at its return, as strace
writes it: `connect(3, 10.0.0.2:7 <unfinished ...>`, then `<... connect resumed>) = 0`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from rawlab.model.facts import TcpSegment
from rawlab.model.sctp import SctpData, SctpPacket, SctpSack, SctpShutdown
from rawlab.model.serial import Serial
from rawlab.model.story import CallStory, Packet, Story
from rawlab.wire.packets import brief, format_packet
from rawlab.wire.strace import format_call, format_entry, format_resumed

STRSIZE = 32  # octets of a string that a table shows, as strace does


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: a packet, or a call, its entry or its return."""

    label: str
    "'c5' for call 5, 'p7' for packet 7, 'r9' for a call of our own endpoint's"
    at_ns: int
    host: str | None
    "the caller's or the sender's"
    text: str
    why: str
    states: tuple[tuple[str, str], ...]
    "each host's state; one that this row says nothing of keeps its last, or has the one that followed it"
    packet: Packet | None = None
    call: CallStory | None = None
    last: bool = True
    "False: a call's entry, which its return follows in a row of its own"

    @property
    def notes(self) -> tuple[str, ...]:
        """The lecturer's; of a call at its last row."""
        told = self.packet if self.packet is not None else self.call.call if self.call is not None else None
        return told.notes if told is not None and self.last else ()


def rows(story: Story, *, endpoint_calls: bool = False) -> Iterator[Row]:
    """The story's rows, in order of time; those of our endpoint's own calls only if asked for."""
    last: dict[str, str] = {}
    moments = _moments(story, story.endpoint_calls if endpoint_calls else ())
    ended = deque(_ended(story))
    foreign = is_foreign(story)
    traced = story.timeline.run.traced and _has_several(story)
    several = foreign and (not story.heads or _has_several(story))
    skip = False
    for index, (at_ns, kind, event) in enumerate(moments):
        if skip:
            skip = False
            continue
        alone = kind == 0 and index + 1 < len(moments) and moments[index + 1][2] is event
        while ended and ended[0][0] <= moments[index + alone][0]:
            _, host, before, state = ended.popleft()
            if last.get(host) == before:
                last[host] = state
        if isinstance(event, Packet) and foreign:
            by_address = several or event.sender is None or event.receiver is None
            yield _packet_row(event, at_ns, _states(event, story), story, by_address=by_address)
            continue
        if isinstance(event, Packet):
            last |= {host: state for host, state in event.states if state}
            yield _packet_row(event, at_ns, tuple(last.items()), story, by_address=traced)
            continue
        ends = event.call.name == "exit_group"
        states = event.states if kind == 0 and not alone else event.states_after
        last |= {host: state for host, state in states if state}
        yield _call_row(
            event, at_ns, "whole" if alone or ends else "entry" if kind == 0 else "return", tuple(last.items())
        )
        skip = alone


def _ended(story: Story) -> list[tuple[int, str, str, str]]:
    """(time, host, state, the one that followed it) of each state that a packet or a call ended."""
    found: list[tuple[int, str, str, str]] = []
    lanes: dict[tuple[str, int], str] = {}
    for one in story.transitions:
        lane = one.host, one.packet
        if lane in lanes:
            found.append((one.at_ns, one.host, lanes[lane], one.state))
        lanes[lane] = one.state
    return sorted(found, key=lambda moment: moment[0])


def _moments(story: Story, more: Sequence[CallStory]) -> list[tuple[int, int, CallStory | Packet]]:
    """(time, 0 entry, 1 packet or 2 return, what)."""
    moments: list[tuple[int, int, CallStory | Packet]] = []
    for told in (*story.calls, *more):
        moments.append((told.call.entered_ns, 0, told))
        if told.call.returned_ns is not None:
            moments.append((told.call.returned_ns, 2, told))
    moments += [(packet.at_ns, 1, packet) for packet in story.packets]
    return sorted(moments, key=lambda moment: (moment[0], moment[1], moment[2].n))


def _call_row(told: CallStory, at_ns: int, part: str, states: tuple[tuple[str, str], ...]) -> Row:
    call = told.call
    texts = {"whole": format_call, "entry": format_entry, "return": format_resumed}
    unreturned = "had not returned when the capture ended"
    return Row(
        label=told.label,
        at_ns=at_ns,
        host=call.host,
        text=texts[part](call, STRSIZE),
        why=told.why if part != "entry" else unreturned if call.returned_ns is None else "",
        states=states,
        call=told,
        last=part != "entry" or call.returned_ns is None,
    )


def _packet_row(
    packet: Packet, at_ns: int, states: tuple[tuple[str, str], ...], story: Story, *, by_address: bool = False
) -> Row:
    confidence = packet.cause.confidence
    text = addressed(packet, story) if by_address else text_of(packet, story)
    text += marks(packet) if is_foreign(story) else ""
    return Row(
        label=f"p{packet.n}",
        at_ns=at_ns,
        host=packet.sender,
        text=text + (" — lost" if packet.lost else ""),
        why=packet.cause.reason + ("" if confidence == "exact" else f" ({confidence})"),
        states=states,
        packet=packet,
    )


def marks(packet: Packet) -> str:
    """' [retransmission, window full]', or ''."""
    return f" [{', '.join(packet.marks)}]" if packet.marks else ""


def bases(packet: Packet) -> tuple[Serial | None, Serial | None]:
    """The numbers that the packet's relative sequence and acknowledgment numbers count from."""
    transport = packet.facts.transport
    if isinstance(transport, SctpPacket):
        data = next((chunk.tsn for chunk in transport.chunks if isinstance(chunk, SctpData)), None)
        acks = (chunk.cumulative_tsn for chunk in transport.chunks if isinstance(chunk, SctpSack | SctpShutdown))
        sack = next(acks, None)
        return (
            None if data is None or packet.seq is None else data - packet.seq,
            None if sack is None or packet.ack is None else sack - packet.ack,
        )
    if not isinstance(transport, TcpSegment) or packet.seq is None:
        return None, None
    return transport.seq - packet.seq, None if packet.ack is None else transport.ack - packet.ack


def words(packet: Packet, *, addresses: bool = False) -> str:
    """The packet in tcpdump's notation, numbers relative."""
    seq_base, ack_base = bases(packet)
    return (format_packet if addresses else brief)(packet.facts, seq_base=seq_base, ack_base=ack_base)


def text_of(packet: Packet, story: Story) -> str:
    """The packet in few words; its TTL, where there is a router; where it goes, if not to a host's first addresses."""
    ip = packet.facts.ip
    if ip is not None and len(story.timeline.hosts) > 2:
        return f"{words(packet)}, {'ttl' if ip.version == 4 else 'hlim'} {ip.ttl}"
    others = (host.addresses[2:] for host in story.timeline.hosts)
    if ip is None or len(story.timeline.points) <= len(story.timeline.hosts) or ip.destination not in chain(*others):
        return words(packet)
    return f"{words(packet)}, to {ip.destination}"


def hosts(story: Story) -> Sequence[str]:
    """The hosts' names, in the table's order; of captures by others, whose states are told."""
    named = [host.name for host in story.timeline.hosts]
    return named or (list(story.heads or SENDER_AND_RECEIVER) if is_foreign(story) else ["client", "server"])


SENDER_AND_RECEIVER = ("sender", "receiver")


def is_foreign(story: Story) -> bool:
    """Whether nobody recorded who the hosts are and what they called: anyone's capture."""
    return not story.timeline.hosts and not story.calls


def addressed(packet: Packet, story: Story) -> str:
    """From whom to whom, and the words that the table has for it: with the TTL where a router is."""
    ip, flow = packet.facts.ip, packet.facts.flow
    if ip is None:
        return words(packet)
    told = text_of(packet, story) if len(story.timeline.hosts) > 2 else words(packet)
    ends = (ip.source, ip.destination)
    if flow is not None:
        ends = (f"{ip.source}.{flow.source.port}", f"{ip.destination}.{flow.destination.port}")
    return f"{ends[0]} > {ends[1]}: {told}"


def _states(packet: Packet, story: Story) -> tuple[tuple[str, str], ...]:
    """What the packet itself tells: of captures by others no more is known at its row."""
    told = {host: state for host, state in packet.states if state}
    if story.heads:
        return tuple(told.items())
    ends = zip(SENDER_AND_RECEIVER, (packet.sender, packet.receiver), strict=True)
    return tuple((role, told[name]) for role, name in ends if name in told)


def _has_several(story: Story) -> bool:
    """Whether a packet's direction does not tell whose it is: several conversations."""
    flows = (packet.facts.flow for packet in story.packets)
    found = {flow.conversation for flow in flows if flow is not None}
    return len(found) > 1
