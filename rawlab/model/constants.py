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
ETH_P_IP, ETH_P_IPV6 = map(Symbol, ("ETH_P_IP", "ETH_P_IPV6"))
SOL_SOCKET, SOL_SCTP = map(Symbol, ("SOL_SOCKET", "SOL_SCTP"))
SO_REUSEADDR, SO_ERROR, SO_LINGER, SO_RCVBUF, SO_SNDBUF = map(
    Symbol, ("SO_REUSEADDR", "SO_ERROR", "SO_LINGER", "SO_RCVBUF", "SO_SNDBUF")
)
IP_TTL, IPV6_UNICAST_HOPS = map(Symbol, ("IP_TTL", "IPV6_UNICAST_HOPS"))
TCP_NODELAY, TCP_SYNCNT, TCP_QUICKACK = map(Symbol, ("TCP_NODELAY", "TCP_SYNCNT", "TCP_QUICKACK"))
MSG_OOB, MSG_PEEK, MSG_DONTROUTE, MSG_TRUNC = map(
    Symbol, ("MSG_OOB", "MSG_PEEK", "MSG_DONTROUTE", "MSG_TRUNC")
)
SCTP_INITMSG, SCTP_RTOINFO, SCTP_ASSOCINFO, SCTP_STATUS = map(
    Symbol, ("SCTP_INITMSG", "SCTP_RTOINFO", "SCTP_ASSOCINFO", "SCTP_STATUS")
)
SCTP_EVENTS, SCTP_NODELAY, SCTP_AUTOCLOSE, SCTP_DELAYED_SACK = map(
    Symbol, ("SCTP_EVENTS", "SCTP_NODELAY", "SCTP_AUTOCLOSE", "SCTP_DELAYED_SACK")
)
SCTP_MAXSEG, SCTP_MAX_BURST, SCTP_DISABLE_FRAGMENTS, SCTP_PARTIAL_DELIVERY_POINT = map(
    Symbol, ("SCTP_MAXSEG", "SCTP_MAX_BURST", "SCTP_DISABLE_FRAGMENTS", "SCTP_PARTIAL_DELIVERY_POINT")
)
SCTP_PRIMARY_ADDR, SCTP_PEER_ADDR_PARAMS, SCTP_GET_PEER_ADDR_INFO = map(
    Symbol, ("SCTP_PRIMARY_ADDR", "SCTP_PEER_ADDR_PARAMS", "SCTP_GET_PEER_ADDR_INFO")
)
SCTP_GET_PEER_ADDRS, SCTP_GET_LOCAL_ADDRS, SCTP_GET_ASSOC_ID_LIST = map(
    Symbol, ("SCTP_GET_PEER_ADDRS", "SCTP_GET_LOCAL_ADDRS", "SCTP_GET_ASSOC_ID_LIST")
)
SCTP_SOCKOPT_BINDX_ADD, SCTP_SOCKOPT_BINDX_REM, SCTP_SOCKOPT_CONNECTX, SCTP_SOCKOPT_PEELOFF = map(
    Symbol,
    ("SCTP_SOCKOPT_BINDX_ADD", "SCTP_SOCKOPT_BINDX_REM", "SCTP_SOCKOPT_CONNECTX", "SCTP_SOCKOPT_PEELOFF"),
)
SCTP_UNORDERED, SCTP_ADDR_OVER, SCTP_EOF, SCTP_ABORT = map(
    Symbol, ("SCTP_UNORDERED", "SCTP_ADDR_OVER", "SCTP_EOF", "SCTP_ABORT")
)
SPP_HB_ENABLE, SPP_HB_DISABLE, SPP_HB_DEMAND = map(
    Symbol, ("SPP_HB_ENABLE", "SPP_HB_DISABLE", "SPP_HB_DEMAND")
)
MSG_DONTWAIT, MSG_WAITALL, MSG_NOSIGNAL = map(Symbol, ("MSG_DONTWAIT", "MSG_WAITALL", "MSG_NOSIGNAL"))
MSG_EOR, MSG_NOTIFICATION = map(Symbol, ("MSG_EOR", "MSG_NOTIFICATION"))
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


def htons(constant: str) -> Symbol:
    """A constant in network byte order, as strace writes it: htons(ETH_P_IP), the protocol of a packet(7) socket."""
    return Symbol(f"htons({constant})")
