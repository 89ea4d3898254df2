"""Stories of packets and calls that a test names one by one, on a wire of two hosts or with a router between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rawlab.attribution.telling import tell
from rawlab.model.address import Endpoint
from rawlab.model.event import Call, Frame, Value
from rawlab.model.story import Story
from rawlab.model.timeline import Host, Point, Run, Timeline
from rawlab.wire.decode import decode

BEGIN_NS = 1_700_000_000_000_000_000
HOSTS = Host(name="client", addresses=("10.0.0.1", "fd00::1")), Host(name="server", addresses=("10.0.0.2", "fd00::2"))
ROUTED = (
    Host(name="client", addresses=("10.0.0.1", "fd00::1")),
    Host(name="router", addresses=("10.0.0.254", "fd00::254", "10.0.1.254", "fd01::254")),
    Host(name="server", addresses=("10.0.1.2", "fd01::2")),
)
CLIENT, SERVER = Endpoint("10.0.0.1", 40000), Endpoint("10.0.0.2", 7)


@dataclass
class Wire:
    """What is told: packets by `passes`, calls by `calls`; times in microseconds."""

    hosts: Sequence[Host] = HOSTS
    frames: list[Frame] = field(default_factory=list)
    called: list[Call] = field(default_factory=list)

    def passes(self, packet: bytes, link: tuple[str, str], at: int, *, arrives: bool = True) -> None:
        """An IP packet goes over a link, for 20 microseconds."""
        ends = [self._point(one, other) for one, other in (link, link[::-1])]
        kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
        data = b"".join(bytes([2, 0, 0, 0, 0, end]) for end in ends[::-1]) + kind + packet
        for outgoing, end, moment in ((True, ends[0], at), (False, ends[1], at + 20))[: 1 + arrives]:
            self._see(data, end, outgoing, BEGIN_NS + moment * 1000)

    def _see(self, data: bytes, point: int, outgoing: bool, at_ns: int) -> None:
        number = len(self.frames) + 1
        self.frames.append(
            Frame(number=number, at_ns=at_ns, point=point, outgoing=outgoing, data=data, length=len(data))
        )

    def _point(self, host: str, other: str) -> int:
        """Of points, each two in order are a link's ends."""
        names = [each.name for each in self.hosts]
        first, second = sorted((names.index(host), names.index(other)))
        assert second == first + 1, f"no link joins {host} and {other}"
        return 2 * first + (host == names[second])

    def calls(
        self, host: str, at: int, name: str, *args: tuple[str, Value], result: int = 0, took: int = 5,
        socket: int = 0, made: int | None = None, errno: str | None = None, ends: tuple[Endpoint | None, ...] = (),
    ) -> None:  # fmt: skip
        """A call on a socket, by its inode; `ends`: the kernel's word of the socket's own address and its peer's."""
        local, peer = (*ends, None, None)[:2]
        self.called.append(
            Call(
                host=host,
                pid=1,
                name=name,
                args=args,
                result=-1 if errno else result,
                errno=errno,
                entered_ns=BEGIN_NS + at * 1000,
                returned_ns=BEGIN_NS + (at + took) * 1000,
                socket=None if made else socket,
                new_socket=made,
                local=local,
                peer=peer,
            )
        )

    def opens(self, host: str, inode: int, domain: str, type: str, protocol: Value = "IPPROTO_IP", at: int = 0) -> None:
        """socket(2)."""
        self.calls(host, at, "socket", ("domain", domain), ("type", type), ("protocol", protocol), result=3, made=inode)

    def sends(self, host: str, at: int, inode: int, data: bytes, to: str) -> None:
        """sendto(2)."""
        told: list[tuple[str, Value]] = [("sockfd", 3), ("buf", data), ("len", len(data)), ("flags", "0")]
        self.calls(host, at, "sendto", *told, ("dest_addr", Endpoint(to, 0)), socket=inode, result=len(data))

    def receives(
        self, host: str, at: int, inode: int, data: bytes, took: int, ends: tuple[Endpoint, ...] = ()
    ) -> None:
        """recv(2)."""
        told: list[tuple[str, Value]] = [("sockfd", 3), ("buf", data), ("len", 65535), ("flags", "0")]
        self.calls(host, at, "recv", *told, socket=inode, result=len(data), took=took, ends=ends)

    def story(self) -> Story:
        """What is told of all that."""
        order = [0, *(side for n in range(1, len(self.hosts) - 1) for side in (n, n)), len(self.hosts) - 1]
        points = [
            Point(name=f"{self.hosts[n].name}{at}", linktype=1, host=self.hosts[n].name, captured=0, dropped=0)
            for at, n in enumerate(order)
        ]
        return tell(
            Timeline(
                run=Run(),
                hosts=tuple(self.hosts),
                points=tuple(points),
                calls=tuple(sorted(self.called, key=lambda call: call.entered_ns)),
                frames=tuple(self.frames),
            ),
            decode,
        )


def with_ttl(packet: bytes, ttl: int) -> bytes:
    """The packet with another TTL (its checksum is not looked at here), or hop limit."""
    place = 7 if packet[0] >> 4 == 6 else 8
    return packet[:place] + bytes([ttl]) + packet[place + 1 :]
