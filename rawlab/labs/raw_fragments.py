"""A UDP datagram in IP fragments by hand, the last sent first; then one whose middle is never sent. See that recvfrom
waits for all fragments of the first, and that the kernel gives the second up: after 1 s here, else after 30 or 60."""

from rawlab.labs.headers import ICMP, udp, udp_fragment
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_RAW, MSG_DONTWAIT, POLLIN, SOCK_DGRAM, SOCK_RAW, any_address
from rawlab.model.lab import Options

PORT = 7
NEIGHBOURS_KNOWN = True


def server(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_DGRAM, 0)
    c.bind(sockfd, any_address(lab.server))
    sync.post("the server is bound")
    c.recvfrom(sockfd, 4096, "0")
    sync.wait("nothing comes any more")
    c.recvfrom(sockfd, 4096, MSG_DONTWAIT)
    c.close(sockfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    source, destination = Endpoint(lab.client, 40000), Endpoint(lab.server.address, 0)
    datagram = udp(source, lab.server, b"the beginning, the middle, where two are needed, and the end")
    icmpfd = c.socket(lab.domain, SOCK_RAW, ICMP[lab.domain])
    rawfd = c.socket(lab.domain, SOCK_RAW, IPPROTO_RAW)
    sync.wait("the server is bound")
    for identification, places in ((1, (48, 24, 0)), (2, (48, 0))):
        for at in places:
            piece = udp_fragment(lab.client, lab.server.address, identification, datagram, at, at + 24)
            c.sendto(rawfd, piece, "0", destination)
    c.poll([(icmpfd, POLLIN)], 5000)
    c.recvfrom(icmpfd, 65535, MSG_DONTWAIT)
    sync.post("nothing comes any more")
    c.close(rawfd)
    c.close(icmpfd)
