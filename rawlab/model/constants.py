"""C's constants by their names, for the labs and for what is shown.

A constant is its own name: a recorded call says SOCK_STREAM, not 1, and reads the same on every system. The
numbers behind the names are the kernel's; `live.libc` looks them up. `|` combines flags as in C:

>>> MSG_PEEK | MSG_DONTWAIT
'MSG_PEEK|MSG_DONTWAIT'
"""

from __future__ import annotations

from rawlab.model.address import Endpoint


class Symbol(str):
    """A constant's name; `|` joins two, as in C."""

    __slots__ = ()

    def __or__(self, other: str) -> Symbol:
        return Symbol(f"{self}|{other}")


AF_INET, AF_INET6, AF_PACKET, AF_UNIX = map(Symbol, ("AF_INET", "AF_INET6", "AF_PACKET", "AF_UNIX"))
SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW = map(
    Symbol, ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET", "SOCK_RAW")
)
IPPROTO_IP, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP = map(
    Symbol, ("IPPROTO_IP", "IPPROTO_ICMP", "IPPROTO_TCP", "IPPROTO_UDP")
)
IPPROTO_IPV6, IPPROTO_ICMPV6, IPPROTO_SCTP, IPPROTO_RAW = map(
    Symbol, ("IPPROTO_IPV6", "IPPROTO_ICMPV6", "IPPROTO_SCTP", "IPPROTO_RAW")
)
SOL_SOCKET = Symbol("SOL_SOCKET")
SO_REUSEADDR, SO_ERROR, SO_LINGER, SO_RCVBUF, SO_SNDBUF = map(
    Symbol, ("SO_REUSEADDR", "SO_ERROR", "SO_LINGER", "SO_RCVBUF", "SO_SNDBUF")
)
TCP_NODELAY, TCP_SYNCNT, TCP_QUICKACK = map(Symbol, ("TCP_NODELAY", "TCP_SYNCNT", "TCP_QUICKACK"))
MSG_OOB, MSG_PEEK, MSG_DONTROUTE, MSG_TRUNC = map(
    Symbol, ("MSG_OOB", "MSG_PEEK", "MSG_DONTROUTE", "MSG_TRUNC")
)
MSG_DONTWAIT, MSG_WAITALL, MSG_NOSIGNAL = map(Symbol, ("MSG_DONTWAIT", "MSG_WAITALL", "MSG_NOSIGNAL"))
SHUT_RD, SHUT_WR, SHUT_RDWR = map(Symbol, ("SHUT_RD", "SHUT_WR", "SHUT_RDWR"))
POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP = map(
    Symbol, ("POLLIN", "POLLPRI", "POLLOUT", "POLLERR", "POLLHUP")
)
F_GETFL, F_SETFL, O_NONBLOCK = map(Symbol, ("F_GETFL", "F_SETFL", "O_NONBLOCK"))

INADDR_ANY = "0.0.0.0"
IN6ADDR_ANY = "::"


def any_address(of: Endpoint) -> Endpoint:
    """The wildcard address of the same family, with the same port: INADDR_ANY or in6addr_any."""
    return Endpoint(IN6ADDR_ANY if ":" in of.address else INADDR_ANY, of.port)
