"""Nobody listens on the port. See that the kernel answers SYN with RST, and that connect fails with ECONNREFUSED."""

from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SOCK_STREAM
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    pass


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.connect(sockfd, lab.server)
    c.close(sockfd)
