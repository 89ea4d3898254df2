"""What a program and its host's stack process say to each other: a call and its answer, both as `Call` records.

    request   name and arguments of a call on one of the stack's sockets, by its number
    answer    result or errno, what the call fills in as arguments, and the socket's addresses and state after it

They go over a unix stream socket, a length of JSON and one of octets before each. A program asks and waits; alone
"cancel" may follow a request that is not answered yet. What a request means is `live.stack`'s.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import NoReturn

from rawlab.live.recorder import high
from rawlab.model.event import Call, Value
from rawlab.wire.journal import from_record, to_record

_LENGTHS = struct.Struct("=II")


def pack(call: Call) -> bytes:
    """A request or an answer as it goes through the connection: two lengths, JSON, octets."""
    record, data = to_record(call, "")
    text = json.dumps(record, separators=(",", ":")).encode()
    return _LENGTHS.pack(len(text), len(data)) + text + data


def unpack(buffer: bytearray) -> Call | None:
    """Takes the first whole one off the buffer."""
    if len(buffer) < _LENGTHS.size:
        return None
    text, data = _LENGTHS.unpack_from(buffer)
    first, end = _LENGTHS.size + text, _LENGTHS.size + text + data
    if len(buffer) < end:
        return None
    call = from_record(json.loads(buffer[_LENGTHS.size : first]), bytes(buffer[first:end]))
    del buffer[:end]
    return call


def request(name: str, *args: tuple[str, Value]) -> Call:
    """A call of that name, as it is asked for."""
    return Call(host="", pid=0, name=name, args=args, entered_ns=0)


class Connection:
    """The program's end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()

    def fileno(self) -> int:
        """The descriptor that is readable when an answer comes."""
        return self._connection.fileno()

    def send(self, call: Call) -> None:
        """Sends a request; ends this process if the stack is gone."""
        try:
            self._connection.sendall(pack(call))
        except OSError:
            _gone()

    def receive(self) -> Call:
        """Waits for the answer; ends this process if the stack is gone."""
        while (answer := unpack(self._buffer)) is None:
            try:
                received = self._connection.recv(1 << 18)
            except OSError:
                received = b""
            if not received:
                _gone()
            self._buffer += received
        return answer

    def for_child(self) -> Connection:
        """A connection for a child that will be forked; the stack gives it all that this process holds."""
        ours, theirs = socket.socketpair()
        socket.send_fds(self._connection, [pack(request("fork"))], [theirs.fileno()])
        theirs.close()
        self.receive()
        return Connection(socket.socket(fileno=high(ours.detach())))

    def close(self) -> None:
        """Gives the descriptor back."""
        self._connection.close()


def _gone() -> NoReturn:
    os._exit(1)  # the stage knows why
