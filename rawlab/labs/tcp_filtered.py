"""Nobody answers: the packets are dropped without a word, as a firewall does. See SYN again after 1, then 2 seconds,
each wait twice the last, until connect gives up with ETIMEDOUT; TCP_SYNCNT keeps it to two repetitions here."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_TCP, SOCK_STREAM, TCP_SYNCNT
from rawlab.model.lab import Options

PORT = 7
LOOPBACK = False  # every address there answers


def server(c: Calls, lab: Options, sync: Sync) -> None:
    pass


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.setsockopt(sockfd, IPPROTO_TCP, TCP_SYNCNT, 2)
    c.connect(sockfd, lab.nobody)
    c.close(sockfd)
