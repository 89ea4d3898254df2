"""Timelines written as ladders, in rawlab's own words, and held against the story that is told of them.

    c5  client   100-180  connect(3, 10.0.0.2:7) = 0    | sent p1 waited p2
    p1  client>  110      [S] seq 0                     | call c5             | SYN-SENT LISTEN
    p2  server>  140      [S.] seq 0, ack 1             | kernel c3 p1 ~ no accept is needed

A line is a label, who, when, what happened; behind bars what the story must say of it; '#' begins a comment.

    label    c5, p2: the story's own number of the call or packet; a ladder that misnumbers does not stand
    who      the caller; the sender, with '>'; ':40001' names the client's port where it is not 40000
    when     microseconds: entry-return (by itself: 1 µs), departure-arrival (by itself: 20 µs); '110-' did not
             return, or was lost
    what     a call in strace's words; a segment as '[P.] seq 1:6, ack 1, win 502 "hello"', numbers relative, an
             acknowledgment's own number and all windows left out; 'isn 77' begins to count anew; SCTP's chunks
             as `sctp_packets` says, 'from 10.0.1.1 to 10.0.1.2: ' before them on another path; ARP and ICMPv6
             as in tcpdump's words
    | cause  kind, calls with the octets of them that it carries, packets, (confidence) if not exact, and
             '~ words' of the reason; for a call: the packets that it sent and those that it waited for
    | states the client's and the server's, '-' for none

`"x"*1000` is a string a thousand octets long, in calls and in segments.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rawlab.attribution.telling import tell
from rawlab.model.address import Endpoint
from rawlab.model.event import Call, Frame, Value
from rawlab.model.story import CallStory, Packet, Story
from rawlab.model.timeline import Host, Point, Run, Timeline
from rawlab.wire.decode import decode
from rawlab.wire.strace import parse_call
from tests.attribution import sctp_packets
from tests.attribution.segments import Segment, arp_frame, icmp6_frame, tcp_frame

BEGIN_NS = 1_700_000_000_000_000_000
PIDS = {"client": 11, "server": 22}
PARAMETERS = {
    "socket": "domain type protocol",
    "bind": "sockfd addr",
    "listen": "sockfd backlog",
    "accept": "sockfd addr",
    "connect": "sockfd addr",
    "read": "fd buf count",
    "write": "fd buf count",
    "send": "sockfd buf len flags",
    "recv": "sockfd buf len flags",
    "sendmsg": "sockfd msg_name msg_iov msg_control flags",
    "recvmsg": "sockfd msg_name msg_iov msg_control msg_flags flags",
    "getsockopt": "sockfd level optname optval",
    "shutdown": "sockfd how",
    "setsockopt": "sockfd level optname optval",
    "dup": "fd",
    "close": "fd",
    "fork": "",
    "exit_group": "status",
}
_LINE = re.compile(
    r"(?P<label>[cp]\d+) +(?P<host>client|server)(?::(?P<port>\d+))?(?P<packet>>)? +"
    r"(?P<at>\d+)(?P<to>-\d*)? +(?P<what>.*)"
)
_SEGMENT = re.compile(
    r"\[(?P<flags>[A-Z.]+)\](?: seq (?P<seq>-?\d+)(?::(?P<end>\d+))?)?(?:,? ack (?P<ack>-?\d+))?"
    r"(?:, win (?P<window>\d+))?(?: isn (?P<isn>\d+))?(?: (?P<data>\".*\"))?"
)


@dataclass
class _Socket:
    inode: int
    local: Endpoint | None = None
    peer: Endpoint | None = None


@dataclass
class _Stream:
    """One direction's numbers."""

    isn: int
    next: int = 0


@dataclass
class Ladder:
    """A ladder that is being read."""

    text: str
    client: str
    server: str
    loopback: bool
    calls: list[Call] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    expected: list[tuple[str, list[str]]] = field(default_factory=list)
    "(label, what the story must say) of each line"
    sockets: dict[tuple[str, int], _Socket] = field(default_factory=dict)
    inodes: int = 100
    streams: dict[tuple[str, int], _Stream] = field(default_factory=dict)
    identification: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def read(self) -> Timeline:
        """The timeline that it describes."""
        for line in self.text.splitlines():
            if words := line.partition("#")[0].strip():
                self._line(words)
        frames = sorted(self.frames, key=lambda frame: frame.at_ns)
        return Timeline(
            run=Run(lab="ladder", stack="kernel", rawlab="0", kernel="6.18"),
            hosts=(Host(name="client", addresses=(self.client,)), Host(name="server", addresses=(self.server,))),
            points=self._points(),
            calls=tuple(sorted(self.calls, key=lambda call: call.entered_ns)),
            frames=tuple(replace(frame, number=n) for n, frame in enumerate(frames, 1)),
        )

    def _points(self) -> tuple[Point, ...]:
        hosts = {"lo": None} if self.loopback else {"client": "client", "server": "server"}
        count = [sum(frame.point == index for frame in self.frames) for index in range(2)]
        return tuple(
            Point(name=name, linktype=1, host=host, captured=count[index], dropped=0)
            for index, (name, host) in enumerate(hosts.items())
        )

    def _line(self, line: str) -> None:
        words, *expected = [part.strip() for part in re.split(r"\s\|\s", line)]
        found = _LINE.fullmatch(words)
        assert found, f"{words!r}: expected label, who, when, what"
        self.expected.append((found["label"], expected))
        at, port = int(found["at"]), int(found["port"] or 40000)
        later = at + (20 if found["packet"] else 1) if found["to"] is None else int(found["to"][1:] or -1)
        span = BEGIN_NS + at * 1000, None if later < 0 else BEGIN_NS + later * 1000
        what = re.sub(r'"([^"]*)"\*(\d+)', lambda match: f'"{match[1] * int(match[2])}"', found["what"])
        if found["packet"]:
            self._packet(found["host"], port, span, what)
        else:
            self._call(found["host"], port, span, what)

    # ---- calls

    def _call(self, host: str, port: int, span: tuple[int, int | None], text: str) -> None:
        name, values, result, errno = parse_call(text)
        args = tuple(zip(PARAMETERS[name].split(), values, strict=result is not None))
        call = Call(
            host=host,
            pid=PIDS[host],
            name=name,
            args=args,
            result=result if span[1] is not None else None,
            errno=errno,
            entered_ns=span[0],
            returned_ns=None if result is None else span[1],
        )
        self.calls.append(self._observed(call, port))

    def _observed(self, call: Call, port: int) -> Call:
        """The call with the kernel's word of its socket."""
        fd = next((value for name, value in call.args[:1] if name in ("fd", "sockfd")), None)
        used = self.sockets.get((call.host, fd)) if isinstance(fd, int) else None
        peels = call.name == "getsockopt" and "SCTP_SOCKOPT_PEELOFF" in dict(call.args).values()
        if (peels or call.name in ("socket", "accept")) and call.result is not None and call.errno is None:
            self.inodes += 1
            made = self.sockets[call.host, call.result] = _Socket(inode=self.inodes)
            if call.name == "accept" and isinstance(peer := dict(call.args)["addr"], Endpoint):
                made.local, made.peer = Endpoint(self.server, 7), peer
            elif peels:
                made.local, made.peer = Endpoint(self.server, 7), Endpoint(self.client, port)
            return replace(
                call,
                socket=used.inode if used else None,
                new_socket=made.inode,
                local=made.local,
                peer=made.peer,
                state="CLOSED" if call.name == "socket" else None,
            )
        if used is None:
            return call
        self._learn(call, used, port)
        if call.name == "close":
            return replace(call, socket=used.inode)
        return replace(call, socket=used.inode, local=used.local, peer=used.peer)

    def _learn(self, call: Call, used: _Socket, port: int) -> None:
        address: Value = dict(call.args).get("addr")
        match call:
            case Call(name="dup", result=int(copy)):
                self.sockets[call.host, copy] = used
            case Call(errno=str()) | Call(result=None):
                pass
            case Call(name="bind") if isinstance(address, Endpoint):
                used.local = address
            case Call(name="connect") if isinstance(address, Endpoint):
                client = Endpoint(self.client, port)
                used.local, used.peer = client if call.host == "client" else used.local, address
            case Call(name="sendmsg", host="client") if used.local is None:
                used.local = Endpoint(self.client, port)

    # ---- packets

    def _packet(self, sender: str, port: int, span: tuple[int, int | None], text: str) -> None:
        octets = self._neighbours(sender, text) or self._sctp(sender, port, text) or self._segment(sender, port, text)
        number = ("client", "server").index(sender)
        seen = [(span[0], 0, None)] if self.loopback else [(span[0], number, True), (span[1], 1 - number, False)]
        for at_ns, point, outgoing in seen:
            if at_ns is not None:
                frame = Frame(number=0, at_ns=at_ns, point=point, outgoing=outgoing, data=octets, length=len(octets))
                self.frames.append(frame)

    def _segment(self, sender: str, port: int, text: str) -> bytes:
        found = _SEGMENT.fullmatch(text)
        assert found, f"{text!r}: expected a segment, as '[P.] seq 1:6, ack 1 \"hello\"'"
        other = "server" if sender == "client" else "client"
        mine, theirs = (self.streams.setdefault((host, port), _Stream(_ISN[host])) for host in (sender, other))
        if found["isn"]:
            mine.isn, mine.next = int(found["isn"]), 0
        data = parse_call(f"data({found['data'] or ''}) = 0")[1]
        octets = data[0] if data and isinstance(data[0], bytes) else b""
        seq = mine.next if found["seq"] is None else int(found["seq"])
        if found["end"]:
            assert int(found["end"]) - seq == len(octets), f"{text!r}: carries {len(octets)} octets"
        mine.next = max(mine.next, seq + len(octets) + ("S" in found["flags"]) + ("F" in found["flags"]))
        client, server = Endpoint(self.client, port), Endpoint(self.server, 7)
        segment = Segment(
            source=client if sender == "client" else server,
            destination=server if sender == "client" else client,
            flags=found["flags"],
            seq=mine.isn + seq,
            ack=theirs.isn + int(found["ack"]) if found["ack"] else 0,
            window=int(found["window"] or 502),
            data=octets,
        )
        if "S" not in found["flags"] and "R" not in found["flags"]:  # Linux: 0 there, else one more for each
            self.identification[sender] += 1
            return tcp_frame(segment, self.identification[sender])
        return tcp_frame(segment)

    def _sctp(self, sender: str, port: int, text: str) -> bytes | None:
        path = re.match(r"from (\S+) to (\S+): ", text)
        words = text[path.end() :] if path else text
        if not re.match("[A-Z]", words):
            return None
        ends = (self.client, port), (self.server, 7)
        if path:
            ends = (path[1], ends[0][1]), (path[2], ends[1][1])
            ends = ends if sender == "client" else ((path[1], 7), (path[2], port))
        elif sender == "server":
            ends = ends[1], ends[0]
        self.identification[sender] += 1
        return sctp_packets.frame(words, sender, ends, self.identification[sender])

    def _neighbours(self, sender: str, text: str) -> bytes | None:
        own = self.client if sender == "client" else self.server
        for pattern, make in _NEIGHBOURS.items():
            if found := re.fullmatch(pattern, text):
                return make(own, found)
        return None


_ISN = {"client": 1000, "server": 5000}


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


_NEIGHBOURS: dict[str, Callable[[str, re.Match[str]], bytes]] = {
    r"ARP, Request who-has (\S+) tell (\S+)": lambda own, found: arp_frame(1, found[2], found[1]),
    r"ARP, Reply (\S+) is-at": lambda own, found: arp_frame(2, found[1], "10.0.0.1"),
    r"ICMP6, neighbor solicitation, who has (\S+)(?: from (\S+))?": lambda own, found: icmp6_frame(
        found[2] or own, "ff02::1:ff00:2", 135, bytes(4) + _packed(found[1])
    ),
    r"ICMP6, neighbor advertisement, tgt is (\S+)": lambda own, found: icmp6_frame(
        own, "fd00::1", 136, bytes(4) + _packed(found[1])
    ),
    r"ICMP6, multicast listener report v2": lambda own, found: icmp6_frame(own, "ff02::16", 143, bytes(4)),
    r"ICMP6, router solicitation": lambda own, found: icmp6_frame(own, "ff02::2", 133, bytes(4)),
}


# ------------------------------------------------------------------------------------------- the story


def read(text: str, *, ipv6: bool = False, loopback: bool = False) -> Timeline:
    """The timeline of a ladder."""
    return _ladder(text, ipv6, loopback).read()


def _ladder(text: str, ipv6: bool, loopback: bool) -> Ladder:
    client, server = ("fd00::1", "fd00::2") if ipv6 else ("10.0.0.1", "10.0.0.2")
    if loopback:
        client = server = "::1" if ipv6 else "127.0.0.1"
    return Ladder(text=text, client=client, server=server, loopback=loopback)


def stands(text: str, *, ipv6: bool = False, loopback: bool = False, own: bool = False) -> Story:
    """Asserts that the story told of a ladder says what stands behind its bars; the story.

    `own`: the client's TCP is rawlab's own.
    """
    ladder = _ladder(text, ipv6, loopback)
    timeline = ladder.read()
    if own:
        client, *others = timeline.hosts
        timeline = replace(timeline, hosts=(replace(client, own_tcp=(ladder.client,)), *others))
    story = tell(timeline, decode)
    written = [" | ".join([label, *map(_in_order, said)]) for label, said in ladder.expected]
    told = [_told(story, label, said) for label, said in ladder.expected]
    wrong = [f"told:    {is_}\nexpected {should}" for is_, should in zip(told, written, strict=True) if is_ != should]
    assert not wrong, "\n" + "\n".join(wrong)
    _numbered(story, ladder)
    return story


def _numbered(story: Story, ladder: Ladder) -> None:
    """Every call and packet stands in the ladder, by its number, where its time puts it."""
    labels = [label for label, _ in ladder.expected]
    wanted = {f"c{told.n}" for told in story.calls} | {f"p{packet.n}" for packet in story.packets}
    assert sorted(labels) == sorted(wanted)
    for kind in "cp":
        found = [int(label[1:]) for label in labels if label[0] == kind]
        assert found == sorted(found), f"{kind}: numbers go up with the time"


def _in_order(said: str) -> str:
    return " ".join(said.split())


def _told(story: Story, label: str, said: list[str]) -> str:
    """The same line as the ladder's, from the story; what the ladder does not say is left out."""
    number = int(label[1:]) - 1
    assert number < len(story.packets if label[0] == "p" else story.calls), f"{label}: the story has none"
    parts = [label]
    if said:
        event = story.packets[number] if label[0] == "p" else story.calls[number]
        parts.append(_cause(event, said[0]) if isinstance(event, Packet) else _edges(event, said[0]))
        if len(said) > 1:
            states = event.states if isinstance(event, Packet) else event.states_after
            parts.append(" ".join(dict(states).get(host) or "-" for host in ("client", "server")))
    return " | ".join(parts)


def _cause(packet: Packet, said: str) -> str:
    cause = packet.cause
    ranges = {n: f"[{first}:{end}]" for n, first, end in cause.bytes}
    words = [cause.kind, *(f"c{n}{ranges.get(n, '')}" for n in cause.calls), *(f"p{n}" for n in cause.packets)]
    if cause.confidence != ("unknown" if cause.kind == "unknown" else "exact"):
        words.append(f"({cause.confidence})")
    if packet.lost:
        words.append("lost")
    return _with_reason(" ".join(words), cause.reason, said)


def _edges(told: CallStory, said: str) -> str:
    words = ["sent", *(f"p{n}" for n in told.sent)] if told.sent else []
    words += ["waited", *(f"p{n}" for n in told.waited_for)] if told.waited_for else []
    return _with_reason(" ".join(words) or "nothing", told.why, said)


def _with_reason(text: str, reason: str, said: str) -> str:
    """The text, and the ladder's words of the reason if the reason has them; else all of the reason."""
    if "~" not in said:
        return text
    fragment = " ".join(said.partition("~")[2].split())
    return f"{text} ~ {fragment if fragment in reason else reason}"
