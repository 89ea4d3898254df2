"""A packet socket on one end of a veth pair, for addresses that no kernel has: IP, ARP, neighbour discovery are ours.

Between the socket and the host packets can get lost, doubled, late: the same in each run of a seed, as far as the
kernel at the other end sends the same. Only what these tests need: one neighbour, no fragments, no IP options.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable
from functools import lru_cache
from heapq import heappop, heappush
from random import Random

from rawlab.endpoints.tcp import Host, Outgoing
from rawlab.live.links import ip_header
from rawlab.wire.tcp_build import residue

MAC = bytes.fromhex("020000000099")
ANY = b"\xff" * 6
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
ETH_P_ALL, SOL_PACKET, PACKET_IGNORE_OUTGOING = 3, 263, 23
SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32
MS, SECOND = 1_000_000, 1_000_000_000
BATCH = 64

now = time.monotonic_ns


def packed(address: str) -> bytes:
    """As in a header."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


@lru_cache(maxsize=4096)
def headers(length: int, source: str, destination: str) -> bytes:
    """EtherType and IP header."""
    return (b"\x86\xdd" if ":" in source else b"\x08\x00") + ip_header(6, length, source, destination)


class Wire:
    """The socket, and what goes wrong on the way to it."""

    def __init__(self, host: Host, interface: str, peer: str, share: float = 0.0, seed: int = 1) -> None:
        self.host = host
        self.share = share
        "of the packets that are lost, doubled, late; each way"
        self.random = Random(seed)
        self.addresses = {packed(one): one for one in host.addresses}
        self.peer, self.peer_packed = peer, packed(peer)
        self.ours = next(one for one in host.addresses if (":" in one) == (":" in peer))
        self.mac: bytes | None = None
        "the neighbour's, once it is known"
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        for option in (SO_RCVBUFFORCE, SO_SNDBUFFORCE):
            self.socket.setsockopt(socket.SOL_SOCKET, option, 16 << 20)
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self.socket, select.POLLIN)
        self._head = b""
        self._waiting: list[Outgoing] = []
        self._late: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.packets = [0, 0]
        "in, out"
        self.calls = self.waited = 0
        "ns in the socket's calls, and in poll"

    # ---- the neighbour

    def ask(self) -> None:
        """Who has the peer's address? (RFC 826; RFC 4861 section 4.3)"""
        ours = packed(self.ours)
        if ":" not in self.peer:
            body = struct.pack("!HHBBH", 1, IPV4, 6, 4, 1) + MAC + ours + bytes(6) + self.peer_packed
            self.socket.send(ANY + MAC + struct.pack("!H", ARP) + body)
            return
        group = packed("ff02::1:ff00:0")[:13] + self.peer_packed[13:]
        message = bytes((135, 0, 0, 0, 0, 0, 0, 0)) + self.peer_packed + b"\1\1" + MAC
        self._icmp6(b"\x33\x33" + group[12:], ours, group, message)

    def _arp(self, frame: bytes) -> None:
        operation, sender, target = frame[20:22], frame[28:32], frame[38:42]
        if sender == self.peer_packed:
            self._learn(frame[22:28])
        if operation == b"\0\1" and target in self.addresses:
            body = struct.pack("!HHBBH", 1, IPV4, 6, 4, 2) + MAC + target + frame[22:28] + sender
            self.socket.send(frame[6:12] + MAC + struct.pack("!H", ARP) + body)

    def _nd(self, frame: bytes) -> None:
        source, kind, target = frame[22:38], frame[54], frame[62:78]
        if source == self.peer_packed:
            self._learn(frame[6:12])
        if kind == 135 and target in self.addresses:
            message = bytes((136, 0, 0, 0, 0x60, 0, 0, 0)) + target + b"\2\1" + MAC
            self._icmp6(frame[6:12], target, source, message)

    def _icmp6(self, mac: bytes, source: bytes, destination: bytes, message: bytes) -> None:
        total = residue(source + destination + struct.pack("!II", len(message), 58) + message)
        message = message[:2] + struct.pack("!H", -total % 0xFFFF) + message[4:]
        header = struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + source + destination
        self.socket.send(mac + MAC + struct.pack("!H", IPV6) + header + message)

    def _learn(self, mac: bytes) -> None:
        if self.mac is None:
            self.mac = mac
            self._head = mac + MAC
            waiting, self._waiting = self._waiting, []
            for out in waiting:
                self._send(out)

    # ---- packets

    def _fate(self, act: Callable[[], None]) -> None:
        """Does it now, twice, later, or not at all."""
        chance = self.random.random()
        if chance < self.share:
            return
        if chance < 2 * self.share:
            act()
        elif chance < 3 * self.share:
            self._count += 1
            heappush(self._late, (now() + self.random.randrange(1, 5) * MS, self._count, act))
            return
        act()

    def _send(self, out: Outgoing) -> None:
        if self.mac is None:
            self._waiting.append(out)
            self.ask()
            return
        self.packets[1] += 1
        with contextlib.suppress(BlockingIOError):
            self.socket.send(self._head + headers(len(out.packet), out.source, out.destination) + out.packet)

    def _frame(self, frame: bytes) -> None:
        kind = frame[12] << 8 | frame[13]
        if kind == ARP:
            self._arp(frame)
        elif kind == IPV6 and frame[20] == 58:
            self._nd(frame)
        elif frame[:6] == MAC:
            self._tcp(frame, kind)

    def _tcp(self, frame: bytes, kind: int) -> None:
        if kind == IPV4 and frame[23] == 6:
            source, destination = frame[26:30], frame[30:34]
            packet = frame[34 : 14 + (frame[16] << 8 | frame[17])]
        elif kind == IPV6 and frame[20] == 6:
            source, destination = frame[22:38], frame[38:54]
            packet = frame[54 : 54 + (frame[18] << 8 | frame[19])]
        else:
            return
        if source != self.peer_packed or destination not in self.addresses:
            return
        self.packets[0] += 1
        act = (packet, self.peer, self.addresses[destination])
        if self.share:
            self._fate(lambda: self.host.receive(*act, now()))
        else:
            self.host.receive(*act, now())

    def turn(self, patience: int = SECOND) -> None:
        """Waits for what comes first, for so many ns at the most, and does it."""
        self.flush()
        at = now()
        due = [at + patience]
        if self._late:
            due.append(self._late[0][0])
        if (deadline := self.host.deadline_ns) is not None:
            due.append(deadline)
        ready = self._poll.poll(max(min(due) - at, 0) / MS)
        begun = now()
        self.waited += begun - at
        frames = []
        for _ in range(BATCH if ready else 0):
            try:
                frames.append(self.socket.recv(65535))
            except BlockingIOError:
                break
        self.calls += now() - begun
        for frame in frames:
            self._frame(frame)
        at = now()
        while self._late and self._late[0][0] <= at:
            heappop(self._late)[2]()
        self.host.wake(at)
        self.flush()

    def flush(self) -> None:
        """Sends what is there."""
        packets = self.host.take()
        at = now()
        for out in packets:
            if self.share:
                self._fate(lambda out=out: self._send(out))  # type: ignore[misc]
            else:
                self._send(out)
        self.calls += now() - at
