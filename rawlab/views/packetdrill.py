"""The run as a packetdrill script: one host's calls, and its packets as that host sent and received them.

packetdrill (google/packetdrill) plays the other host: run on a kernel, the script checks that it answers as this one
did. A script is about one connection, one process and one call at a time; the rest of the run stands in it as
comments, each with what kept it out. Times are seconds since the script's first event. A call that waited for a packet
is written with the moment of its return (`0.1...0.2 read(…)`), any other as one that returned at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rawlab.errors import UsageError
from rawlab.model.address import Endpoint
from rawlab.model.facts import IcmpMessage, TcpSegment, UdpDatagram
from rawlab.model.story import CallStory, Packet, Story
from rawlab.views.escape import terminal
from rawlab.views.packetdrill_words import Unspeakable, call_words, is_ipv6, packet_words
from rawlab.views.rows import STRSIZE, hosts, words
from rawlab.wire.strace import format_call


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """A line of the script, or of its comments."""

    at_ns: int
    until_ns: int | None
    "of a call that waits: when it returned"
    text: str | None
    "None: packetdrill has no words for it"
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conversation:
    """The one that the script is about."""

    local: Endpoint
    remote: Endpoint
    packets: frozenset[int]


def render(story: Story, *, side: str = "client", shown: Collection[str] | None = None) -> str:
    """The script with `side` as the host under test. Raises UsageError where there is nothing that it can tell."""
    names = list(hosts(story))
    host = side if side in names else names[0 if side == "client" else -1]
    talk = _conversation(story, host, names, shown)
    events = sorted(_events(story, host, talk, shown), key=lambda event: event.at_ns)
    if talk is None or not any(event.text for event in events):
        raise UsageError(".pkt: packetdrill tells of TCP and UDP sockets only; there is none in it")
    return "\n".join((*_head(story, host, talk), *_lines(events))) + "\n"


def _head(story: Story, host: str, talk: _Conversation) -> Iterator[str]:
    run = story.timeline.run
    named = any(each.name == host for each in story.timeline.hosts)
    who = f"host {host}" if named else f"{host} (inferred: who spoke first is the client)"
    title = f"{run.lab or 'A capture'}, as the {who} saw it; the kernel under test is that host's."
    yield f"// {_remark(title)}"
    yield f"// {talk.local} is the local end, {talk.remote} packetdrill's. Lines in comments could not be told."
    if run.kernel:
        yield f"// {_remark(f'Recorded on Linux {run.kernel}: other kernels choose other windows and options.')}"
    if is_ipv6(talk.local.address):
        yield "--ip_version=ipv6"
    yield ""


def _remark(text: str) -> str:
    return terminal(text).replace("\n", "\\n").replace("\t", " ")


# ---- what it is about


def _conversation(story: Story, host: str, names: list[str], shown: Collection[str] | None) -> _Conversation | None:
    """The first TCP or UDP conversation of that host, among what is shown."""
    wanted = [packet for packet in story.packets if shown is None or f"p{packet.n}" in shown]
    for packet in wanted:
        flow = packet.facts.flow
        if flow is None or not isinstance(packet.facts.transport, TcpSegment | UdpDatagram):
            continue
        if packet.sender is None and packet.receiver is None:  # whoever speaks first is the client
            leaves = host == names[0]
        elif host not in (packet.sender, packet.receiver):
            continue
        else:
            leaves = packet.sender == host if packet.sender is not None else packet.receiver != host
        ends = (flow.source, flow.destination) if leaves else (flow.destination, flow.source)
        mine = {one.n for one in wanted if (other := one.facts.flow) and {other.source, other.destination} == {*ends}}
        mine |= {one.n for one in wanted if _quotes(one, ends)}
        return _Conversation(local=ends[0], remote=ends[1], packets=frozenset(mine))
    return None


def _quotes(packet: Packet, ends: tuple[Endpoint, Endpoint]) -> bool:
    """Whether it is an ICMP error about the conversation."""
    transport = packet.facts.transport
    if not isinstance(transport, IcmpMessage) or transport.quoted is None:
        return False
    quoted = transport.quoted
    source = Endpoint(quoted.ip.source, quoted.source_port or 0)
    target = Endpoint(quoted.ip.destination, quoted.destination_port or 0)
    return {source, target} == {*ends}


# ---- its events


def _events(
    story: Story, host: str, talk: _Conversation | None, shown: Collection[str] | None
) -> Iterator[_Event]:
    if talk is None:
        return
    for packet in story.packets:
        if shown is None or f"p{packet.n}" in shown:
            yield _packet(packet, host, talk)
    yield from _calls([told for told in story.calls if told.call.host == host], talk, shown, story.packets)


def _packet(packet: Packet, host: str, talk: _Conversation) -> _Event:
    source = packet.facts.ip.source if packet.facts.ip else None
    known = packet.sender is not None or packet.receiver is not None
    outwards = packet.sender == host if packet.sender is not None else packet.receiver != host
    if not known:
        outwards = source == talk.local.address
    at_ns = packet.sent_ns if outwards else packet.arrived_ns
    remark = f"p{packet.n}"
    text = None
    fragment = packet.facts.ip is not None and packet.facts.ip.is_fragment
    if packet.n not in talk.packets and not fragment:
        why = "another conversation's" if packet.facts.flow else "no part of the conversation"
    elif not outwards and packet.lost:
        why = "it never arrived"
    else:
        try:
            text, why = f"{'>' if outwards else '<'} {packet_words(packet)}", ""
        except Unspeakable as found:
            why = f"packetdrill has no word for {_remark(str(found))}"
    if text is None:
        remark += f": {_remark(words(packet))}: {why}"
    elif packet.lost:
        remark += ", lost on the way"
    return _Event(at_ns=packet.at_ns if at_ns is None else at_ns, until_ns=None, text=text, remark=remark)


def _calls(
    calls: list[CallStory], talk: _Conversation, shown: Collection[str] | None, packets: Sequence[Packet]
) -> Iterator[_Event]:
    """One process's, one after the other."""
    pid, busy_ns = calls[0].call.pid if calls else 0, 0
    foreign = _foreign_sockets(calls, talk)
    for told in calls:
        call = told.call
        if shown is not None and told.label not in shown:
            continue
        text, why = None, ""
        if _is_foreign(told, talk) or not foreign.isdisjoint((call.socket, call.new_socket)):
            why = "on another socket"
        elif call.pid != pid:  # of a fork
            why = "another process's, and packetdrill has one"
        elif call.entered_ns < busy_ns:
            why = "another call went on meanwhile, and packetdrill has one at a time"
        else:
            try:
                text = call_words(call)
            except Unspeakable as found:
                why = f"packetdrill has no word for {_remark(str(found))}"
                foreign |= {call.new_socket} - {None}
        until_ns = None
        if text is not None and any(_arrival(packets[n - 1]) > call.entered_ns for n in told.waited_for):
            until_ns = busy_ns = call.returned_ns or 0
        words = _remark(format_call(call, STRSIZE))
        remark = f"{told.label}: {words}: {why}" if why else f"{told.label}: {words}" if call.data else told.label
        yield _Event(at_ns=call.entered_ns, until_ns=until_ns, text=text, remark=remark)


def _arrival(packet: Packet) -> int:
    return packet.at_ns if packet.arrived_ns is None else packet.arrived_ns


def _is_foreign(told: CallStory, talk: _Conversation) -> bool:
    """Whether it is about another conversation: by its packets, else by its peer."""
    if tied := {*told.sent, *told.waited_for}:
        return not tied & talk.packets
    return told.call.peer is not None and told.call.peer != talk.remote


def _foreign_sockets(calls: list[CallStory], talk: _Conversation) -> set[int | None]:
    """Inodes of the sockets that other conversations have, and this one has not; a listening socket is everybody's."""
    mine: set[int | None] = {None}
    others: set[int | None] = set()
    for told in calls:
        call = told.call
        found = {call.new_socket} if call.name == "accept" else {call.socket, call.new_socket}
        if _is_foreign(told, talk):
            others |= found
        elif told.sent or told.waited_for:
            mine |= found
    return others - mine


def _lines(events: list[_Event]) -> Iterator[str]:
    start_ns = next(event.at_ns for event in events if event.text)
    for event in events:
        if event.text is None:
            yield f"// {event.remark}"
            continue
        at = _seconds(event.at_ns - start_ns)
        until = "" if event.until_ns is None else f"...{_seconds(event.until_ns - start_ns)}"
        yield f"{at}{until} {event.text}  // {event.remark}"


def _seconds(ns: int) -> str:
    microseconds = ns // 1_000
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"
