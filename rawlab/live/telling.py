"""An endpoint of ours tells the stage of the system calls that it makes itself: on its raw, or its packet socket."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from rawlab.live import libc
from rawlab.live.links import Args
from rawlab.live.recorder import Channel
from rawlab.model.event import Call
from rawlab.wire.capture import call_block


class Telling:
    """Tells the stage each call that the endpoint makes, once it has returned, and does not wait."""

    def __init__(self, host: str, channel: Channel, keep: int) -> None:
        self._host, self._channel, self._keep = host, channel, keep
        self._pid = os.getpid()
        self._serial = 0
        self._inodes: dict[int, int] = {}

    def call(self, name: str, args: Args, make: Callable[[], Any], after: Callable[[Any], tuple[int, Args]]) -> Any:
        """Makes the call and tells of it. Raises what it raises."""
        entered_ns = time.time_ns()
        try:
            returned = make()
        except OSError as error:
            self._tell(name, args, -1, libc.errno_name(error.errno or 0), entered_ns)
            raise
        result, filled = after(returned)
        self._tell(name, filled, result, None, entered_ns)
        return returned

    def _tell(self, name: str, args: Args, result: int, errno: str | None, entered_ns: int) -> None:
        returned_ns = time.time_ns()
        self._serial += 1
        fd = result if name == "socket" else dict(args[:1])["sockfd"]
        inode = self._inode(fd) if isinstance(fd, int) else None
        call = Call(
            host=self._host,
            pid=self._pid,
            name=name,
            args=tuple((key, value[: self._keep] if isinstance(value, bytes) else value) for key, value in args),
            result=result,
            errno=errno,
            entered_ns=entered_ns,
            returned_ns=returned_ns,
            socket=None if name == "socket" else inode,
            new_socket=inode if name == "socket" else None,
            endpoint=True,
        )
        # As a block for the file: the stage need not look at each of so many.
        self._channel.tell({"block": True}, call_block(call, f"{self._pid}.{self._serial}", at_return=True))

    def _inode(self, fd: int) -> int | None:
        if fd >= 0 and fd not in self._inodes:
            self._inodes[fd] = os.fstat(fd).st_ino
        return self._inodes.get(fd)
