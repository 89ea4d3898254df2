"""Nobody answers INIT. See it sent again by the T1-init timer, each wait twice the last, until connect gives up with
ETIMEDOUT; SCTP_INITMSG keeps it to two repetitions here, SCTP_RTOINFO the first wait to 300 ms."""

from rawlab.labs.sctp import hurry
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_SCTP, SCTP_INITMSG, SOCK_STREAM, SOL_SCTP
from rawlab.model.lab import Options

PORT = 7
LOOPBACK = False  # every address there answers


def server(c: Calls, lab: Options, sync: Sync) -> None:
    pass


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    hurry(c, sockfd, 300)
    c.setsockopt(sockfd, SOL_SCTP, SCTP_INITMSG, (0, 0, 2, 0))
    c.connect(sockfd, lab.nobody)
    c.close(sockfd)
