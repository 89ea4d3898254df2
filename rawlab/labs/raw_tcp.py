"""The programs of tcp-echo, unchanged, on a TCP that is a program itself: the client's host speaks rawlab's own, on a
packet socket, at an address that no kernel owns. See that it asks for the link-layer address itself, that handshakes,
states and FINs are those of any TCP, whoever connects (the second time the server's kernel does), and with
--endpoint-calls which calls put the frames on the wire."""

from rawlab.labs import tcp_echo
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.lab import Options

PORT = 7
OWN_TCP = ("client",)


def server(c: Calls, lab: Options, sync: Sync) -> None:
    tcp_echo.server(c, lab, sync)
    client_listens = Endpoint(lab.client, lab.server.port)
    tcp_echo.client(c, Options(server=client_listens, messages=lab.messages, clients=lab.clients), sync)


def client(c: Calls, lab: Options, sync: Sync) -> None:
    tcp_echo.client(c, lab, sync)
    tcp_echo.server(c, lab, sync)
