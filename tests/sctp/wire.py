"""Our endpoint's place on a wire: an address that no kernel has, and a wire that loses, doubles and reorders.

    kernel's SCTP, 10.0.0.1, fd00::1 ══ veth ══▶ packet socket ── Wire ── rawlab.endpoints.sctp.Host, 10.0.0.3, fd00::3

A kernel with SCTP answers what it knows nothing of by ABORT; to our addresses it does not listen, so they are ours.
"""

from __future__ import annotations

import heapq
import ipaddress
import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from rawlab.endpoints.sctp import Host, Settings
from rawlab.live.network import Network

KERNEL, OURS = "10.0.0.1", "10.0.0.3"
KERNEL6, OURS6 = "fd00::1", "fd00::3"
PORT = 7007
_KERNEL_MAC = bytes.fromhex("020000000001")
_SCTP = 132
_SO_RCVBUFFORCE = 33  # socket(7)
_ETH_P_ALL, _ETH_P_IP, _ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
_IP = struct.Struct("!BBHHHBBH4s4s")
_MS = 1_000_000
_LINKTYPE_RAW = 101
SETTINGS = Settings(rto_initial=100 * _MS, rto_min=20 * _MS, rto_max=1000 * _MS, association_max_retrans=50)


class Wire:
    """Packets to and from the kernel; `host` is ours."""

    def __init__(
        self,
        network: Network,
        seed: int,
        *,
        addresses: Sequence[str] = (OURS,),
        settings: Settings = SETTINGS,
        loss: float = 0.0,
        pcap: str = "",
        keep: int = 0,
    ) -> None:
        """`loss`: what share of packets is lost, each way; so many are late too, and half as many doubled.

        `pcap`: a file for the first `keep` packets, as they went.
        """
        self.addresses = {ipaddress.ip_address(one).packed for one in addresses}
        self.host = Host(addresses, random.Random(seed).randbytes, time.monotonic_ns(), settings)
        self.loss = loss
        self.passes: Callable[[bool, bytes], bool] = lambda outgoing, packet: True
        "which packets, from the IP header on, come over the wire at all; outgoing: ours"
        self.sent = self.received = self.lost = self.doubled = self.late = 0
        self._chance = random.Random(seed + 1)
        self._order = count()
        self._waiting: list[tuple[int, int, bool, bytes]] = []
        self._numbers = count(1)
        self._keep = keep
        self._pcap = open(pcap, "wb") if pcap else None  # noqa: SIM115 - until the process ends
        if self._pcap:
            self._pcap.write(struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, _LINKTYPE_RAW))
        with network.inside("server"):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
            self._socket.bind(("server", _ETH_P_ALL))
            self._socket.setblocking(False)

    def turn(self) -> None:
        """One turn: what came, what is due, what goes out; waits for the next of them, 0.1 s at most."""
        self._send()
        now = time.monotonic_ns()
        due = [now + 100 * _MS, *(one for one in (self.host.deadline_ns,) if one is not None)]
        due += [self._waiting[0][0]] if self._waiting else []
        select.select([self._socket], [], [], max(min(due) - now, 0) / 1e9)
        for packet in self._arrived():
            self._pass(False, packet)
        now = time.monotonic_ns()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, outgoing, packet = heapq.heappop(self._waiting)
            self._put(outgoing, packet)
        self.host.wake(time.monotonic_ns())
        self._send()

    def _send(self) -> None:
        for one in self.host.take():
            source, destination = (ipaddress.ip_address(end).packed for end in (one.source, one.destination))
            if len(source) == 4:
                head = _header4(len(one.packet), next(self._numbers) & 0xFFFF, source, destination)
            else:
                head = struct.pack("!IHBB", 0x60000000, len(one.packet), _SCTP, 64) + source + destination
            self._pass(True, head + one.packet)

    def _arrived(self) -> Iterator[bytes]:
        """SCTP packets to us."""
        for _ in range(64):
            try:
                packet, address = self._socket.recvfrom(65_536)
            except BlockingIOError:
                return
            if address[2] == socket.PACKET_OUTGOING or address[1] not in (_ETH_P_IP, _ETH_P_IPV6):
                continue
            if protocol(packet) == _SCTP and ends(packet)[1] in self.addresses:
                yield packet

    def _pass(self, outgoing: bool, packet: bytes) -> None:
        """Over the wire, by rule and by chance."""
        if not self.passes(outgoing, packet):
            self.lost += 1
            return
        chance = self._chance.random() if self.loss else 1.0
        if chance < self.loss:
            self.lost += 1
        elif chance < 2 * self.loss:
            self.late += 1
            at_ns = time.monotonic_ns() + self._chance.randrange(5 * _MS)
            heapq.heappush(self._waiting, (at_ns, next(self._order), outgoing, packet))
        else:
            self._put(outgoing, packet)
            if chance < 2.5 * self.loss:
                self.doubled += 1
                self._put(outgoing, packet)

    def _put(self, outgoing: bool, packet: bytes) -> None:
        self._note(packet)
        if outgoing:
            self.sent += 1
            kind = _ETH_P_IP if packet[0] >> 4 == 4 else _ETH_P_IPV6
            self._socket.sendto(packet, ("server", kind, 0, 0, _KERNEL_MAC))
        else:
            self.received += 1
            source, destination = (str(ipaddress.ip_address(end)) for end in ends(packet))
            self.host.receive(payload(packet), source, destination, time.monotonic_ns())

    def _note(self, packet: bytes) -> None:
        if self._pcap and self._keep > 0:
            self._keep -= 1
            seconds, ns = divmod(time.time_ns(), 1_000_000_000)
            self._pcap.write(struct.pack("=IIII", seconds, ns, len(packet), len(packet)) + packet)

    def close(self) -> None:
        """No more packets."""
        self._socket.close()
        if self._pcap:
            self._pcap.close()

    def counts(self) -> dict[str, int]:
        """How many packets went how."""
        names = ("sent", "received", "lost", "doubled", "late")
        return {name: getattr(self, name) for name in names}


def _header4(size: int, number: int, source: bytes, destination: bytes) -> bytes:
    """An IPv4 header with its checksum."""
    head = _IP.pack(0x45, 0, _IP.size + size, number, 0x4000, 64, _SCTP, 0, source, destination)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    check = ~(total + (total >> 16)) & 0xFFFF
    return bytes(head[:10] + check.to_bytes(2) + head[12:])


def protocol(packet: bytes) -> int:
    """What an IP packet holds."""
    return packet[9] if packet[0] >> 4 == 4 else packet[6]


def ends(packet: bytes) -> tuple[bytes, bytes]:
    """Its source and destination."""
    return (packet[12:16], packet[16:20]) if packet[0] >> 4 == 4 else (packet[8:24], packet[24:40])


def payload(packet: bytes) -> bytes:
    """What follows its header; a veth's shortest frames are not filled up."""
    return packet[(packet[0] & 15) * 4 :] if packet[0] >> 4 == 4 else packet[40:]
