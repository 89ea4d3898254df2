"""The sockets API over our own SCTP (RFC 6458, as Linux has it).

`socket.py` has what a socket is, `messages.py` what goes through it, `options.py` its options, `notices.py` its
notifications, `table.py` all of them, `values.py` what they hold.
"""

from rawlab.endpoints.sockets.sctp.messages import receive, send
from rawlab.endpoints.sockets.sctp.options import getsockopt, setsockopt
from rawlab.endpoints.sockets.sctp.socket import Socket
from rawlab.endpoints.sockets.sctp.table import Sockets

__all__ = ["Socket", "Sockets", "getsockopt", "receive", "send", "setsockopt"]
