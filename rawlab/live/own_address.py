"""An address that no kernel owns, on one interface: its packets, and who answers there for its link-layer address.

    OwnAddressLink   a packet(7) socket, SOCK_RAW: whole frames, with a MAC address of our own, so that the kernel that
                     has the interface takes none of them for its own. It answers ARP requests (RFC 826) and neighbour
                     solicitations (RFC 4861 section 7.2.4) for its addresses, and asks for those of its peers; a packet
                     waits until the answer comes, a few for each peer. It has no timer: who is asked for is asked for
                     again, a second later at the earliest, by the next packet, which a transport protocol sends again.

As `live.links`, whose contract it has: `filenos`, `receive`, `send`, `close`, each system call through `record`.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from functools import lru_cache

from rawlab.live.filter import hosts_program
from rawlab.live.links import Args, Arrived, Record, ip_header, read_ip, unrecorded
from rawlab.live.ring import PACKET_IGNORE_OUTGOING, SOL_PACKET, attach_filter
from rawlab.wire.tcp_build import residue

_IPV4, _ARP, _IPV6, _ALL = 0x0800, 0x0806, 0x86DD, 3
_ETHERNET = 14  # octets of a header
_ROOM = 1 << 16
_BUFFER = 1 << 22
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_ICMPV6, _SOLICITATION, _ADVERTISEMENT = 58, 135, 136
_SOLICITED, _OVERRIDE = 0x40, 0x20  # flags, RFC 4861 section 4.4
_ALL_NODES, _ALL_NODES_MAC = bytes.fromhex("ff02" + 13 * "00" + "01"), bytes.fromhex("333300000001")
_BROADCAST = b"\xff" * 6
_MOST_WAITING = 64  # packets for one peer whose link-layer address is not known
_ASK_AGAIN_NS = 1_000_000_000


class OwnAddressLink:
    """One interface, one MAC address, addresses of either IP version."""

    def __init__(
        self, addresses: Sequence[str], interface: str, mac: bytes, protocol: int, record: Record = unrecorded
    ) -> None:
        """Raises OSError (EPERM: without CAP_NET_RAW; ENODEV)."""
        self._mac, self._protocol, self._record = mac, protocol, record
        self._addresses = {_packed(address): address for address in addresses}
        self._neighbours: dict[str, bytes] = {}
        self._waiting: dict[str, deque[bytes]] = {}
        self._asked: dict[str, int] = {}
        kind: Args = [("domain", "AF_PACKET"), ("type", "SOCK_RAW|SOCK_CLOEXEC"), ("protocol", 0)]
        self._socket: socket.socket = record(
            "socket",
            kind,
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0),
            lambda made: (made.fileno(), kind),
        )
        self._socket.setblocking(False)
        attach_filter(self._socket, hosts_program(addresses), _ROOM)
        self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        for option in (_SO_RCVBUFFORCE, _SO_SNDBUFFORCE):
            with contextlib.suppress(OSError):  # for root alone
                self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        at: Args = [("sockfd", self._socket.fileno()), ("addr", f"sll_ifindex={interface}")]
        record("bind", at, lambda: self._socket.bind((interface, _ALL)), lambda _: (0, at))
        self.filenos = (self._socket.fileno(),)

    def send(self, packet: bytes, source: str, destination: str) -> None:
        """Puts it on the wire behind an IP header, as soon as its peer's link-layer address is known."""
        whole = _ip_header(self._protocol, len(packet), source, destination) + packet
        if (mac := self._neighbours.get(destination)) is not None:
            self._put(mac, _IPV6 if ":" in source else _IPV4, whole)
            return
        self._waiting.setdefault(destination, deque(maxlen=_MOST_WAITING)).append(whole)
        now = time.monotonic_ns()
        if now - self._asked.get(destination, now - _ASK_AGAIN_NS) >= _ASK_AGAIN_NS:
            self._asked[destination] = now
            self._ask(_packed(source), _packed(destination))

    def receive(self, fileno: int) -> Arrived | None:
        """The next packet, if there is one, and it is for one of the addresses; what is asked is answered."""
        before: Args = [("sockfd", fileno), ("buf", None), ("len", _ROOM), ("flags", "0")]
        try:
            frame: bytes = self._record(
                "recv",
                before,
                lambda: self._socket.recv(_ROOM),
                lambda got: (len(got), [before[0], ("buf", got), *before[2:]]),
            )
        except OSError:
            return None
        kind, packet = int.from_bytes(frame[12:_ETHERNET]), frame[_ETHERNET:]
        if kind == _ARP:
            self._arp(frame[6:12], packet)
            return None
        if kind == _IPV6 and len(packet) >= 64 and packet[6] == _ICMPV6:
            self._neighbour_message(frame[6:12], packet)
            return None
        arrived = read_ip(packet, self._protocol) if frame[:6] == self._mac else None
        return arrived if arrived is not None and arrived[2] in self._addresses.values() else None

    def close(self) -> None:
        """Closes its socket."""
        self._socket.close()

    def _put(self, to: bytes, kind: int, packet: bytes) -> None:
        """One frame; what can't be sent is lost, as on any wire."""
        frame = to + self._mac + kind.to_bytes(2) + packet
        args: Args = [("sockfd", self._socket.fileno()), ("buf", frame), ("len", len(frame)), ("flags", "0")]
        with contextlib.suppress(OSError):
            self._record("send", args, lambda: self._socket.send(frame), lambda sent: (sent, args))

    # ---- link-layer addresses

    def _ask(self, ours: bytes, theirs: bytes) -> None:
        """Who has that address?"""
        if len(theirs) == 4:
            self._put(_BROADCAST, _ARP, _arp_message(1, self._mac, ours, bytes(6), theirs))
            return
        group = _packed("ff02::1:ff00:0")[:13] + theirs[13:]  # solicited-node, RFC 4291 section 2.7.1
        message = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + theirs + b"\1\1" + self._mac
        self._put(b"\x33\x33" + group[12:], _IPV6, _icmpv6(ours, group, message))

    def _arp(self, mac: bytes, packet: bytes) -> None:
        if len(packet) < 28 or packet[:6] != b"\0\1\x08\0\6\4":
            return
        operation, sender_mac, sender, target = packet[6:8], packet[8:14], packet[14:18], packet[24:28]
        for_us = target in self._addresses
        if any(sender):  # else it only asks whether the address is free (RFC 5227)
            self._learn(sender, sender_mac, new=for_us)
        if operation == b"\0\1" and for_us:
            self._put(mac, _ARP, _arp_message(2, self._mac, target, sender_mac, sender))

    def _neighbour_message(self, mac: bytes, packet: bytes) -> None:
        source, kind, target = packet[8:24], packet[40], packet[48:64]
        if packet[7] != 255:  # it came from another network (RFC 4861 section 7.1)
            return
        if kind == _ADVERTISEMENT:
            self._learn(target, mac, new=False)
        elif kind == _SOLICITATION and target in self._addresses:
            flags = _OVERRIDE
            if any(source):
                self._learn(source, mac, new=True)
                flags |= _SOLICITED
            else:  # it only asks whether the address is free: all are told (RFC 4861 section 7.2.4)
                source, mac = _ALL_NODES, _ALL_NODES_MAC
            message = struct.pack("!BBHBxxx", _ADVERTISEMENT, 0, 0, flags) + target + b"\2\1" + self._mac
            self._put(mac, _IPV6, _icmpv6(target, source, message))

    def _learn(self, address: bytes, mac: bytes, *, new: bool) -> None:
        """That is its link-layer address: what waited for it leaves. `new`: kept though nobody asked for it."""
        peer = socket.inet_ntop(socket.AF_INET6 if len(address) == 16 else socket.AF_INET, address)
        if not (new or peer in self._neighbours or peer in self._waiting):
            return
        self._neighbours[peer] = mac
        self._asked.pop(peer, None)
        for packet in self._waiting.pop(peer, ()):
            self._put(mac, _IPV6 if len(address) == 16 else _IPV4, packet)


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


@lru_cache(maxsize=4096)
def _ip_header(protocol: int, length: int, source: str, destination: str) -> bytes:
    return ip_header(protocol, length, source, destination)


def _arp_message(operation: int, sender_mac: bytes, sender: bytes, target_mac: bytes, target: bytes) -> bytes:
    return struct.pack("!HHBBH", 1, _IPV4, 6, 4, operation) + sender_mac + sender + target_mac + target


def _icmpv6(source: bytes, destination: bytes, message: bytes) -> bytes:
    """An IPv6 packet with it, its checksum found (RFC 4443 section 2.3); hop limit 255."""
    total = residue(source + destination + struct.pack("!II", len(message), _ICMPV6) + message)
    message = message[:2] + struct.pack("!H", -total % 0xFFFF) + message[4:]
    return struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, 255) + source + destination + message
