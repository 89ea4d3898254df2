"""An interface of the present network: what a packet that leaves there calls its sender (netdevice(7))."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address

_SIOCGIFADDR, _SIOCGIFHWADDR, _SIOCGIFMTU, _SIOCGIFFLAGS = 0x8915, 0x8927, 0x8921, 0x8913
_IFF_UP = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """Its own addresses, where it has them."""

    ipv4: str | None
    ipv6: str | None
    mac: str
    mtu: int
    up: bool


def addresses(name: str) -> Interface:
    """The interface's addresses and MTU. Raises OSError where there is no such interface."""
    ipv4 = None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        with contextlib.suppress(OSError):  # EADDRNOTAVAIL: it has none
            ipv4 = socket.inet_ntoa(_ask(asked, _SIOCGIFADDR, name)[20:24])
        mac = _ask(asked, _SIOCGIFHWADDR, name)[18:24].hex(":")
        (mtu,) = struct.unpack_from("=i", _ask(asked, _SIOCGIFMTU, name), 16)
        (flags,) = struct.unpack_from("=H", _ask(asked, _SIOCGIFFLAGS, name), 16)
    return Interface(ipv4=ipv4, ipv6=_ipv6(name), mac=mac, mtu=mtu, up=bool(flags & _IFF_UP))


def hardware_type(name: str) -> int:
    """Its kind of link, ARPHRD_* of <linux/if_arp.h>: 1 Ethernet, 772 loopback. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        (kind,) = struct.unpack_from("=H", _ask(asked, _SIOCGIFHWADDR, name), 16)
    return int(kind)


def _ask(asked: socket.socket, what: int, name: str) -> bytes:
    return fcntl.ioctl(asked.fileno(), what, struct.pack("=16s24x", name.encode()))


def _ipv6(name: str) -> str | None:
    """Its first global address, else its first one: proc(5), /proc/net/if_inet6."""
    found: list[tuple[int, str]] = []
    with contextlib.suppress(OSError), open("/proc/net/if_inet6") as file:
        for line in file:
            digits, _, _, scope, _, interface = line.split()
            if interface == name:
                found.append((int(scope, 16), str(ip_address(bytes.fromhex(digits)))))
    return min(found)[1] if found else None
