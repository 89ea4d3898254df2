"""Flags of UDP calls: MSG_PEEK, MSG_TRUNC, MSG_DONTROUTE. See a datagram peeked at and then read, one that is larger
than the buffer lose its rest, its true length told with MSG_TRUNC, and one sent past the routing table."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import MSG_DONTROUTE, MSG_PEEK, MSG_TRUNC, SOCK_DGRAM, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
    c.bind(sockfd, any_address(lab.server))
    sync.post("the server is bound")
    c.recvfrom(sockfd, 4096, MSG_PEEK)
    c.recvfrom(sockfd, 4096, "0")
    c.recvfrom(sockfd, 4, "0")
    c.recvfrom(sockfd, 4, MSG_TRUNC)
    c.recvfrom(sockfd, 4096, "0")
    c.close(sockfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server is bound")
    sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
    c.sendto(sockfd, b"peeked at", "0", lab.server)
    c.sendto(sockfd, b"longer than four", "0", lab.server)
    c.sendto(sockfd, b"longer than four too", "0", lab.server)
    c.sendto(sockfd, b"to a neighbour", MSG_DONTROUTE, lab.server)
    c.close(sockfd)
