"""What an endpoint of ours puts its packets on, and takes them from: the wire, as far as one IP protocol goes.

    RawLink      raw(7) sockets of the protocol, one for each address of this host: the kernel writes the IP header,
                 and, having a raw socket for the protocol, sends no 'protocol unreachable'. For a kernel that does not
                 speak the protocol itself; one that does would answer beside us.
    BesideLink   for a kernel that does: sends as a RawLink, receives by packet(7) sockets, which see a packet before
                 the kernel's IP does; a routing rule keeps it from the kernel (rule 'iif … ipproto sctp blackhole').

At an address that no kernel owns nobody else answers, and more is to be done: `live.own_address`.

All: `filenos` to wait for, `receive` takes one packet, `send` puts one on. Each system call goes through `record`, so
that it can be shown beside the program's. What the packets say does *not* belong here.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from rawlab.live.filter import protocol_program
from rawlab.live.ring import PACKET_IGNORE_OUTGOING, SOL_PACKET, attach_filter
from rawlab.model.address import Endpoint
from rawlab.model.event import Value

Args = Sequence[tuple[str, Value]]
Record = Callable[[str, Args, Callable[[], Any], Callable[[Any], tuple[int, Args]]], Any]
"""(name, arguments, what makes the call, what makes result and arguments of what it returned) -> what it returned."""
Arrived = tuple[bytes, str, str]
"""A packet from its transport header on, the address it came from, the one it came to."""

SCTP = socket.IPPROTO_SCTP
_ROOM = 1 << 16
_RECEIVE_BUFFER = 1 << 22
_SO_RCVBUFFORCE = 33
_LOCAL_TABLE = 255  # RT_TABLE_LOCAL
_ETHERTYPES = {4: 0x0800, 6: 0x86DD}
_TTL = 64


def unrecorded(_: str, __: Args, call: Callable[[], Any], ___: Callable[[Any], tuple[int, Args]]) -> Any:
    """Makes the call, and tells nobody."""
    return call()


class RawLink:
    """One raw socket for each of this host's addresses, bound to it."""

    def __init__(self, addresses: Sequence[str], protocol: int = SCTP, record: Record = unrecorded) -> None:
        """Raises OSError (EPERM: without CAP_NET_RAW)."""
        self._record = record
        self._sockets: dict[str, socket.socket] = {}
        self._addresses: dict[int, str] = {}
        for address in addresses:
            opened = self._open(address, protocol)
            self._sockets[address] = opened
            self._addresses[opened.fileno()] = address
        self.filenos = tuple(self._addresses)

    def _open(self, address: str, protocol: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = [("domain", family.name), ("type", "SOCK_RAW|SOCK_CLOEXEC"), ("protocol", protocol_name(protocol))]
        opened: socket.socket = self._record(
            "socket", kind, lambda: socket.socket(family, socket.SOCK_RAW, protocol), lambda made: (made.fileno(), kind)
        )
        at: Args = [("sockfd", opened.fileno()), ("addr", Endpoint(address, 0))]
        self._record("bind", at, lambda: opened.bind((address, 0)), lambda _: (0, at))
        opened.setblocking(False)
        with contextlib.suppress(OSError):  # for root alone
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        return opened

    def send(self, packet: bytes, source: str, destination: str) -> None:
        """Puts it on the wire; what the kernel can't send is lost, as on any wire."""
        sender = self._sockets.get(source)
        if sender is None:
            return
        args: Args = [
            ("sockfd", sender.fileno()),
            ("buf", packet),
            ("len", len(packet)),
            ("flags", "0"),
            ("dest_addr", Endpoint(destination, 0)),
        ]
        with contextlib.suppress(OSError):
            self._record("sendto", args, lambda: sender.sendto(packet, (destination, 0)), lambda sent: (sent, args))

    def receive(self, fileno: int) -> Arrived | None:
        """The next packet of one of `filenos`, if there is one."""
        address = self._addresses[fileno]
        receiver = self._sockets[address]
        before: Args = [("sockfd", fileno), ("buf", None), ("len", _ROOM), ("flags", "0"), ("src_addr", None)]

        def after(got: tuple[bytes, Any]) -> tuple[int, Args]:
            filled: Args = [before[0], ("buf", got[0]), *before[2:4], ("src_addr", Endpoint(got[1][0], 0))]
            return len(got[0]), filled

        try:
            data, (source, *_) = self._record("recvfrom", before, lambda: receiver.recvfrom(_ROOM), after)
        except OSError:
            return None
        if ":" in address:  # raw(7): IPv6's header is not given, ipv6(7)
            return data, source.partition("%")[0], address
        if len(data) < 20:
            return None
        return data[(data[0] & 15) * 4 :], source, address

    def close(self) -> None:
        """Closes its sockets."""
        for opened in self._sockets.values():
            opened.close()


class BesideLink(RawLink):
    """A RawLink beside a kernel that speaks the protocol itself, and shall not see its packets."""

    def __init__(self, addresses: Sequence[str], protocol: int = SCTP, record: Record = unrecorded) -> None:
        """Raises OSError (EPERM: without CAP_NET_RAW or CAP_NET_ADMIN; EAFNOSUPPORT: a kernel without rules)."""
        versions = sorted({6 if ":" in address else 4 for address in addresses})
        keep_from_kernel(protocol, versions)
        super().__init__(addresses, protocol, record)
        self._protocol = protocol
        receivers = [_packet_socket(version, protocol, record, _ETHERTYPES[version]) for version in versions]
        self._receivers = {receiver.fileno(): receiver for receiver in receivers}
        self.filenos = tuple(self._receivers)

    def receive(self, fileno: int) -> Arrived | None:
        """The next packet of one of `filenos`, if there is one and it is for one of the addresses."""
        arrived = _take(self._receivers[fileno], self._protocol, self._record)
        return arrived if arrived is not None and arrived[2] in self._sockets else None

    def close(self) -> None:
        """Closes its sockets; the rule stays as long as the network namespace."""
        super().close()
        for receiver in self._receivers.values():
            receiver.close()


def _packet_socket(version: int, protocol: int, record: Record, ethertype: int) -> socket.socket:
    """One that receives what arrives of the protocol, from its IP header on: at any interface, unless it is bound."""
    number = f"htons({ethertype:#06x})" if ethertype else 0
    kind: Args = [("domain", "AF_PACKET"), ("type", "SOCK_DGRAM|SOCK_CLOEXEC"), ("protocol", number)]
    opened: socket.socket = record(
        "socket",
        kind,
        lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ethertype)),
        lambda made: (made.fileno(), kind),
    )
    opened.setblocking(False)
    attach_filter(opened, protocol_program(version, protocol), _ROOM)
    opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    return opened


def _take(receiver: socket.socket, protocol: int, record: Record) -> Arrived | None:
    """The next packet of a packet socket."""
    before: Args = [("sockfd", receiver.fileno()), ("buf", None), ("len", _ROOM), ("flags", "0"), ("src_addr", None)]

    def after(got: tuple[bytes, Any]) -> tuple[int, Args]:
        return len(got[0]), [before[0], ("buf", got[0]), *before[2:4], ("src_addr", got[1][4].hex(":"))]

    try:
        data, _ = record("recvfrom", before, lambda: receiver.recvfrom(_ROOM), after)
    except OSError:
        return None
    return read_ip(data, protocol)


def keep_from_kernel(protocol: int, versions: Sequence[int]) -> None:
    """Makes the present namespace's IP drop what arrives of the protocol; what is sent is not touched.

    Rules are asked in order, and the first asks for the host's own addresses: it has to come second. Raises OSError.
    """
    from pyroute2.iproute.linux import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    try:
        with IPRoute() as route:
            for version in versions:
                family = socket.AF_INET6 if version == 6 else socket.AF_INET
                for name in names:
                    drop = {"iifname": name, "ip_proto": protocol, "action": "FR_ACT_BLACKHOLE"}
                    route.rule("add", family=family, priority=1, **drop)
                route.rule("add", family=family, priority=2, table=_LOCAL_TABLE)
                route.rule("del", family=family, priority=0)
    except NetlinkError as error:
        raise OSError(error.code, "a routing rule for one protocol is refused") from None


def protocol_name(protocol: int) -> str:
    """'IPPROTO_SCTP' for 132; another number as itself."""
    return "IPPROTO_SCTP" if protocol == SCTP else str(protocol)


def ip_header(protocol: int, length: int, source: str, destination: str) -> bytes:
    """An IPv4 header without options (RFC 791 section 3.1), or an IPv6 header (RFC 8200 section 3)."""
    if ":" in source:
        ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
        return struct.pack("!IHBB", 6 << 28, length, protocol, _TTL) + ends
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, _TTL, protocol, 0) + ends
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + header[12:]


def read_ip(data: bytes, protocol: int) -> Arrived | None:
    """What an IP packet of the protocol carries, and between whom; None for any other, for a fragment, or a cut one."""
    if len(data) >= 20 and data[0] >> 4 == 4:
        header, total, fragment = (data[0] & 15) * 4, *struct.unpack_from("!H2xH", data, 2)
        if data[9] != protocol or fragment & 0x3FFF or not 20 <= header <= total <= len(data):
            return None
        return data[header:total], socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
    if len(data) >= 40 and data[0] >> 4 == 6 and data[6] == protocol:
        end = 40 + int.from_bytes(data[4:6])
        source, destination = (socket.inet_ntop(socket.AF_INET6, data[at : at + 16]) for at in (8, 24))
        return (data[40:end], source, destination) if end <= len(data) else None
    return None
