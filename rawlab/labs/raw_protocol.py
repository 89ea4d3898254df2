"""An IP protocol of one's own (253, for experiments, RFC 3692) between two raw sockets. See packets without ports or
transport, and ICMP protocol unreachable when no raw socket of that protocol is left."""

from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SOCK_RAW
from rawlab.model.lab import Options

PORT = 7
LOOPBACK = False  # others' packets are told apart by ports there


def server(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_RAW, 253)
    sync.post("the server is there")
    c.recvfrom(sockfd, 65535, "0")
    c.close(sockfd)
    sync.post("the server is gone")


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_RAW, 253)
    sync.wait("the server is there")
    c.sendto(sockfd, lab.message, "0", Endpoint(lab.server.address, 0))
    sync.wait("the server is gone")
    c.sendto(sockfd, b"is anyone there?", "0", Endpoint(lab.server.address, 0))
    c.nanosleep(0.05)
    c.close(sockfd)
