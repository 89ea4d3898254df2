"""The story as JSON: one contract for scripts, graders and tests. Fields may be added; none changes its meaning.

Times are integer nanoseconds since the epoch; `n` counts from 1; what is absent is null, never missing.

    rawlab, lab, kernel, stack   the version that recorded it, what was run, on which kernel, whose SCTP
    hosts, losses                names, addresses, own_tcp: those of the addresses at which rawlab's TCP speaks, not the
                                 kernel's; of each point of observation, frames captured and dropped
    complete, damaged_at         whether the file ends in order; the octet at which it ceases to be whole
    calls, endpoint_calls        n host pid fd call args result errno · entered_ns returned_ns · text (strace's words)
                                 local peer state_after states states_after · sent, waited_for: packets' n
                                 why inferred
    packets                      n sent_ns arrived_ns lost from to source destination protocol flags chunks · seq, ack:
                                 relative, seq_absolute, ack_absolute: as on the wire · length window · text (tcpdump's)
                                 cause: kind (call, kernel, unknown), calls and packets (n), reason, confidence,
                                 bytes [call, first, last + 1]
                                 states · frames: the records' numbers, as Wireshark counts · marks: of TCP without
                                 recorded calls, in the words of model.analysis
    vantage, remarks             of captures by others: where it was made (place, address, reason, confidence), and
                                 what is to be said of the whole
    notes                        on a call or packet: the lecturer's, a list
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from rawlab.model.event import Value
from rawlab.model.facts import ArpMessage, TcpSegment
from rawlab.model.sctp import SctpPacket
from rawlab.model.story import CallStory, Packet, Story
from rawlab.views.rows import STRSIZE, hosts, is_foreign, words
from rawlab.wire import symbols
from rawlab.wire.strace import format_call


def render(story: Story, *, shown: Collection[str] | None = None) -> str:
    """The whole story in ASCII: one JSON object, each call and each packet on a line of its own.

    `shown`: only the calls and packets of these rows ('c5', 'p7').
    """
    told = value(story)
    if shown is not None:
        for key, letter in (("calls", "c"), ("packets", "p"), ("endpoint_calls", "r")):
            told[key] = [one for one in told[key] if f"{letter}{one['n']}" in shown]
    parts = [f"{json.dumps(key)}: {_lines(part)}" for key, part in told.items()]
    return "{" + ",\n".join(parts) + "}"


def _lines(part: Any) -> str:
    if not isinstance(part, list):
        return json.dumps(part)
    return "[" + ",".join("\n " + json.dumps(item) for item in part) + "]"


def value(story: Story) -> dict[str, Any]:
    """The whole story, as JSON's values."""
    timeline = story.timeline
    return {
        "rawlab": timeline.run.rawlab,
        "lab": timeline.run.lab,
        "kernel": timeline.run.kernel,
        "stack": timeline.run.stack,
        "hosts": [
            {"name": host.name, "addresses": list(host.addresses), "own_tcp": list(host.own_tcp)}
            for host in timeline.hosts
        ],
        "losses": [
            {"host": point.host or point.name, "captured": point.captured, "dropped": point.dropped}
            for point in timeline.points
        ],
        "complete": timeline.complete,
        "damaged_at": timeline.damaged_at,
        "vantage": None if story.vantage is None else asdict(story.vantage),
        "remarks": list(story.remarks),
        "calls": [_call(told) for told in story.calls],
        "packets": [packet_value(packet, story) for packet in story.packets],
        "endpoint_calls": [_call(told) for told in story.endpoint_calls],
    }


def _call(told: CallStory) -> dict[str, Any]:
    call = told.call
    return {
        "n": told.n,
        "host": call.host,
        "pid": call.pid,
        "fd": call.fd,
        "call": call.name,
        "args": {name: _value(argument) for name, argument in call.args},
        "result": call.result,
        "errno": call.errno,
        "entered_ns": call.entered_ns,
        "returned_ns": call.returned_ns,
        "text": format_call(call, STRSIZE),
        "local": None if call.local is None else str(call.local),
        "peer": None if call.peer is None else str(call.peer),
        "state_after": call.state,
        "states": dict(told.states),
        "states_after": dict(told.states_after),
        "sent": list(told.sent),
        "waited_for": list(told.waited_for),
        "why": told.why,
        "inferred": told.inferred,
        "notes": list(call.notes),
    }


def _value(argument: Value) -> Any:
    """Bytes as text of one character an octet (Latin-1), addresses as 'address:port'."""
    match argument:
        case bytes():
            return argument.decode("latin-1")
        case tuple():
            return [_value(item) for item in argument]
        case None | int() | str():
            return argument
        case _:
            return str(argument)


def packet_value(packet: Packet, story: Story) -> dict[str, Any]:
    """One packet, as JSON's values."""
    transport, cause = packet.facts.transport, packet.cause
    segment = transport if isinstance(transport, TcpSegment) else None
    source, destination = _ends(packet)
    states = dict(packet.states)
    return {
        "n": packet.n,
        "sent_ns": packet.sent_ns,
        "arrived_ns": packet.arrived_ns,
        "lost": packet.lost,
        "from": packet.sender,
        "to": packet.receiver,
        "source": source,
        "destination": destination,
        "protocol": _protocol(packet),
        "flags": symbols.tcp_flags(segment.flags) if segment else None,
        "chunks": _chunks(packet),
        "seq": packet.seq if segment else None,
        "ack": packet.ack if segment else None,
        "length": getattr(transport, "length", None),
        "seq_absolute": segment.seq.value if segment else None,
        "ack_absolute": segment.ack.value if segment and "A" in segment.flags else None,
        "window": segment.window if segment else None,
        "text": words(packet, addresses=True),
        "cause": {
            "kind": cause.kind,
            "calls": list(cause.calls),
            "packets": list(cause.packets),
            "bytes": [list(part) for part in cause.bytes],
            "reason": cause.reason,
            "confidence": cause.confidence,
        },
        "states": {host: states.get(host) for host in (hosts(story) if _has_heads(story) else states)},
        "frames": list(packet.frames),
        "marks": list(packet.marks),
        "notes": list(packet.notes),
    }


def _has_heads(story: Story) -> bool:
    """Whether all packets tell of the same two hosts' states."""
    return bool(story.heads) or not is_foreign(story)


def _ends(packet: Packet) -> tuple[str | None, str | None]:
    facts = packet.facts
    if (flow := facts.flow) is not None:
        return str(flow.source), str(flow.destination)
    if facts.ip is not None:
        return facts.ip.source, facts.ip.destination
    if isinstance(facts.transport, ArpMessage):
        return facts.transport.sender, facts.transport.target
    return facts.source_mac, facts.destination_mac


def _chunks(packet: Packet) -> list[str] | None:
    """The names of an SCTP packet's chunks, as the RFCs spell them."""
    transport = packet.facts.transport
    return [symbols.sctp_chunk(chunk.type) for chunk in transport.chunks] if isinstance(transport, SctpPacket) else None


def _protocol(packet: Packet) -> str | None:
    facts = packet.facts
    if isinstance(facts.transport, ArpMessage):
        return "arp"
    if facts.ip is not None:
        return symbols.protocol(facts.ip.protocol)
    return None if facts.ethertype is None else symbols.ethertype(facts.ethertype)
