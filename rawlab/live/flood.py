"""Packets sent as fast as one process can: a transmit ring of a packet socket (packet(7); Linux, packet_mmap.rst).

    templates ── refill ──▶ 4,096 slots that the kernel sees as well ◀── send(fd, NULL, 0, 0): all of them leave

How it works: a slot is the kernel's struct tpacket2_hdr, a struct virtio_net_hdr, and the frame. One call of send takes
every slot that asks for it; no Python runs for one packet. Packets that vary are made anew, all at once, when all of
them have left. PACKET_QDISC_BYPASS leaves the queueing disciplines out. The virtio_net_hdr is there for its hdr_len
alone: so many octets the kernel copies, instead of keeping hold of the ring's page, which takes it longer by a seventh.

Measured against sendmmsg(2), 256 packets a call, which takes a third longer (scripts/bench/send.py has it in C). What
does not belong here: which packets.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import select
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from rawlab.live.libc import errno_name, libc
from rawlab.wire.template import Template

SLOTS = 4096
"packets a call, at most; more of them where there are more templates"
_SOL_PACKET, _VERSION, _TX_RING, _VNET_HDR, _QDISC_BYPASS, _TPACKET_V2 = 263, 10, 13, 15, 20, 1
_AVAILABLE, _SEND_REQUEST = 0, 1
_HEADER, _VIRTIO = 32, 10
"octets of struct tpacket2_hdr, aligned, and of struct virtio_net_hdr"
_STATUS, _LENGTH, _SNAPLEN = 0, 1, 2
"words of struct tpacket2_hdr"
_BLOCK = 1 << 16
_NO_ROOM = (errno.ENOBUFS, errno.EAGAIN)


class Counts(ctypes.Structure):
    """What was sent so far, in memory that the process which forked this one looks at."""

    _fields_ = (
        ("sent", ctypes.c_uint64),
        ("calls", ctypes.c_uint64),
        ("refused", ctypes.c_uint64),
        ("errno", ctypes.c_uint64),
        ("began_ns", ctypes.c_uint64),
        ("ended_ns", ctypes.c_uint64),
        ("stop", ctypes.c_uint64),
    )

    @classmethod
    def shared(cls) -> Counts:
        """Counts that a process has in common with those that it forks."""
        return cls.from_buffer(mmap.mmap(-1, ctypes.sizeof(cls)))


class Slots:
    """The packets in memory, in the order in which they are sent: one of each template, then the next ones."""

    def __init__(self, templates: Sequence[Template]) -> None:
        self.templates = templates
        self.count = max(SLOTS, 1 << (len(templates) - 1).bit_length())
        longest = max(len(template.base) for template in templates)
        self.size = max(128, 1 << (_HEADER + _VIRTIO + longest - 1).bit_length())
        self._sent = 0
        self._same = self.count % len(templates) == 0
        "whether a slot always has a packet of the same template"

    def fill(self, memory: mmap.mmap | bytearray) -> None:
        """The first packets."""
        self.octets = np.frombuffer(memory, np.uint8).reshape(self.count, self.size)
        self.words = np.ndarray((self.count, self.size // 4), np.uint32, memory)
        for index, template in enumerate(self.templates):
            self._write(index, template, anew=True)

    def refill(self) -> None:
        """The next ones, once all have left."""
        self._sent += self.count
        for index, template in enumerate(self.templates):
            if template.places or not self._same:
                self._write(index, template, anew=not self._same)

    def _write(self, index: int, template: Template, *, anew: bool) -> None:
        first = (index - self._sent) % len(self.templates)
        mine, length = slice(first, None, len(self.templates)), len(template.base)
        frames = self.octets[mine, _HEADER + _VIRTIO : _HEADER + _VIRTIO + length]
        if anew:
            self.words[mine, _LENGTH] = self.words[mine, _SNAPLEN] = _VIRTIO + length
            virtio = struct.pack("=BBHHHH", 0, 0, length, 0, 0, 0)  # nothing is left to be done but to copy
            self.octets[mine, _HEADER : _HEADER + _VIRTIO] = np.frombuffer(virtio, np.uint8)
            frames[:] = np.frombuffer(template.base, np.uint8)
        template.refill(frames, (self._sent + first) // len(self.templates))

    def request(self, count: int) -> None:
        """The first so many are to be sent."""
        self.words[:count, _STATUS] = _SEND_REQUEST

    def waiting(self, count: int) -> int:
        """How many of these the kernel has not taken yet."""
        return int(np.count_nonzero(self.words[:count, _STATUS] == _SEND_REQUEST))


def open_socket(interface: str) -> socket.socket:
    """A packet socket that sends on the interface and receives nothing. Raises OSError."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    for option, value in ((_VERSION, _TPACKET_V2), (_QDISC_BYPASS, 1), (_VNET_HDR, 1)):
        opened.setsockopt(_SOL_PACKET, option, value)
    opened.bind((interface, 0))
    return opened


def send(opened: socket.socket, templates: Sequence[Template], counts: Any, most: int, seconds: float) -> None:
    """Sends until so many packets have left, or so long, or `counts.stop`; `counts` says how many. Raises OSError.

    What a call did not send for want of room is sent by the next one.
    """
    slots = Slots(templates)
    block = max(_BLOCK, slots.size)
    opened.setsockopt(
        _SOL_PACKET, _TX_RING, struct.pack("=4I", block, slots.count * slots.size // block, slots.size, slots.count)
    )
    slots.fill(mmap.mmap(opened.fileno(), slots.count * slots.size))
    counts.began_ns = counts.ended_ns = time.monotonic_ns()
    until = counts.began_ns + int(seconds * 1e9)
    while (left := most - counts.sent) > 0 and counts.ended_ns < until and not counts.stop:
        count = min(slots.count, left)
        slots.request(count)
        if not _send_all(opened.fileno(), slots, count, counts, until):
            return
        slots.refill()


def _send_all(fd: int, slots: Slots, count: int, counts: Any, until: int) -> bool:
    """Whether the first so many slots have all left."""
    before = counts.sent
    while True:
        result = libc.send(fd, None, 0, 0)
        code = ctypes.get_errno()
        counts.ended_ns = time.monotonic_ns()
        counts.sent, taken = before + count - slots.waiting(count), counts.sent
        counts.calls += counts.sent > taken
        if counts.sent == before + count:
            return True
        if counts.stop or counts.ended_ns >= until:
            return False
        if result < 0 and code in _NO_ROOM:
            counts.refused += 1
            select.select([], [], [], 0.001)
        elif result < 0 and code != errno.EINTR:
            counts.errno = code
            return False


def failure(counts: Any) -> str | None:
    """The errno that ended it, by its name."""
    return errno_name(counts.errno) if counts.errno else None
