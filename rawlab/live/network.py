"""Two private hosts: two anonymous network namespaces, joined by a veth pair (network_namespaces(7), veth(4)).

    client 10.0.0.1, fd00::1  ══ veth ══  10.0.0.2, fd00::2 server
           10.0.1.1, fd01::1  ══ veth ══  10.0.1.2, fd01::2               where a lab asks for two paths

    client 10.0.0.1, fd00::1  ══ veth ══  10.0.0.254, fd00::254 router
           router 10.0.1.254, fd01::254  ══ veth ══  10.0.1.2, fd01::2 server     where it asks for a router

Nothing has a name outside: the namespaces live as long as the descriptors and processes that hold them, so a
killed run leaves nothing for anyone to clean up. Offloads are off, so that each frame is a real segment with a
valid checksum; what the kernel would send by itself (router solicitations, duplicate address detection, link-
local addresses) is off too, so that the wire is silent until the lab speaks.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rawlab.live import libc, link
from rawlab.model.lab import Wire
from rawlab.model.timeline import Host, Point

CLIENT = Host(name="client", addresses=("10.0.0.1", "fd00::1"))
SERVER = Host(name="server", addresses=("10.0.0.2", "fd00::2"))
SECOND_PATH = {CLIENT.name: ("10.0.1.1", "fd01::1"), SERVER.name: ("10.0.1.2", "fd01::2")}
ROUTER = Host(name="router", addresses=("10.0.0.254", "fd00::254", "10.0.1.254", "fd01::254"))
BEHIND = Host(name=SERVER.name, addresses=SECOND_PATH[SERVER.name])  # the server, where a router is before it
NOBODY = ("10.0.0.3", "fd00::3")  # the client sends to these, and nobody answers
UNOWNED = ("10.0.0.10", "fd00::10")  # of no kernel; where neighbours are known, its packets reach the client
OWN = {"client": ("10.0.0.11", "fd00::11"), "server": ("10.0.0.12", "fd00::12")}  # of no kernel: rawlab's TCP has it
LOOPBACK = tuple(Host(name=name, addresses=("127.0.0.1", "::1")) for name in ("client", "server"))

# In each namespace, before its interface exists. Best effort: where /proc/sys is read-only, IPv6 may speak first.
_SYSCTLS = {
    "net/ipv4/ip_forward": "0",  # else inherited: what is for nobody would be sent on
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/ipfrag_time": "1",
    "net/ipv6/ip6frag_time": "1",
    "net/ipv4/icmp_ratelimit": "0",
    "net/ipv6/icmp/ratelimit": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/router_solicitations": "0",
    "net/ipv6/conf/default/dad_transmits": "0",
    "net/ipv6/conf/default/addr_gen_mode": "1",
    "net/ipv6/conf/default/mldv2_unsolicited_report_interval": "0",
    "net/ipv4/tcp_congestion_control": "cubic",
    "net/ipv4/tcp_ecn": "2",
    "net/ipv4/tcp_fastopen": "0",
    "net/ipv4/tcp_syn_linear_timeouts": "0",  # each wait twice the last, as RFC 6298 and every textbook have it
}
_FORWARDING = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
_WIRE = "wire"
_ONE_PATH = Wire()
_MLD_REPORTS = 2  # a new address is told twice (RFC 3810 section 9.14.1), here within a few ticks
_SETTLE_SECONDS = 2.0  # on a machine that has much else to do; else some milliseconds
_SIOCETHTOOL = 0x8946
_ETHERNET = 1  # the LINKTYPE_ registry
# include/uapi/linux/ethtool.h: ETHTOOL_STXCSUM, STSO, SGSO, SGRO, SSG
OFFLOADS = {"tx-checksum": 0x17, "tso": 0x1F, "gso": 0x24, "gro": 0x2C, "scatter-gather": 0x19}


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of a veth pair."""

    host: str
    interface: str
    addresses: tuple[str, ...]
    number: int
    "the last octet of its MAC address"


def hosts(loopback: bool, wire: Wire = _ONE_PATH) -> tuple[Host, ...]:
    """The hosts, client first, server last, each with its addresses on each path: private ones, or loopback's."""
    if wire.router:
        return CLIENT, ROUTER, BEHIND
    if loopback or wire.paths == 1:
        return LOOPBACK if loopback else (CLIENT, SERVER)
    return tuple(Host(name=host.name, addresses=host.addresses + SECOND_PATH[host.name]) for host in (CLIENT, SERVER))


def with_own_tcp(hosts: tuple[Host, ...], names: Sequence[str]) -> tuple[Host, ...]:
    """The hosts; those of these names have an address more, at which rawlab's TCP speaks."""
    return tuple(
        replace(host, addresses=host.addresses + OWN[host.name], own_tcp=OWN[host.name]) if host.name in names else host
        for host in hosts
    )


def points(loopback: bool, wire: Wire = _ONE_PATH) -> list[Point]:
    """Where packets are captured: at each host's end of each veth pair, or once on loopback."""
    if loopback:
        return [Point(name="lo", linktype=_ETHERNET)]
    return [Point(name=end.interface, linktype=_ETHERNET, host=end.host) for pair in links(wire) for end in pair]


def links(wire: Wire) -> list[tuple[End, End]]:
    """The veth pairs, in order from the client."""
    if wire.router:
        near, far = ROUTER.addresses[:2], ROUTER.addresses[2:]
        return [
            (_end(CLIENT.name, 1, CLIENT.addresses, 1), _end(ROUTER.name, 1, near, 2)),
            (_end(ROUTER.name, 2, far, 5), _end(BEHIND.name, 1, BEHIND.addresses, 6)),
        ]
    paths = [(_end(CLIENT.name, 1, CLIENT.addresses, 1), _end(SERVER.name, 1, SERVER.addresses, 2))]
    if wire.paths == 2:
        here, there = SECOND_PATH[CLIENT.name], SECOND_PATH[SERVER.name]
        paths.append((_end(CLIENT.name, 2, here, 5), _end(SERVER.name, 2, there, 6)))
    return paths


def _end(host: str, path: int, addresses: tuple[str, ...], number: int) -> End:
    return End(host=host, interface=interface(host, path), addresses=addresses, number=number)


def server_points(wire: Wire = _ONE_PATH) -> list[Point]:
    """The server's end of the first path alone: of a flood."""
    return [point for point in points(False, wire) if point.host == SERVER.name][:1]


def interface(host: str, path: int) -> str:
    """The host's interface to a path: 'client', 'client2'."""
    return host if path == 1 else f"{host}{path}"


class Network:
    """The hosts' namespaces, each by a descriptor; `inside` enters one. A wire with time or faults has one too, and the
    router has."""

    def __init__(self, wire: Wire = _ONE_PATH) -> None:
        """Makes the hosts and joins them. Raises OSError."""
        self.wire = wire
        self.namespaces: dict[str, int] = {}
        self.links = links(wire)
        self.relay: int | None = None
        "the pid of the process between the hosts, where there is one"
        relayed = wire.delay_ms > 0 or bool(wire.faults)
        for name in (*(host.name for host in hosts(False, wire)), *((_WIRE,) if relayed else ())):
            libc.unshare(libc.CLONE_NEWNET)
            self.namespaces[name] = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            routes = dict.fromkeys(_FORWARDING if name == ROUTER.name else (), "1")
            for setting, value in (_SYSCTLS | routes).items():
                with contextlib.suppress(OSError), open(f"/proc/sys/{setting}", "w") as file:
                    file.write(value)
        self._join()
        self._settle()
        if relayed:
            with self.inside(_WIRE):
                ends = [(f"to-{one.interface}", f"to-{other.interface}") for one, other in self.links]
                self.relay = link.start(wire.delay_ms, wire.faults, ends)

    def _join(self) -> None:
        from pyroute2.iproute.linux import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            for pair in self.links:
                self._lay(*pair)
            for pair in self.links:
                for end, other in (pair, pair[::-1]):
                    with self.inside(end.host), IPRoute() as route:
                        _set_up(route, end, list(_known(end, other, self.wire)))
                        if self.wire.router and end.host != ROUTER.name:
                            _route_by(route, other)
        except NetlinkError as error:
            raise OSError(error.code, f"veth: {os.strerror(error.code)}") from None

    def _lay(self, one: End, other: End) -> None:
        """Joins two hosts: by a veth pair, or two with the relay between."""
        here, there = ((end.host, end.interface, end.number) for end in (one, other))
        if _WIRE in self.namespaces:
            self._pair(here, (_WIRE, f"to-{one.interface}", one.number + 2))
            self._pair(there, (_WIRE, f"to-{other.interface}", other.number + 2))
        else:
            self._pair(here, there)

    def _pair(self, one: tuple[str, str, int], other: tuple[str, str, int]) -> None:
        """A veth pair between two namespaces; each end: (namespace, interface, number of its MAC address)."""
        from pyroute2.iproute.linux import IPRoute

        # Of a veth pair whose ends have the same index the kernel tells that it is up a second late.
        (here, name, number), (there, its_name, its_number) = one, other
        peer = {"ifname": its_name, "net_ns_fd": self.namespaces[there], "index": 10 + its_number}
        with self.inside(here), IPRoute() as route:
            peer["address"] = _mac(its_number)
            route.link("add", kind="veth", ifname=name, index=10 + number, address=_mac(number), peer=peer)
        if there == _WIRE:
            with self.inside(there), IPRoute() as route:
                route.link("set", index=socket.if_nametoindex(its_name), state="up")

    def _settle(self) -> None:
        """Waits until each host has told its multicast groups, so that the wire is silent."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        for end in (end for pair in self.links for end in pair):
            with self.inside(end.host):
                while _sent(end.interface) < _MLD_REPORTS and time.monotonic() < deadline:
                    time.sleep(0.002)

    @contextlib.contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """Within, this process is on that host's network."""
        libc.setns(self.namespaces[host])
        yield

    def enter(self, host: str) -> None:
        """Puts this process on that host for good, with no way to the other."""
        libc.setns(self.namespaces[host])
        for descriptor in self.namespaces.values():
            os.close(descriptor)


def _sent(interface: str) -> int:
    """How many packets an interface of the present namespace has sent, proc_pid_net(5)."""
    with open("/proc/thread-self/net/dev") as file:
        rows = (line.partition(":") for line in file)
        return next(int(counts.split()[9]) for name, _, counts in rows if name.strip() == interface)


def _mac(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


def _known(end: End, other: End, wire: Wire) -> Iterator[tuple[str, int]]:
    """(address, number of the MAC address) of those whose link-layer addresses a host knows from the beginning."""
    if end.addresses == CLIENT.addresses:  # what is sent there arrives, and is for nobody
        yield from ((address, other.number) for address in NOBODY)
    if wire.neighbours_known or wire.router:  # which would ask from a link-local address; no interface has one here
        theirs = (*other.addresses, *UNOWNED) if other.addresses == CLIENT.addresses else other.addresses
        yield from ((address, other.number) for address in theirs)


def _set_up(route: Any, end: End, known: Sequence[tuple[str, int]]) -> None:
    """Of one interface of the present namespace, and of lo: offloads off, addresses on, links up."""
    from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD

    for offload in OFFLOADS.values():
        switch_off(end.interface, offload)
    index = socket.if_nametoindex(end.interface)
    for address in end.addresses:
        length, flags = (64, IFA_F_NODAD) if ":" in address else (24, 0)
        route.addr("add", index=index, address=address, prefixlen=length, flags=flags)
    for address, number in known:
        route.neigh("add", dst=address, lladdr=_mac(number), ifindex=index, state="permanent")
    route.link("set", index=index, state="up")
    route.link("set", index=socket.if_nametoindex("lo"), state="up")


def _route_by(route: Any, router: End) -> None:
    """What is for no neighbour goes to the router."""
    for address in router.addresses:
        route.route("add", dst="::/0" if ":" in address else "0.0.0.0/0", gateway=address)


def switch_off(interface: str, command: int) -> None:
    """One ethtool ioctl with the value 0; an offload that the kernel does not know is off already."""
    value = ctypes.create_string_buffer(struct.pack("=II", command, 0), 8)
    request = struct.pack("=16sQ16x", interface.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked, contextlib.suppress(OSError):
        fcntl.ioctl(asked.fileno(), _SIOCETHTOOL, request)
