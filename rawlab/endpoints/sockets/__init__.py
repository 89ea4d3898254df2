"""The sockets API over our own SCTP (RFC 6458, as Linux has it): one host's sockets, sans-IO.

    the program's call ─▶ Socket.connect(…) ─▶ Association (endpoints.sctp) ─▶ packets
    packets ─▶ Host.receive ─▶ events ─▶ Sockets.turn ─▶ the call goes on

A call that may block is a generator: it yields (the time at which it wants to be looked at again, or None) as long as
it would wait, and returns an `Answer`; whoever drives it goes on with it after every turn of the host. A call that
fails raises SctpError with the errno that Linux would give. Descriptors, processes and clocks are not here.

`socket.py` has what a socket is, `messages.py` what goes through it, `options.py` its options, `notices.py` its
notifications, `table.py` all of them, `values.py` what they hold and give.
"""

from rawlab.endpoints.sockets.messages import receive, send
from rawlab.endpoints.sockets.options import getsockopt, setsockopt
from rawlab.endpoints.sockets.socket import Socket
from rawlab.endpoints.sockets.table import Sockets
from rawlab.endpoints.sockets.values import Answer, Wait

__all__ = ["Answer", "Socket", "Sockets", "Wait", "getsockopt", "receive", "send", "setsockopt"]
