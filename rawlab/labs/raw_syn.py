"""A SYN by hand from the host's own address to a real server. See that the host's kernel, which knows nothing of that
SYN, answers the server's SYN-ACK with RST: a program can't have a TCP of its own on an address that the kernel owns."""

from rawlab.labs.headers import SYN, tcp
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_TCP, SOCK_RAW, SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    sync.wait("the client has seen the answer")
    c.close(listenfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_RAW, IPPROTO_TCP)
    syn = tcp(Endpoint(lab.client, 40000), lab.server, SYN, 1000, 0)
    c.sendto(sockfd, syn, "0", Endpoint(lab.server.address, 0))
    c.recvfrom(sockfd, 65535, "0")
    sync.post("the client has seen the answer")
    c.close(sockfd)
