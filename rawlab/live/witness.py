"""The stage's witness of one program: hears each call, asks the kernel for the socket's state, makes the record."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rawlab.live.libc import pidfd_getfd
from rawlab.live.observe import Observation, observe_other
from rawlab.live.recorder import NO_WAIT, makes
from rawlab.model.event import Call
from rawlab.wire import capture
from rawlab.wire.journal import from_record
from rawlab.wire.strace import format_entry

_LENGTHS = struct.Struct("=II")


class Witness:
    """One process and its sockets."""

    def __init__(
        self, host: str, pid: int, calls: int, replies: int, sockets: dict[int, int] | None = None
    ) -> None:
        """`calls` and `replies`: the stage's ends of the pipes; `sockets`: inodes by descriptor."""
        self.host = host
        self.pid = pid
        self.calls = calls
        self.alive = True
        self.failed: str | None = None
        self.told: str | None = None
        "what else it has to say, of a program that it runs"
        self.ended_by_us = False
        self._replies = replies
        self._pending: Call | None = None
        self._sockets = dict(sockets or {})
        self._buffer = bytearray()
        self._owed = 0
        self._pidfd = os.pidfd_open(pid) if pid else -1
        self._unborn: list[Witness] = []
        self._born: list[Witness] = []

    def hear(self) -> Iterator[bytes]:
        """The blocks of the calls that came. After each, `answer` lets the program go on."""
        received = os.read(self.calls, 1 << 16)
        if not received:
            self.alive = False
            os.close(self._replies)
        self._buffer += received
        while (message := self._message()) is not None:
            record, data = message
            if "channel" in record:
                self._expect_child(*record["channel"])
            elif "failed" in record:
                self.failed = record["failed"]
            elif "told" in record:
                self.told = record["told"]
            elif "block" in record:  # our own endpoint's call: it waits for nobody
                yield data
            else:
                yield self._block(record, data)

    def answer(self) -> None:
        """Lets the program go on, if it waits."""
        if self._owed and self.alive:
            self._owed -= 1
            with contextlib.suppress(BrokenPipeError):
                os.write(self._replies, b".")

    def born(self) -> list[Witness]:
        """Witnesses of the children that were forked since the last question."""
        born, self._born = self._born, []
        return born

    def kill(self) -> None:
        """Ends the process."""
        if self.alive:
            self.ended_by_us = True
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    @property
    def waiting(self) -> str:
        """What it does."""
        if (stopped := self._stopped()) is not None:
            return f"was stopped by {stopped}"
        return "was in no call" if self._pending is None else f"waited in {format_entry(self._pending, 32)}"

    @property
    def stuck(self) -> bool:
        """Whether it does not go on by itself: all but one that sleeps, for it is in a call or waits for the other."""
        call = self._pending
        sleeps = call is not None and (
            call.name == "nanosleep" or (call.name == "poll" and call.arg("timeout") != -1)
        )
        return not sleeps or self._stopped() is not None

    def _stopped(self) -> str | None:
        """The signal that stopped the process, if it is stopped, waitid(2)."""
        try:
            seen = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        except OSError:  # a program's child is no child of ours
            return None
        return signal.Signals(seen.si_status).name if seen else None

    def _message(self) -> tuple[dict[str, Any], bytes] | None:
        """The next whole message of the buffer."""
        if len(self._buffer) < _LENGTHS.size:
            return None
        text, data = _LENGTHS.unpack_from(self._buffer)
        first, end = _LENGTHS.size + text, _LENGTHS.size + text + data
        if len(self._buffer) < end:
            return None
        record = json.loads(self._buffer[_LENGTHS.size : first])
        payload = bytes(self._buffer[first:end])
        del self._buffer[:end]
        return record, payload

    def _block(self, record: dict[str, Any], data: bytes) -> bytes:
        call = from_record(record, data)
        at_return = call.returned_ns is not None
        if at_return:
            call = self._observed(call, self._look(call, record))
            self._owed += call.name not in NO_WAIT
            self._pending = None
            if call.name == "fork" and call.result:
                self._bear(call.result)
        else:
            call = replace(call, socket=self._sockets.get(-1 if call.fd is None else call.fd))
            self._pending = call
        return capture.call_block(call, record["id"], at_return=at_return)

    def _observed(self, call: Call, seen: Observation) -> Call:
        """The call with the kernel's word on its socket: the new one, where it made one."""
        made = call.result if makes(call) and call.errno is None else None
        known = None if call.fd is None or call.name == "socket" else self._sockets.get(call.fd, seen.inode)
        if made is not None and seen.inode is not None:
            self._sockets[made] = seen.inode
        if call.name == "close" and call.fd is not None:
            self._sockets.pop(call.fd, None)
        return replace(
            call,
            socket=known,
            new_socket=seen.inode if made is not None else None,
            local=seen.local,
            peer=seen.peer,
            state=seen.state,
            state_ns=seen.at_ns,
        )

    def _look(self, call: Call, record: dict[str, Any]) -> Observation:
        """The socket after the call: what the recorder saw, or what we see ourselves."""
        fd = call.result if makes(call) and call.errno is None else call.fd
        if "seen" in record:
            return Observation.from_json(record["seen"])
        if fd is not None and call.name not in NO_WAIT:
            with contextlib.suppress(OSError):
                return observe_other(self._pidfd, fd)
        return Observation()

    def _expect_child(self, calls: int, replies: int) -> None:
        """Takes the pipes that the program made for the child that it will fork."""
        ours = pidfd_getfd(self._pidfd, calls), pidfd_getfd(self._pidfd, replies)
        self._unborn.append(Witness(self.host, 0, *ours))
        self._owed += 1
        self.answer()

    def _bear(self, pid: int) -> None:
        child = self._unborn.pop(0)
        self._born.append(Witness(self.host, pid, child.calls, child._replies, self._sockets))
