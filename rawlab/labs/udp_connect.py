"""connect on a UDP socket sends nothing; it notes the peer. See send without an address, an ICMP port unreachable come
back as ECONNREFUSED at the next call, and the same without connect: nobody is told."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import MSG_DONTWAIT, SOCK_DGRAM
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
    c.bind(sockfd, lab.server)
    sync.post("the server is bound")
    c.recvfrom(sockfd, 4096, "0")
    c.close(sockfd)
    sync.post("the server is gone")


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server is bound")
    connected = c.socket(lab.domain, SOCK_DGRAM, 0)
    c.connect(connected, lab.server)
    c.send(connected, b"one", "0")
    sync.wait("the server is gone")
    c.send(connected, b"two", "0")
    c.nanosleep(0.05)
    c.send(connected, b"three", "0")
    c.close(connected)
    unconnected = c.socket(lab.domain, SOCK_DGRAM, 0)
    c.sendto(unconnected, b"four", "0", lab.server)
    c.nanosleep(0.05)
    c.recvfrom(unconnected, 4096, MSG_DONTWAIT)
    c.close(unconnected)
