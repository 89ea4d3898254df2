"""Nobody answers: a filter on the way takes every packet. See SYN again and again, a second apart at first (Linux 6.5
and later: four times), then after twice the wait each, until connect gives up with ETIMEDOUT, soon with TCP_SYNCNT."""

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
