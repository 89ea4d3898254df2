"""The sockets API over protocols of our own, sans-IO: `sctp` (RFC 6458) and `tcp` (POSIX), as Linux has them.

    the program's call ─▶ Socket.connect(…) ─▶ Association, Connection (endpoints) ─▶ packets
    packets ─▶ Host.receive ─▶ events ─▶ Sockets.turn ─▶ the call goes on

A call that may block is a generator: it yields (the time at which it wants to be looked at again, or None) as long as
it would wait, and returns an `Answer`; whoever drives it goes on with it after every turn of the host. A call that
fails raises CallError with the errno that Linux would give. Descriptors, processes and clocks are not here.

`table.py` has all sockets of a host, `socket.py` what any socket is, `values.py` what calls give: the same for both.
"""

from rawlab.endpoints.sockets.socket import BaseSocket
from rawlab.endpoints.sockets.table import Table
from rawlab.endpoints.sockets.values import Answer, Wait

__all__ = ["Answer", "BaseSocket", "Table", "Wait"]
