"""A plan's packets put on the wire, each at its time: a process of the stage that does nothing else.

    plan, from a pipe ─▶ chunks of rows ─▶ wait until a row is due ─▶ send(2), or sendmmsg(2) for all that are due
    the capture, mapped ───────────────────────────────────────────────▶ the octets, never copied by this process

How it works: one process has a packet socket at each end of the wire, so that the packets of both sides leave in the
order of the plan. A row says when a packet is due, where in the capture its octets are, which side sends it, and which
link-layer header goes before it where the capture has none of Ethernet's; `replay_clock` waits until then. At top speed
no Python runs for one packet: numpy writes the messages, which point into the capture, and `replay_queue` takes many of
both sides at once, or sendmmsg(2) many of one.

What does not belong here: which packets, and what they hold. Nothing of them is looked at.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import itertools
import mmap
import os
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rawlab.live.libc import libc, prctl
from rawlab.live.replay_clock import MOST_NS, Waiter
from rawlab.live.replay_queue import ENTRIES, Queue
from rawlab.model.replay import HEADS, ROW

ROW_TYPE = np.dtype(list(ROW.items()))
AHEAD, TIMED_AHEAD = 1 << 20, 1 << 14
"""Rows that are read before the first packet leaves, at most: at top speed, and else."""
HEAD = 14
"""Octets of an Ethernet header."""
_CALL = 1024
"messages a call takes, at most: UIO_MAXIOV"
_LEAD_NS = 20_000_000
"from when all is ready to when the first packet is due"
_FEW = 8
"so many packets send(2), whose way is in the caches, has sent before sendmmsg(2) has the first of them"
_ROOM_NS = 2_000_000
"so long before a packet is due there is time to get the next ones ready"
_SPUN_AT_MOST = 0.6
"the share of the time that a process which goes before all others looks at the clock"
_PR_SET_TIMERSLACK, _MADV_POPULATE_READ = 29, 22
_SOL_PACKET, _QDISC_BYPASS, _IGNORE_OUTGOING = 263, 20, 23
_NO_ROOM = (errno.ENOBUFS, errno.EAGAIN, errno.EINTR)
_REFUSED = (errno.EMSGSIZE, errno.EINVAL)
"of one packet: the next may be taken"

HEADER = np.dtype(
    {
        "names": ["name", "name_length", "vectors", "vector_count", "control", "control_length", "flags"],
        "formats": ["P", "u4", "P", "P", "P", "P", "i4"],
    },
    align=True,
)
"""struct msghdr."""
_sendmmsg = libc["sendmmsg"]
_sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
MESSAGE = np.dtype({"names": ["header", "sent"], "formats": [HEADER, "u4"]}, align=True)
"""struct mmsghdr."""
VECTOR = np.dtype([("base", "P"), ("length", "P")])
"""struct iovec."""


class Counts(ctypes.Structure):
    """What was sent so far, in memory that the stage looks at."""

    _fields_ = (
        ("sent", ctypes.c_uint64 * 2),
        ("octets", ctypes.c_uint64 * 2),
        ("refused", ctypes.c_uint64),
        ("refused_errno", ctypes.c_uint64),
        ("errno", ctypes.c_uint64),
        ("began_ns", ctypes.c_uint64),
        ("ended_ns", ctypes.c_uint64),
        ("stop", ctypes.c_uint64),
    )

    @classmethod
    def shared(cls) -> Counts:
        """Counts that a process has in common with those that it forks."""
        return cls.from_buffer(mmap.mmap(-1, ctypes.sizeof(cls)))


def open_socket(interface: str, *, bypass: bool) -> socket.socket:
    """A packet socket that sends on the interface and receives nothing; `bypass`: past the queueing disciplines, and so
    past packet sockets that would show what leaves. Raises OSError."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    if bypass:
        opened.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
    opened.bind((interface, 0))
    return opened


class Plan:
    """The rows, as they come through a pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rows = np.empty(0, ROW_TYPE)
        self._rest = b""
        self._all = False
        "whether the last row has come"

    def load(self, most: int, counts: Any) -> None:
        """Waits until so many rows have come, or all."""
        pieces = []
        count = 0
        while not self._all and count < most and not counts.stop:
            pieces.append(self._read())
            count += len(pieces[-1])
        self._rows = np.concatenate([self._rows, *pieces])

    def rows(self, most: int) -> npt.NDArray[Any]:
        """The next ones; none: there are no more."""
        if not self._all and (not self._rows.size or select.select([self._descriptor], [], [], 0)[0]):
            self._rows = np.concatenate([self._rows, self._read()])
        while not self._all and not self._rows.size:
            self._rows = self._read()
        found, self._rows = self._rows[:most], self._rows[most:]
        return found

    def _read(self) -> npt.NDArray[Any]:
        data = self._rest + os.read(self._descriptor, 1 << 20)
        if len(data) == len(self._rest):  # who makes the plan is gone
            self._all = True
        whole = len(data) - len(data) % ROW_TYPE.itemsize
        rows, self._rest = np.frombuffer(data[:whole], ROW_TYPE), data[whole:]
        if rows.size and rows["end"][-1]:
            self._all, rows = True, rows[:-1]
        return rows


@dataclass(slots=True, kw_only=True)
class Batch:
    """Rows that are ready to be sent: the arrays of sendmmsg, and what one send needs as Python's own numbers."""

    rows: npt.NDArray[Any]
    messages: npt.NDArray[Any]
    vectors: npt.NDArray[Any]
    due_ns: list[int]
    sides: list[int]
    heads: list[int]
    begins: list[int]
    ends: list[int]


class Sender:
    """Sends the rows of a plan."""

    def __init__(
        self, sockets: Sequence[socket.socket], capture: int, counts: Any, *, topspeed: bool
    ) -> None:
        """`sockets`: the client's, the server's; `capture`: a descriptor of the file whose octets the rows name.

        Raises OSError.
        """
        self._sockets = sockets
        self._memory = mmap.mmap(capture, 0, prot=mmap.PROT_READ)
        self._view = memoryview(self._memory)
        self._octets = np.frombuffer(self._memory, np.uint8)
        self._table = np.frombuffer(bytes(HEAD) + b"".join(HEADS), np.uint8)
        self._counts = counts
        self._topspeed = topspeed
        self._waiter = Waiter(counts, self._warm)
        self._queue: Queue | None = None
        if topspeed:
            with contextlib.suppress(OSError):
                self._queue = Queue()
        self._first = False
        "whether this process goes before others"

    def send(self, plan: Plan) -> None:
        """All of the plan, or until it is to stop. Errors are kept in the counts."""
        counts = self._counts
        plan.load(AHEAD if self._topspeed else TIMED_AHEAD, counts)
        gc.disable()
        prctl(_PR_SET_TIMERSLACK, 1)
        size = _CALL * 16 if self._topspeed else _CALL
        batch = self._ready(plan.rows(size))
        counts.began_ns = counts.ended_ns = time.monotonic_ns() + _LEAD_NS * (not self._topspeed)
        while batch is not None and not counts.stop and not counts.errno:
            if self._topspeed:
                self._fast(batch)
                batch = self._ready(plan.rows(size))
            else:
                batch = self._timed(batch, plan)
            counts.ended_ns = time.monotonic_ns()

    def _ready(self, rows: npt.NDArray[Any]) -> Batch | None:
        """Messages for these rows, and the pages of their octets in memory."""
        if not rows.size:
            return None
        headed = rows["head"] > 0
        vectors, messages = np.zeros((rows.size, 2), VECTOR), np.zeros(rows.size, MESSAGE)
        vectors["base"][:, 0] = self._table.ctypes.data + rows["head"].astype(np.int64) * HEAD
        vectors["length"][:, 0] = HEAD
        vectors["base"][:, 1] = self._octets.ctypes.data + rows["offset"]
        vectors["length"][:, 1] = rows["length"]
        first = vectors.ctypes.data + np.arange(rows.size) * (2 * VECTOR.itemsize)
        messages["header"]["vectors"] = np.where(headed, first, first + VECTOR.itemsize)
        messages["header"]["vector_count"] = np.where(headed, 2, 1)
        ends = rows["offset"] + rows["length"]
        self._read_in(int(rows["offset"].min()), int(ends.max()))
        lists = {} if self._topspeed else {name: rows[name].tolist() for name in ("due_ns", "head", "offset")}
        return Batch(
            rows=rows,
            messages=messages,
            vectors=vectors,
            sides=rows["side"].tolist(),
            due_ns=lists.get("due_ns", []),
            heads=lists.get("head", []),
            begins=lists.get("offset", []),
            ends=ends.tolist(),
        )

    def _read_in(self, begin: int, end: int) -> None:
        begin -= begin % mmap.PAGESIZE
        try:
            self._memory.madvise(_MADV_POPULATE_READ, begin, end - begin)
        except OSError:  # older than Linux 5.14
            self._memory.madvise(mmap.MADV_WILLNEED, begin, end - begin)

    # ---- as fast as it goes

    def _fast(self, batch: Batch) -> None:
        """One right after the other."""
        if self._queue is not None:
            self._by_queue(batch, self._queue)
        else:
            self._by_turns(batch)
        self._count(batch)

    def _by_queue(self, batch: Batch, queue: Queue) -> None:
        """Both sides' in one call; one that the kernel did not take is tried again by itself."""
        fds = np.array([opened.fileno() for opened in self._sockets])[batch.rows["side"]]
        headed = batch.rows["head"] > 0
        messages = batch.messages.ctypes.data + np.arange(fds.size) * MESSAGE.itemsize
        addresses = np.where(headed, messages, self._octets.ctypes.data + batch.rows["offset"])
        lengths = np.where(headed, 0, batch.rows["length"]).astype(np.int64)
        for first in range(0, fds.size, ENTRIES):
            part = slice(first, first + ENTRIES)
            results = queue.send(fds[part], addresses[part], lengths[part])
            batch.messages["sent"][first : first + results.size] = np.maximum(results, 0)
            for n in (first + np.flatnonzero(results < 0)).tolist():
                if not self._many(batch, n, n + 1):
                    return
            if self._counts.stop:
                return

    def _by_turns(self, batch: Batch) -> None:
        """In calls of as many packets as follow each other from the same side."""
        side, size = batch.rows["side"], batch.rows.size
        turns = np.flatnonzero(side[1:] != side[:-1]) + 1
        firsts = np.unique(np.concatenate([np.arange(0, size, _CALL), turns]))
        for first, end in itertools.pairwise([*firsts.tolist(), size]):
            if not self._many(batch, first, end):
                return

    def _many(self, batch: Batch, first: int, end: int) -> bool:
        """Rows of one side in as few calls as it takes; whether to go on. They are counted later."""
        fd, base = self._sockets[batch.sides[first]].fileno(), batch.messages.ctypes.data
        while first < end and not self._counts.stop:
            taken = _sendmmsg(fd, base + first * MESSAGE.itemsize, min(end - first, _CALL), 0)
            if taken > 0:
                first += taken
            elif not self._goes_on(code := ctypes.get_errno()):
                return False
            else:
                first += code not in _NO_ROOM
        return not self._counts.stop

    def _count(self, batch: Batch) -> None:
        """The messages of it that were sent: the kernel has written into each how many octets it took."""
        octets = batch.messages["sent"]
        for side in (0, 1):
            mine = octets[batch.rows["side"] == side]
            self._counts.sent[side] += int(np.count_nonzero(mine))
            self._counts.octets[side] += int(mine.sum())

    def _goes_on(self, code: int) -> bool:
        """Whether, after what the kernel said of a packet."""
        if code in _NO_ROOM:
            select.select([], [], [], 0.0001)
        elif code in _REFUSED:
            self._counts.refused += 1
            self._counts.refused_errno = code
        else:
            self._counts.errno = code
        return not self._counts.errno

    # ---- at their times

    def _timed(self, batch: Batch, plan: Plan) -> Batch | None:
        """Each at its time; those that are due by then go at once. The next batch, got ready while there is time."""
        counts, clock, began, due = self._counts, time.monotonic_ns, self._counts.began_ns, batch.due_ns
        self._go_first(batch)
        following, ready, n, count = None, False, 0, len(due)
        while n < count and not counts.stop:
            at = began + due[n]
            if not ready and at - clock() > _ROOM_NS:
                following, ready = self._ready(plan.rows(_CALL)), True
            n = self._one(batch, n, at)
            if n < 0:
                break
        self._count(batch)
        return following if ready or n < 0 else self._ready(plan.rows(_CALL))

    def _one(self, batch: Batch, n: int, at_ns: int) -> int:
        """Row n when it is time, and those after it that are due by then; the next row; -1: no more."""
        side, counts = batch.sides[n], self._counts
        octets: bytes | memoryview = self._view[batch.begins[n] : batch.ends[n]]
        if batch.heads[n]:
            octets = HEADS[batch.heads[n] - 1] + octets
        send = self._sockets[side].send
        self._waiter.until(at_ns)
        if counts.stop:
            return -1
        try:
            taken = send(octets)
        except OSError as error:
            code = error.errno or 0
            return -1 if not self._goes_on(code) else n + (code not in _NO_ROOM)
        counts.octets[side] += taken
        counts.sent[side] += 1
        return self._due_too(batch, n + 1)

    def _due_too(self, batch: Batch, n: int) -> int:
        """Sends the rows from n on where many are due already; the next row. A few are sooner sent one by one."""
        elapsed = time.monotonic_ns() - self._counts.began_ns
        while n + _FEW < len(batch.due_ns) and batch.due_ns[n + _FEW] <= elapsed:
            end = n + 1
            while end < len(batch.due_ns) and batch.due_ns[end] <= elapsed and batch.sides[end] == batch.sides[n]:
                end += 1
            if not self._many(batch, n, end):
                return -1
            n = end
        return n

    def _warm(self) -> None:
        """A frame of no octets: the kernel refuses it (EINVAL), and it is refused sooner or later the same way."""
        for opened in self._sockets:
            with contextlib.suppress(OSError):
                opened.send(b"")

    def _go_first(self, batch: Batch) -> None:
        """Before all others (sched(7), SCHED_FIFO), where this process may and sleeps enough: else it is throttled."""
        gaps = np.diff(batch.rows["due_ns"])
        spun = np.minimum(gaps, MOST_NS).sum()
        first = bool(gaps.size and spun < gaps.sum() * _SPUN_AT_MOST)
        if first != self._first:
            with contextlib.suppress(OSError):
                policy = os.SCHED_FIFO if first else os.SCHED_OTHER
                os.sched_setscheduler(0, policy, os.sched_param(int(first)))
                self._first = first
