"""Frames written whole through a packet socket: each is the call's whose octets it is, ARP too."""

from __future__ import annotations

from rawlab.attribution.telling import tell
from rawlab.model.event import Call, Frame, Value
from rawlab.model.story import Story
from rawlab.model.timeline import Host, Point, Run, Timeline
from rawlab.wire.decode import decode
from tests.attribution.segments import arp_frame

BEGIN = 1_700_000_000_000_000_000


def call(name: str, at: int, *args: tuple[str, Value], made: int | None = None, errno: str | None = None) -> Call:
    return Call(
        host="client",
        pid=11,
        name=name,
        args=args,
        result=-1 if errno else 3,
        errno=errno,
        entered_ns=BEGIN + at,
        returned_ns=BEGIN + at + 10,
        socket=None if made else 77,
        new_socket=made,
    )


def told(frames: list[tuple[int, bytes]], *sends: Call, domain: str = "AF_PACKET") -> Story:
    opened = call("socket", 0, ("domain", domain), ("type", "SOCK_RAW"), ("protocol", 0), made=77)
    seen = [
        Frame(number=n, at_ns=BEGIN + at, point=0, outgoing=True, data=data, length=len(data))
        for n, (at, data) in enumerate(frames, 1)
    ]
    hosts = Host(name="client", addresses=("10.0.0.1",)), Host(name="server", addresses=("10.0.0.2",))
    points = tuple(Point(name=host.name, linktype=1, host=host.name, dropped=0) for host in hosts)
    timeline = Timeline(run=Run(), hosts=hosts, points=points, calls=(opened, *sends), frames=tuple(seen))
    return tell(timeline, decode)


def send(at: int, data: bytes, errno: str | None = None) -> Call:
    return call("send", at, ("sockfd", 3), ("buf", data), ("len", len(data)), ("flags", "0"), errno=errno)


ARP = arp_frame(1, "10.0.0.1", "10.0.0.2")


def test_a_frame_is_the_calls_that_wrote_it() -> None:
    """Of equal ones each call has its own, in order; its octets are all of the frame."""
    story = told([(105, ARP), (205, ARP)], send(100, ARP), send(200, ARP))
    assert [packet.cause.calls for packet in story.packets] == [(2,), (3,)]
    assert story.packets[0].cause.bytes == ((2, 0, len(ARP)),)
    assert story.packets[0].cause.reason == "the whole frame is what send (call 2) wrote (packet(7))"
    assert [each.sent for each in story.calls] == [(), (1,), (2,)]


def test_a_frame_that_nobody_wrote_is_the_kernels() -> None:
    """Other octets, a frame before the call, a call that failed, a socket of another kind: not this call's."""
    other = ARP[:-1] + b"\x09"
    for story in (
        told([(105, other)], send(100, ARP)),
        told([(95, ARP)], send(100, ARP)),
        told([(105, ARP)], send(100, ARP, errno="ENETDOWN")),
        told([(105, ARP)], send(100, ARP), domain="AF_INET"),
    ):
        assert [packet.cause.kind for packet in story.packets] == ["kernel"]
