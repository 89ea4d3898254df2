"""One-to-many sockets: one descriptor holds many associations, and nobody accepts. See that sendmsg to an address sets
an association up and sends with the third step already, and that recvmsg says which association a message came by."""

from rawlab.labs.sctp import sctp_recvmsg, sctp_sendmsg, subscribe
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_SCTP, SOCK_SEQPACKET, any_address
from rawlab.model.lab import Options

PORT = 7
LONGEST = 1 << 20
LEAST = 2


def server(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_SEQPACKET, IPPROTO_SCTP)
    c.bind(sockfd, any_address(lab.server))
    subscribe(c, sockfd, "data_io")
    c.listen(sockfd, 10)
    sync.post("the server listens")
    for _ in range(max(lab.clients, LEAST) * len(lab.messages)):
        message, _, info, _ = sctp_recvmsg(c, sockfd, LONGEST)
        sctp_sendmsg(c, sockfd, message, info.assoc_id)
    sync.wait("the clients have closed")
    c.close(sockfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockets = [c.socket(lab.domain, SOCK_SEQPACKET, IPPROTO_SCTP) for _ in range(max(lab.clients, LEAST))]
    for message in lab.messages:
        for sockfd in sockets:
            sctp_sendmsg(c, sockfd, message, lab.server)
            sctp_recvmsg(c, sockfd, LONGEST)
    for sockfd in sockets:
        c.close(sockfd)
    c.nanosleep(0.05)
    sync.post("the clients have closed")
