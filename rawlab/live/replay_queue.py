"""Many packets of several sockets in one system call, in their order: a submission queue (io_uring(7)).

sendmmsg(2) takes many packets of one socket. Where the two sides of a capture take turns, as data and acknowledgments
do, that is a call a packet. Here, numpy writes an entry (struct io_uring_sqe) for each packet, whichever socket it is
for; io_uring_enter(2) has the kernel send one after the other, and each result comes back in the same order. Many
systems forbid io_uring (sysctl kernel.io_uring_disabled, a container's filter): then `Queue` raises OSError, and who
wants to send does it with sendmmsg.

What does not belong here: which packets, and when.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct

import numpy as np
import numpy.typing as npt

from rawlab.live.libc import check, libc

Places = npt.NDArray[np.int64]
ENTRIES = 2048
_SYS_SETUP, _SYS_ENTER = 425, 426  # the same numbers on every architecture (asm-generic/unistd.h)
_OP_SENDMSG, _OP_SEND, _ENTER_GETEVENTS, _MSG_DONTWAIT = 9, 26, 1, 0x40
_SQES = 0x10000000
"IORING_OFF_SQES: where mmap(2) finds the entries"
_ENTRY = np.dtype([
    ("opcode", "u1"), ("flags", "u1"), ("ioprio", "=u2"), ("fd", "=i4"), ("offset", "=u8"), ("address", "=u8"),
    ("length", "=u4"), ("message_flags", "=u4"), ("user_data", "=u8"), ("rest", "V24"),
])  # fmt: skip
"""struct io_uring_sqe."""
_RESULT = np.dtype([("user_data", "=u8"), ("result", "=i4"), ("flags", "=u4")])
"""struct io_uring_cqe."""
_enter = libc["syscall"]
_enter.argtypes = [ctypes.c_long] * 7


class Queue:
    """A submission and a completion queue, empty between two calls of `send`."""

    def __init__(self) -> None:
        """Raises OSError where the system forbids or has no io_uring, or is older than Linux 5.6."""
        parameters = ctypes.create_string_buffer(120)
        self._fd = check(libc.syscall(_SYS_SETUP, ENTRIES, parameters), "io_uring_setup")
        entries, results, _, _, _, _ = struct.unpack_from("=6I", parameters, 0)
        _, tail, _, _, _, _, array, *_ = struct.unpack_from("=10I", parameters, 40)
        results_head, results_tail, _, _, _, at, *_ = struct.unpack_from("=10I", parameters, 80)
        size = max(array + entries * 4, at + results * _RESULT.itemsize)
        self._memory = mmap.mmap(self._fd, size)
        self._words = np.frombuffer(self._memory, np.uint32, size // 4)
        self._words[array // 4 : array // 4 + entries] = np.arange(entries)
        self._tail, self._results_head, self._results_tail = tail // 4, results_head // 4, results_tail // 4
        self._results = np.frombuffer(self._memory, _RESULT, results, at)
        self._entries = np.frombuffer(mmap.mmap(self._fd, entries * _ENTRY.itemsize, offset=_SQES), _ENTRY)

    def send(self, fds: Places, addresses: Places, lengths: Places) -> npt.NDArray[np.int32]:
        """Has each socket send so many octets at that address, or where that is 0 the struct msghdr that is there.

        ENTRIES at the most, in this order. By entry, the octets sent, or -errno. Raises OSError where the kernel took
        not all of them.
        """
        count, tail = fds.size, int(self._words[self._tail])
        where = (tail + np.arange(count)) % self._entries.size
        entries = np.zeros(count, _ENTRY)
        entries["opcode"], entries["message_flags"] = np.where(lengths > 0, _OP_SEND, _OP_SENDMSG), _MSG_DONTWAIT
        entries["fd"], entries["address"], entries["length"] = fds, addresses, np.maximum(lengths, 1)
        self._entries[where] = entries
        self._words[self._tail] = (tail + count) & 0xFFFFFFFF
        taken = check(_enter(_SYS_ENTER, self._fd, count, count, _ENTER_GETEVENTS, 0, 0), "io_uring_enter")
        begin, end = int(self._words[self._results_head]), int(self._words[self._results_tail])
        if taken != count or (end - begin) & 0xFFFFFFFF != count:
            raise OSError(0, f"io_uring_enter: {taken} of {count} packets were taken")
        found = self._results["result"][(begin + np.arange(count)) % self._results.size].copy()
        self._words[self._results_head] = end
        return found

    def close(self) -> None:
        """Gives the queue back."""
        os.close(self._fd)
