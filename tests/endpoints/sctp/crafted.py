"""A peer made by hand: each of its packets is what the test says, and the answers are read."""

from __future__ import annotations

from collections.abc import Sequence

from rawlab.endpoints.sctp import Association, Host, LocalEndpoint, Settings
from rawlab.model import sctp as m
from rawlab.model.sctp import SctpChunk, SctpInit, SctpPacket
from rawlab.wire import sctp_build as build
from rawlab.wire import symbols
from rawlab.wire.sctp import parse
from tests.endpoints.sctp.network import CLIENT, MS, SECOND, SERVER, Network

TAG, TSN, PORT = 0x11111111, 1000, 40000


class Crafted:
    """By hand against one host, whose port 7 listens."""

    def __init__(self, settings: Settings | None = None, addresses: Sequence[str] = (SERVER,)) -> None:
        self.network = Network()
        self.host: Host = self.network.host(*addresses, settings=settings)
        self.listener: LocalEndpoint = self.host.open(7)
        self.listener.listen()
        self.now = self.network.now
        self.tag = TAG
        self.peer_tag = 0
        self.peer_tsn = 0
        self.cookie = b""
        self.octets = 0
        "of the last answers"
        self.last = b""
        "answer"

    def send(
        self, *chunks: bytes, tag: int | None = None, source: str = CLIENT, port: int = PORT, to: int = 7
    ) -> list[SctpPacket]:
        """One packet; what is answered at once."""
        packet = build.packet(port, to, self.peer_tag if tag is None else tag, chunks)
        self.host.receive(packet, source, SERVER, self.now)
        return self.answers()

    def answers(self) -> list[SctpPacket]:
        """What the host puts out now."""
        out = self.host.take()
        self.octets = sum(len(one.packet) for one in out)
        self.last = out[-1].packet if out else b""
        read = [parse(one.packet) for one in out]
        assert all(isinstance(one, SctpPacket) and one.checksum_right and not one.malformed for one in read)
        return [one for one in read if isinstance(one, SctpPacket)]

    def wait(self, ns: int) -> list[SctpPacket]:
        """Lets time pass, timer by timer; all that was sent meanwhile."""
        end, sent = self.now + ns, []
        while (due := self.host.deadline_ns) is not None and due <= end:
            self.now = max(self.now, due)
            self.host.wake(self.now)
            sent += self.answers()
        self.now = end
        return sent

    def init(
        self,
        *parameters: bytes,
        tag: int | None = None,
        window: int = 100_000,
        streams: tuple[int, int] = (10, 10),
        source: str = CLIENT,
        to: int = 7,
        port: int = PORT,
        verification: int = 0,
    ) -> list[SctpPacket]:
        """INIT; of an INIT ACK the cookie is kept."""
        chunk = build.init(m.INIT, self.tag if tag is None else tag, window, *streams, TSN, parameters)
        answers = self.send(chunk, tag=verification, source=source, to=to, port=port)
        for packet in answers:
            for one in packet.chunks:
                if isinstance(one, SctpInit) and one.type == m.INIT_ACK:
                    self.cookie = next(p.value for p in one.parameters if p.type == build.STATE_COOKIE)
                    self.peer_tag, self.peer_tsn = one.initiate_tag, one.initial_tsn.value
        return answers

    def up(self, *parameters: bytes) -> Association:
        """Established."""
        self.init(*parameters)
        assert names(self.send(build.cookie_echo(self.cookie))) == ["COOKIE ACK"]
        (association,) = self.listener.associations.values()
        return association


def names(packets: Sequence[SctpPacket]) -> list[str]:
    """['COOKIE ACK + SACK']"""
    return [" + ".join(symbols.sctp_chunk(chunk.type) for chunk in packet.chunks) for packet in packets]


def chunk(packets: Sequence[SctpPacket], kind: int) -> SctpChunk:
    """The one chunk of a type."""
    (found,) = [one for packet in packets for one in packet.chunks if one.type == kind]
    return found


def data(tsn: int, payload: bytes = b"x", stream: int = 0, ssn: int = 0, flags: int = 3) -> bytes:
    """DATA, a whole message unless the flags say otherwise."""
    return build.data(tsn & 0xFFFFFFFF, stream, ssn, 0, flags, payload)


__all__ = ["CLIENT", "MS", "PORT", "SECOND", "SERVER", "TAG", "TSN", "Crafted", "chunk", "data", "names"]
