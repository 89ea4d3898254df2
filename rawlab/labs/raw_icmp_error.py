"""Port unreachable by hand, for a datagram that none of the server's sockets sent, and then for one that one did. See
that the kernel believes what an error quotes: the first is ignored, the second ends recv, though nobody refused."""

from rawlab.labs.headers import ICMP, ip, port_unreachable, udp
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SOCK_DGRAM, SOCK_RAW, any_address
from rawlab.model.lab import Options

PORT = 7
MOST_OCTETS = 512
LOOPBACK = False  # where the client's port may be taken


def server(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the client is bound")
    sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
    c.bind(sockfd, any_address(lab.server))
    c.connect(sockfd, Endpoint(lab.client, 40000))
    c.send(sockfd, lab.message, "0")
    c.recv(sockfd, 4096, "0")
    c.close(sockfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
    c.bind(sockfd, Endpoint(lab.client, 40000))
    rawfd = c.socket(lab.domain, SOCK_RAW, ICMP[lab.domain])
    sync.post("the client is bound")
    data, _ = c.recvfrom(sockfd, 4096, "0")
    for port in (lab.server.port ^ 1, lab.server.port):
        datagram = udp(Endpoint(lab.server.address, port), Endpoint(lab.client, 40000), data)
        quoted = ip(lab.server.address, lab.client, 17, datagram)
        c.sendto(rawfd, port_unreachable(quoted), "0", Endpoint(lab.server.address, 0))
    c.close(rawfd)
    c.close(sockfd)
