"""All SCTP sockets of one host."""

from __future__ import annotations

from rawlab.endpoints.sctp import Host, SctpError, Settings
from rawlab.endpoints.sockets.sctp.messages import receive, send
from rawlab.endpoints.sockets.sctp.options import getsockopt, setsockopt
from rawlab.endpoints.sockets.sctp.socket import Socket
from rawlab.endpoints.sockets.table import Table, Values
from rawlab.endpoints.sockets.values import Answer, Wait
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SndRcvInfo


class Sockets(Table[Socket]):
    """One host's sockets."""

    def __init__(self, host: Host, settings: Settings, first: int = 1) -> None:
        """`first`: the number of the first socket."""
        super().__init__(first)
        self.host = host
        self.settings = settings

    def socket(self, domain: str, kind: str) -> Answer:
        """'SOCK_STREAM' or 'SOCK_SEQPACKET'."""
        if kind not in ("SOCK_STREAM", "SOCK_SEQPACKET"):
            raise SctpError("ESOCKTNOSUPPORT", kind)
        return Answer(made=self.add(6 if domain == "AF_INET6" else 4, one_to_many=kind == "SOCK_SEQPACKET"))

    def add(self, family: int, *, one_to_many: bool) -> Socket:
        """A new socket."""
        made = Socket(self, self._number(), family, one_to_many=one_to_many)
        self._open[made.number] = made
        return made

    def send(self, socket: Socket, data: bytes, flags: str, to: Endpoint | None, info: SndRcvInfo | None) -> Wait:
        return send(socket, data, flags, to, info)

    def receive(self, socket: Socket, size: int, flags: str) -> Wait:
        return receive(socket, size, flags)

    def setsockopt(self, socket: Socket, optname: str, value: Values) -> Wait:
        return setsockopt(socket, optname, value)

    def getsockopt(self, socket: Socket, optname: str, asked: Values) -> Answer:
        return getsockopt(socket, optname, asked)
