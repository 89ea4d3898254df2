"""bind gives a socket its address: a given one, any (INADDR_ANY), a port that the kernel chooses (0), one that is
taken (EADDRINUSE), and the course's port 898989. See that 16 bits keep 47021 of it, and that nothing is sent."""

from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT = 7


def server(c: Calls, lab: Options, sync: Sync) -> None:
    given = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(given, lab.server)
    wildcard = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(wildcard, any_address(Endpoint(lab.server.address, 9877)))
    chosen = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(chosen, any_address(Endpoint(lab.server.address, 0)))
    c.getsockname(chosen)
    taken = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(taken, lab.server)
    course = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(course, any_address(Endpoint(lab.server.address, 898989)))
    c.getsockname(course)
    c.listen(given, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(given)
    c.getsockname(connfd)
    c.getpeername(connfd)
    c.close(connfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    sync.wait("the server listens")
    sockfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.getsockname(sockfd)
    c.connect(sockfd, lab.server)
    c.getsockname(sockfd)
    c.getpeername(sockfd)
    c.close(sockfd)
