"""Two private hosts: two anonymous network namespaces, joined by a veth pair (network_namespaces(7), veth(4)).

    client 10.0.0.1, fd00::1  ══ veth ══  10.0.0.2, fd00::2 server
           10.0.1.1, fd01::1  ══ veth ══  10.0.1.2, fd01::2               where a lab asks for two paths

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
from collections.abc import Iterator

from rawlab.live import libc, link
from rawlab.model.lab import Wire
from rawlab.model.timeline import Host, Point

CLIENT = Host(name="client", addresses=("10.0.0.1", "fd00::1"))
SERVER = Host(name="server", addresses=("10.0.0.2", "fd00::2"))
SECOND_PATH = {CLIENT.name: ("10.0.1.1", "fd01::1"), SERVER.name: ("10.0.1.2", "fd01::2")}
NOBODY = ("10.0.0.3", "fd00::3")  # the client sends to these, and nobody answers
LOOPBACK = tuple(Host(name=name, addresses=("127.0.0.1", "::1")) for name in ("client", "server"))

# In each namespace, before its interface exists. Best effort: where /proc/sys is read-only, IPv6 may speak first.
_SYSCTLS = {
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
_WIRE = "wire"
_ONE_PATH = Wire()
_MLD_REPORTS = 2  # a new address is told twice (RFC 3810 section 9.14.1), here within a few ticks
_SETTLE_SECONDS = 2.0  # on a machine that has much else to do; else some milliseconds
_SIOCETHTOOL = 0x8946
_ETHERNET = 1  # the LINKTYPE_ registry
# include/uapi/linux/ethtool.h: ETHTOOL_STXCSUM, STSO, SGSO, SGRO, SSG
_OFFLOADS = {"tx-checksum": 0x17, "tso": 0x1F, "gso": 0x24, "gro": 0x2C, "scatter-gather": 0x19}


def hosts(loopback: bool, wire: Wire = _ONE_PATH) -> tuple[Host, ...]:
    """The two hosts, each with its addresses on each path: private ones, or both on the present network's loopback."""
    if loopback or wire.paths == 1:
        return LOOPBACK if loopback else (CLIENT, SERVER)
    return tuple(Host(name=host.name, addresses=host.addresses + SECOND_PATH[host.name]) for host in (CLIENT, SERVER))


def points(loopback: bool, wire: Wire = _ONE_PATH) -> list[Point]:
    """Where packets are captured: at each host's end of each veth pair, or once on loopback."""
    if loopback:
        return [Point(name="lo", linktype=_ETHERNET)]
    ends = [(interface(host.name, path), host) for path in range(1, wire.paths + 1) for host in (CLIENT, SERVER)]
    return [Point(name=name, linktype=_ETHERNET, host=host.name) for name, host in ends]


def interface(host: str, path: int) -> str:
    """The host's interface to a path: 'client', 'client2'."""
    return host if path == 1 else f"{host}{path}"


class Network:
    """The hosts' namespaces, each by a descriptor; `inside` enters one. A wire with time or faults has one too."""

    def __init__(self, wire: Wire = _ONE_PATH) -> None:
        """Makes the hosts and joins them. Raises OSError."""
        self.namespaces: dict[str, int] = {}
        self.paths = range(1, wire.paths + 1)
        self.relay: int | None = None
        "the pid of the process between the hosts, where there is one"
        relayed = wire.delay_ms > 0 or bool(wire.faults)
        for name in (CLIENT.name, SERVER.name, *((_WIRE,) if relayed else ())):
            libc.unshare(libc.CLONE_NEWNET)
            self.namespaces[name] = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            for setting, value in _SYSCTLS.items():
                with contextlib.suppress(OSError), open(f"/proc/sys/{setting}", "w") as file:
                    file.write(value)
        self._join()
        self._settle()
        if relayed:
            with self.inside(_WIRE):
                ends = [(f"to-{interface(CLIENT.name, n)}", f"to-{interface(SERVER.name, n)}") for n in self.paths]
                self.relay = link.start(wire.delay_ms, wire.faults, ends)

    def _join(self) -> None:
        from pyroute2.iproute.linux import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            for path in self.paths:
                self._lay(path)
            for host in (CLIENT, SERVER):
                with self.inside(host.name), IPRoute() as route:
                    for path in self.paths:
                        _set_up(route, host, path)
                    route.link("set", index=socket.if_nametoindex("lo"), state="up")
        except NetlinkError as error:
            raise OSError(error.code, f"veth: {os.strerror(error.code)}") from None

    def _lay(self, path: int) -> None:
        """Joins the hosts by one path: a veth pair, or two with the relay between."""
        client, server = interface(CLIENT.name, path), interface(SERVER.name, path)
        first = _first_number(path)
        if _WIRE in self.namespaces:
            self._pair((CLIENT.name, client, first), (_WIRE, f"to-{client}", first + 2))
            self._pair((SERVER.name, server, first + 1), (_WIRE, f"to-{server}", first + 3))
        else:
            self._pair((CLIENT.name, client, first), (SERVER.name, server, first + 1))

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
        for host in (CLIENT.name, SERVER.name):
            with self.inside(host):
                for path in self.paths:
                    while _sent(interface(host, path)) < _MLD_REPORTS and time.monotonic() < deadline:
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


def _first_number(path: int) -> int:
    """The client's end of a path; the server's, and the relay's two, have the next numbers."""
    return 4 * path - 3


def _mac(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


def _set_up(route: object, host: Host, path: int) -> None:
    """Of one interface of the present namespace: offloads off, addresses on, link up."""
    from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD

    name = interface(host.name, path)
    for offload in _OFFLOADS.values():
        _switch_off(name, offload)
    index = socket.if_nametoindex(name)
    for address in host.addresses if path == 1 else SECOND_PATH[host.name]:
        version6 = ":" in address
        route.addr(  # type: ignore[attr-defined]
            "add",
            index=index,
            address=address,
            prefixlen=64 if version6 else 24,
            flags=IFA_F_NODAD if version6 else 0,
        )
    if host is CLIENT and path == 1:  # what is sent there arrives, and is for nobody
        for address in NOBODY:
            route.neigh("add", dst=address, lladdr=_mac(2), ifindex=index, state="permanent")  # type: ignore[attr-defined]
    route.link("set", index=index, state="up")  # type: ignore[attr-defined]


def _switch_off(interface: str, command: int) -> None:
    """One ethtool ioctl with the value 0; an offload that the kernel does not know is off already."""
    value = ctypes.create_string_buffer(struct.pack("=II", command, 0), 8)
    request = struct.pack("=16sQ16x", interface.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked, contextlib.suppress(OSError):
        fcntl.ioctl(asked.fileno(), _SIOCETHTOOL, request)
