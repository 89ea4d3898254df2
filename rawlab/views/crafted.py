"""Packets made by hand: field by field before they are sent, and afterwards what each brought about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tabulate import tabulate

from rawlab.model.craft import Crafted
from rawlab.model.facts import ArpMessage, IcmpMessage
from rawlab.model.story import Packet, Story
from rawlab.views.anatomy import field_rows
from rawlab.views.counting import count
from rawlab.views.escape import terminal
from rawlab.views.rows import words
from rawlab.views.table import labels
from rawlab.wire.checks import Check, checks
from rawlab.wire.decode import decode
from rawlab.wire.fields import fields
from rawlab.wire.packets import format_packet

MOST_SHOWN = 10
"packets that are shown field by field"

_FIELDS = "octet", "bits", "field", "value"
_CHECKS = "octets", "field", "over", "value", "verdict"


def before(packets: Sequence[Crafted], times: int = 1) -> str:
    """Each packet field by field, its checksums explained; the first MOST_SHOWN."""
    shown = [_one(packet, n, times) for n, packet in enumerate(packets[:MOST_SHOWN], 1)]
    if len(packets) > MOST_SHOWN:
        shown.append(f"… and {count(len(packets) - MOST_SHOWN, 'packet')} more")
    return "\n\n".join(shown)


def _one(packet: Crafted, n: int, times: int) -> str:
    found = checks(packet.data, packet.linktype)
    wrong = [f"wrong on the wire: {check.name} is {check.shown}; {_right(check)}" for check in found if not check.right]
    way = "by a packet socket" if packet.to is None else f"by a raw socket to {packet.to}"
    often = f", {times} times" if times > 1 else ""
    heading = (
        f"packet {n}: {terminal(format_packet(decode(packet.data, packet.linktype)))}",
        f"{len(packet.data)} octets{often}, {way} ({packet.reason})",
        *wrong,
        "",
        tabulate(list(field_rows(fields(packet.data, packet.linktype))), _FIELDS, disable_numparse=True),
    )
    if not found:
        return "\n".join(heading)
    return "\n".join((*heading, "", tabulate([_row(check) for check in found], _CHECKS, disable_numparse=True)))


def _right(check: Check) -> str:
    return check.verdict.partition(": ")[2]


def _row(check: Check) -> tuple[str, ...]:
    place = f"{check.offset}–{check.offset + check.length - 1}"
    return place, check.name, check.over, check.shown, check.verdict


def answers(story: Story) -> str:
    """A line for each packet that the client's program wrote: what came of it, and what was wrong in it."""
    children: dict[int, list[Packet]] = {}
    for packet in story.packets:
        for n in packet.cause.packets:
            if packet.n > n and _by_another(packet, story.packets[n - 1]):
                children.setdefault(n, []).append(packet)
    mine = [packet for packet in story.packets if _is_written(packet, story)]
    _add_replies(story, mine, children)
    lines = list(_outcomes(mine[:MOST_SHOWN], children, story))
    if len(mine) > MOST_SHOWN:
        answered = sum(bool(children.get(packet.n)) for packet in mine)
        lines.append(f"… of {count(len(mine), 'packet')} in all {answered} were answered")
    return "\n".join(lines)


def _by_another(packet: Packet, first: Packet) -> bool:
    """Whether somebody else sent it; by its source where the hosts are not known."""
    if packet.sender is not None and first.sender is not None:
        return packet.sender != first.sender
    sources = [None if each.facts.ip is None else each.facts.ip.source for each in (packet, first)]
    return None in sources or sources[0] != sources[1]


def _add_replies(story: Story, mine: Sequence[Packet], children: dict[int, list[Packet]]) -> None:
    """What a process at the other end sent back: the other way between the same ends, after the packet."""
    last: dict[object, Packet] = {}
    written = {packet.n for packet in mine}
    for packet in story.packets:
        if packet.n in written:
            last[_way(packet)] = packet
        elif packet.cause.kind == "call" and (asked := last.get(_way(packet, back=True))) is not None:
            children.setdefault(asked.n, []).append(packet)


def _way(packet: Packet, *, back: bool = False) -> object:
    """From whom to whom, with the ports where it has some; the other way round if it is to be answered to."""
    if (flow := packet.facts.flow) is not None:
        ends: tuple[object, object] = (flow.source, flow.destination)
        protocol: object = flow.protocol
    elif (ip := packet.facts.ip) is not None:
        ends, protocol = (ip.source, ip.destination), ip.protocol
    else:
        return None if back else packet.n
    return protocol, *(reversed(ends) if back else ends)


def _is_written(packet: Packet, story: Story) -> bool:
    """Whether the program wrote it, header and all."""
    if packet.cause.kind != "call" or len(packet.cause.calls) != 1:
        return False
    call = story.calls[packet.cause.calls[0] - 1].call
    return call.host == "client" and packet.sender in (None, "client") and call.name in ("send", "sendto")


def _outcomes(packets: Sequence[Packet], children: dict[int, list[Packet]], story: Story) -> Iterator[str]:
    for packet in packets:
        linktype = story.timeline.points[0].linktype
        wrong = "; ".join(f"{check.name} {check.verdict}" for check in checks(packet.data, linktype) if not check.right)
        came = children.get(packet.n, [])
        told = _told(came, children) if came else _silence(packet, story)
        yield f"p{packet.n} {terminal(words(packet))}: {told}{f' ({wrong})' if wrong else ''}"


def _silence(packet: Packet, story: Story) -> str:
    """No answer came: where another host asked in vain who has the packet's source address, none could leave."""
    source = packet.facts.ip.source if packet.facts.ip is not None else None
    asked = []
    for later in story.packets[packet.n :]:
        match later.facts.transport:
            case ArpMessage(operation=1, target=target) | IcmpMessage(version=6, type=135, target=target) if (
                target == source and _by_another(later, packet)
            ):
                asked.append(later)
            case ArpMessage(operation=2, sender=told) | IcmpMessage(version=6, type=136, target=told) if told == source:
                asked.clear()
    if not asked:
        return "no answer came"
    asks = "ARP" if isinstance(asked[0].facts.transport, ArpMessage) else "neighbour discovery"
    return f"no answer came, nor could one: nobody answers {asks} for {source} ({labels([each.n for each in asked])})"


def _told(came: Sequence[Packet], children: dict[int, list[Packet]]) -> str:
    """'answered by p2 [S.] seq 0, …; p2 by p3 [R] …'."""
    parts = [f"answered by {_listed(came)}"]
    parts += [f"{labels([packet.n])} by {_listed(after)}" for packet in came if (after := children.get(packet.n))]
    return "; ".join(parts)


def _listed(packets: Sequence[Packet]) -> str:
    shown = [f"p{packet.n} {terminal(words(packet))}" for packet in packets[:3]]
    more = [f"{len(packets) - 3} more"] if len(packets) > 3 else []
    return ", ".join([*shown, *more])
