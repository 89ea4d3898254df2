"""UDP echo: no connection, each sendto is a datagram. See that no packet goes before the first sendto, that none
acknowledges it, and that recvfrom says who sent."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SOCK_DGRAM, any_address
from rawlab.model.lab import Options

PORT = 7
INTERACTIVE = True


def server(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
    c.bind(sockfd, any_address(lab.server))
    sync.post("the server is bound")
    for _ in range(lab.clients):
        for _ in lab.messages:
            data, client_address = c.recvfrom(sockfd, 65535, "0")
            if client_address:
                c.sendto(sockfd, data, "0", client_address)
    c.close(sockfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server is bound")
    for _ in range(lab.clients):
        sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
        for message in lab.messages:
            c.sendto(sockfd, message, "0", lab.server)
            c.recvfrom(sockfd, 65535, "0")
        c.close(sockfd)
