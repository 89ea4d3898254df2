"""A whole IP packet by hand (IP_HDRINCL) to a real UDP server. See that the server can't tell: the transport layer
that wrote the UDP header was the program, and the reply finds nobody, so the kernel refuses it by ICMP."""

from rawlab.labs.headers import ip, udp
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_RAW, SOCK_DGRAM, SOCK_RAW, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
    c.bind(sockfd, any_address(lab.server))
    sync.post("the server is bound")
    data, client_address = c.recvfrom(sockfd, 4096, "0")
    if client_address:
        c.sendto(sockfd, data, "0", client_address)
    c.close(sockfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server is bound")
    source = Endpoint(lab.client, 40000)
    packet = ip(source.address, lab.server.address, 17, udp(source, lab.server, lab.message))
    sockfd = c.socket(lab.domain, SOCK_RAW, IPPROTO_RAW)
    c.sendto(sockfd, packet, "0", Endpoint(lab.server.address, 0))
    c.nanosleep(0.05)
    c.close(sockfd)
