"""A datagram larger than the wire's 1500 octets goes in IP fragments. See one sendto in three packets, one recvfrom
that returns it whole, and EMSGSIZE for what is larger than 65,507 octets."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SOCK_DGRAM, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
    c.bind(sockfd, any_address(lab.server))
    sync.post("the server is bound")
    c.recvfrom(sockfd, 65535, "0")
    c.close(sockfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server is bound")
    sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
    c.sendto(sockfd, b"x" * 4000, "0", lab.server)
    c.sendto(sockfd, b"x" * 65536, "0", lab.server)
    c.close(sockfd)
