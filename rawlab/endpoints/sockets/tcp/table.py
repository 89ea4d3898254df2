"""All TCP sockets of one host."""

from __future__ import annotations

from rawlab.endpoints.sockets.table import Table, Values
from rawlab.endpoints.sockets.tcp.options import getsockopt, setsockopt
from rawlab.endpoints.sockets.tcp.socket import Socket
from rawlab.endpoints.sockets.tcp.stream import receive, send
from rawlab.endpoints.sockets.values import Answer, Wait
from rawlab.endpoints.tcp import Host, TcpError
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SndRcvInfo


class Sockets(Table[Socket]):
    """One host's sockets."""

    def __init__(self, host: Host, first: int = 1) -> None:
        """`first`: the number of the first socket."""
        super().__init__(first)
        self.host = host

    def socket(self, domain: str, kind: str) -> Answer:
        """'SOCK_STREAM'."""
        if kind != "SOCK_STREAM":
            raise TcpError("ESOCKTNOSUPPORT", kind)
        return Answer(made=self.add(6 if domain == "AF_INET6" else 4))

    def add(self, family: int) -> Socket:
        """A new socket."""
        made = Socket(self, self._number(), family)
        self._open[made.number] = made
        return made

    def send(self, socket: Socket, data: bytes, flags: str, to: Endpoint | None, info: SndRcvInfo | None) -> Wait:
        return send(socket, data, flags)  # a connection has one peer: what else is given is not looked at

    def receive(self, socket: Socket, size: int, flags: str) -> Wait:
        return receive(socket, size, flags)

    def setsockopt(self, socket: Socket, optname: str, value: Values) -> Wait:
        return setsockopt(socket, optname, value)

    def getsockopt(self, socket: Socket, optname: str, asked: Values) -> Answer:
        return getsockopt(socket, optname)
