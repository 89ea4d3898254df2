"""A TCP connection by hand, from an address that no kernel owns: each line of the client is one packet. See that the
server can't tell, that the client's states are its program's, and that no kernel sends RST in its stead."""

from rawlab.labs.segments import ACK, FIN, PSH, SYN, Segments
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.constants import SOCK_STREAM, any_address
from rawlab.model.lab import Options

PORT, MOST_OCTETS = 7, 536  # who names no MSS, gets no more in one segment (RFC 9293 section 3.7.1)
NEIGHBOURS_KNOWN = True


def server(c: Calls, lab: Options, sync: Sync) -> None:
    listenfd = c.socket(lab.domain, SOCK_STREAM, 0)
    c.bind(listenfd, any_address(lab.server))
    c.listen(listenfd, 10)
    sync.post("the server listens")
    connfd, _ = c.accept(listenfd)
    c.write(connfd, c.read(connfd, 4096))
    c.read(connfd, 1)
    sync.wait("the client's FIN is acknowledged")
    c.close(connfd)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    tcp = Segments(c, lab.domain, Endpoint(lab.unowned, 40000), lab.server)
    data = lab.message
    sync.wait("the server listens")
    tcp.sendto(SYN, 1000, 0)
    y = tcp.recv() + 1
    tcp.sendto(ACK, 1001, y)
    tcp.sendto(PSH | ACK, 1001, y, data)
    tcp.recv(y)  # its acknowledgment
    tcp.recv(y)  # the echo
    tcp.sendto(FIN | ACK, 1001 + len(data), y + len(data))
    tcp.recv(y + len(data))  # its acknowledgment
    sync.post("the client's FIN is acknowledged")
    tcp.recv(y + len(data))  # FIN
    tcp.sendto(ACK, 1002 + len(data), y + len(data) + 1)
