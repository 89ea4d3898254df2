"""Nobody listens: ABORT answers INIT, and connect fails with ECONNREFUSED. See the ABORT carry the tag of the INIT, by
which the client knows that who sent it had seen the INIT."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import IPPROTO_SCTP, SOCK_STREAM
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    pass


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_STREAM, IPPROTO_SCTP)
    c.connect(sockfd, lab.server)
    c.close(sockfd)
