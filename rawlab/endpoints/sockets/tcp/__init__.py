"""The sockets API over our own TCP (POSIX.1-2017, as Linux has it, tcp(7)).

`socket.py` has what a socket is, `stream.py` what goes through it, `urgent.py` which octet of it is urgent,
`options.py` its options, `table.py` all of them.
"""

from rawlab.endpoints.sockets.tcp.socket import Socket
from rawlab.endpoints.sockets.tcp.table import Sockets

__all__ = ["Socket", "Sockets"]
