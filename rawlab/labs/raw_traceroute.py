"""UDP datagrams with a TTL of 1, 2, … to a server behind a router, and a raw socket for the answers: traceroute(8). See
that the router takes one from the TTL, and that who can't send on or has no socket for a datagram tells so by ICMP."""

from rawlab.labs.headers import ICMP, TTL
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SOCK_DGRAM, SOCK_RAW
from rawlab.model.lab import Options

PORT = 33434  # of the first datagram; nobody has it
ROUTER = True
MOST_HOPS = 30
MOST_OCTETS = 1024


def server(c: Calls, lab: Options, sync: Sync) -> None:
    pass


def client(c: Calls, lab: Options, sync: Sync) -> None:
    icmpfd = c.socket(lab.domain, SOCK_RAW, ICMP[lab.domain])
    sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
    for ttl in range(1, MOST_HOPS + 1):
        c.setsockopt(sockfd, *TTL[lab.domain], ttl)
        c.sendto(sockfd, lab.message, "0", Endpoint(lab.server.address, lab.server.port + ttl - 1))
        _, hop = c.recvfrom(icmpfd, 65535, "0")
        if hop and hop.address == lab.server.address:
            break
    c.close(sockfd)
    c.close(icmpfd)
