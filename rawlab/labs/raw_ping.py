"""An ICMP echo request by hand over a raw socket. See that the request's octets are the program's, that the server's
kernel answers with no process involved, and that the reply comes to the raw socket with its IP header."""

from rawlab.labs.headers import icmp_echo
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import AF_INET6, IPPROTO_ICMP, IPPROTO_ICMPV6, SOCK_RAW
from rawlab.model.lab import Options

PORT = 7
NEIGHBOURS = (b"\x87", b"\x88")  # types of ICMPv6 messages in ARP's stead: a raw socket gets those, too


def server(c: Calls, lab: Options, sync: Sync) -> None:
    pass


def client(c: Calls, lab: Options, sync: Sync) -> None:
    version6 = lab.domain == AF_INET6
    sockfd = c.socket(lab.domain, SOCK_RAW, IPPROTO_ICMPV6 if version6 else IPPROTO_ICMP)
    for sequence, message in enumerate(lab.messages, 1):
        request = icmp_echo(7, sequence, message, version6=version6)
        c.sendto(sockfd, request, "0", Endpoint(lab.server.address, 0))
        reply, _ = c.recvfrom(sockfd, 65535, "0")
        while reply[:1] in NEIGHBOURS:
            reply, _ = c.recvfrom(sockfd, 65535, "0")
    c.close(sockfd)
