"""Stories for the tests of views: a fixed one, and one in which everything is hostile that can be."""

from __future__ import annotations

from dataclasses import replace

from rawlab.attribution.telling import tell
from rawlab.model.story import Cause, Story
from rawlab.wire.decode import decode
from tests.attribution.ladder import read
from tests.attribution.ladders import OPEN

ECHO = f"""{OPEN}
c7  client   400-420  write(3, "hello", 5) = 5
p4  client>  410      [P.] seq 1:6, ack 1 "hello"
p5  server>  435-     [.] ack 6
c8  server   440-460  write(4, "hello", 5) = 5
p6  server>  450      [P.] seq 1:6, ack 6 "hello"
p7  client>  475      [.] ack 6
c9  client   500-520  close(3) = 0
p8  client>  510      [F.] seq 6, ack 6
c10 server   600-     read(4) = ?
"""
HOSTILE = (
    "<script>alert(1)</script>",
    "</td><img src=x onerror=alert(1)>",
    "=cmd()|'/C calc'!A0",
    "+1",
    "-1",
    "@SUM(1)",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\r\rover",
    "\u202etxt.exe",
    "\u2066\u200b\ufeff",
    "a|b||c",
    "`x` \\| \\",
    "\\input{/etc/passwd} $x$ %",
    "\x9b31m\x00\x7f",
)


def echo() -> Story:
    """A short echo: a handshake, data both ways, a lost acknowledgment, a close, a read that never returned."""
    return tell(read(ECHO), decode)


def anyones() -> Story:
    """The same as anyone's pcap has it: seen at one point, no hosts, no calls."""
    timeline = read(ECHO)
    point = replace(timeline.points[0], name="eth0", host=None, captured=None, dropped=None)
    frames = tuple(replace(frame, outgoing=None) for frame in timeline.frames if frame.point == 0)
    return tell(replace(timeline, hosts=(), points=(point,), calls=(), frames=frames), decode)


def routed() -> Story:
    """The same with a router between the two: each packet goes by two wires."""
    story = echo()
    client, server = story.timeline.hosts
    router = replace(client, name="router", addresses=())
    packets = []
    for packet in story.packets:
        here, there = (packet.at_ns, packet.at_ns + 5_000)
        first = replace(packet, receiver="router", sent_ns=here, arrived_ns=there, lost=False)
        second = replace(packet, sender="router", sent_ns=there + 1_000, arrived_ns=there + 6_000, cause=_FORWARDED)
        packets += [first, second]
    packets.sort(key=lambda packet: packet.at_ns)
    numbered = tuple(replace(packet, n=n) for n, packet in enumerate(packets, 1))
    calls = tuple(replace(told, sent=(), waited_for=()) for told in story.calls)
    timeline = replace(story.timeline, hosts=(client, router, server))
    return replace(story, timeline=timeline, packets=numbered, calls=calls, transitions=())


_FORWARDED = Cause(kind="kernel", reason="the router forwards it", confidence="exact")


def hostile(word: str) -> Story:
    """The same by hosts of that name, with that word as payload, errno and socket state."""
    timeline = read(ECHO)
    server = timeline.hosts[1]
    calls = [
        replace(
            call,
            host=word if call.host == "client" else call.host,
            args=tuple((name, word.encode() if isinstance(value, bytes) else value) for name, value in call.args),
            errno=word if call.name == "close" else call.errno,
            state=word,
        )
        for call in timeline.calls
    ]
    points = (replace(timeline.points[0], name=word, host=word), timeline.points[1])
    hosts = (replace(timeline.hosts[0], name=word), server)
    return tell(replace(timeline, hosts=hosts, points=points, calls=tuple(calls)), decode)
