"""SCTP keeps the boundaries of messages, TCP's stream has none. See three writes come out of TCP by one read and out
of SCTP by three, and a large message go in fragments (B, E) and be read in parts, MSG_EOR with the last."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_SCTP, IPPROTO_TCP, SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT = 7
LARGE = b"a message of four thousand octets " * 118
WORDS = (b"one", b"two", b"three")


def server(c: Calls, lab: Options, sync: Sync) -> None:
    for protocol in (IPPROTO_TCP, IPPROTO_SCTP):
        listenfd = c.socket(lab.domain, SOCK_STREAM, protocol)
        c.bind(listenfd, any_address(lab.server))
        c.listen(listenfd, 10)
        sync.post(f"listens {protocol}")
        connfd, _ = c.accept(listenfd)
        sync.wait(f"has written {protocol}")
        while c.recvmsg(connfd, 2048)[0]:
            pass
        c.close(connfd)
        c.close(listenfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    for protocol, messages in ((IPPROTO_TCP, WORDS), (IPPROTO_SCTP, (*WORDS, LARGE))):
        sync.wait(f"listens {protocol}")
        sockfd = c.socket(lab.domain, SOCK_STREAM, protocol)
        c.connect(sockfd, lab.server)
        for message in messages:
            c.write(sockfd, message)
        c.close(sockfd)
        sync.post(f"has written {protocol}")
