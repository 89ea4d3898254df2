"""The wire of a replay: two private hosts on a veth pair that say nothing by themselves, and answer nothing.

No interface has an IP address, IPv6 and ARP are off, and none has a MAC address that a capture would name: what comes
in is for another host (packet(7), PACKET_OTHERHOST), and the kernel drops it once the packet sockets have seen it. The
MTU is veth's largest. As with a lab's network, nothing has a name outside, and all goes with the last process.
"""

from __future__ import annotations

import contextlib
import socket

from rawlab.errors import PermissionMissing
from rawlab.live import libc, needs
from rawlab.live.network import CLIENT, OFFLOADS, SERVER, End, Network, switch_off

_MTU = 65_535
_NO_ADDRESS = 1  # IN6_ADDR_GEN_MODE_NONE of <linux/if_link.h>
_HOSTS = (CLIENT.name, SERVER.name)


class SilentWire(Network):
    """Two hosts, of which nothing is heard but what is sent through packet sockets."""

    def _join(self) -> None:
        from pyroute2.iproute.linux import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError

        for host in _HOSTS:
            with self.inside(host), contextlib.suppress(OSError):
                for kind in ("all", "default"):
                    with open(f"/proc/sys/net/ipv6/conf/{kind}/disable_ipv6", "w") as file:
                        file.write("1")
        one, other = (End(host=host, interface=host, addresses=(), number=0x61 + n) for n, host in enumerate(_HOSTS))
        try:
            self._lay(one, other)
            for host in _HOSTS:
                with self.inside(host), IPRoute() as route:
                    for offload in OFFLOADS.values():
                        switch_off(host, offload)
                    index = socket.if_nametoindex(host)
                    mode = {"attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", _NO_ADDRESS)]})]}
                    with contextlib.suppress(NetlinkError):  # a kernel without IPv6
                        route.link("set", index=index, IFLA_AF_SPEC=mode)
                    route.link("set", index=index, arp=False, mtu=_MTU)
                    route.link("set", index=index, state="up")
        except NetlinkError as error:
            raise OSError(error.code, f"veth: {libc.errno_name(error.code)}") from None

    def _settle(self) -> None:
        """There is nothing to wait for."""


def silent_wire() -> SilentWire:
    """Made, or PermissionMissing with the fix."""
    try:
        return SilentWire()
    except OSError as error:
        what = f"{str(error.strerror).partition(':')[0]}: {libc.errno_name(error.errno or 0)}"
        raise PermissionMissing(f"a private network is refused ({what}): {needs.why_refused()}") from None
