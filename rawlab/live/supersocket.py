"""The capture ring behind scapy's SuperSocket: `scapy.sniff(opened_socket=RingSocket("veth0"), count=3)`.

What lives here: EPBs of the ring cut into frames, one by one, as scapy wants them. scapy dissects some
thousand frames a second; the ring holds what it is late for (64 MiB), instead of a socket's 200 KiB.
What does not: anything that must be fast (ring.py), and sending.

Each packet has the kernel's nanoseconds as `time` (an EDecimal, which keeps them) and, as packets from
scapy's own PcapNgReader, `direction`: 1 inbound, 2 outbound.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any, Final

import scapy.layers.inet  # noqa: F401  its side effect: scapy's layers know each other
from scapy.config import conf
from scapy.error import Scapy_Exception
from scapy.packet import Packet
from scapy.supersocket import SuperSocket
from scapy.utils import EDecimal

from rawlab.live.ring import Ring

EPB: Final = struct.Struct("=4xI4xIII4x")
"""The head of an Enhanced Packet Block: its length, time (high, low), captured length."""
FLAGS: Final = struct.Struct("=I8x")
"""What each EPB of the ring ends in: the value of epb_flags, opt_endofopt and the length."""
DIRECTION: Final = 0b11
"""The bits of epb_flags that tell inbound (1) from outbound (2)."""


def frames(runs: Iterable[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Each frame with its time in nanoseconds and its direction, from runs of the ring's EPBs."""
    for run in runs:
        start = 0
        while start < len(run):
            length, high, low, captured = EPB.unpack_from(run, start)
            (flags,) = FLAGS.unpack_from(run, start + length - FLAGS.size)
            data = start + EPB.size
            yield run[data : data + captured], high << 32 | low, flags & DIRECTION
            start += length


class RingSocket(SuperSocket):  # type: ignore[misc]
    """Frames of one interface from a Ring; keyword arguments are the Ring's.

    `fileno` and `close` are SuperSocket's: it asks its `ins`, which is the ring.
    """

    desc = "read frames from a TPACKET_V3 ring"
    ins: Ring
    outs = None

    def __init__(self, iface: str, **options: Any) -> None:
        self.iface = iface
        self.ins = Ring(iface, **options)
        self._layer = conf.l2types.num2layer.get(self.ins.hardware_type, conf.default_l2)
        self._frames: Iterator[tuple[bytes, int, int]] = iter(())
        self._next: tuple[bytes, int, int] | None = None
        self._direction = 0

    def recv_raw(self, x: int = 0) -> tuple[type[Packet] | None, bytes | None, EDecimal | None]:
        """The next frame's layer, bytes and time in seconds, or three times None; never waits.

        Frames come whole: `x`, the size that other sockets cut to, has no meaning here.
        """
        if self._next is None:
            self._refill()
        if self._next is None:
            return None, None, None
        data, stamp, self._direction = self._next
        self._next = next(self._frames, None)
        return self._layer, data, EDecimal(stamp) / 1_000_000_000

    def _refill(self) -> None:
        # A copy, since scapy is slow: the kernel shall have the whole ring meanwhile.
        runs = [bytes(run) for run in self.ins.take()]
        self.ins.release()
        self._frames = frames(runs)
        self._next = next(self._frames, None)

    def recv(self, x: int = 0, **options: Any) -> Packet | None:
        """The next frame as a packet, with `time` and `direction`; None if there is none yet."""
        packet = super().recv(x, **options)
        if packet is not None:
            packet.direction = self._direction
        return packet

    def send(self, x: Packet) -> int:
        """Never: a ring only receives."""
        raise Scapy_Exception("a RingSocket can't send: use an L2Socket")

    @staticmethod
    def select(sockets: list[SuperSocket], remain: float | None = None) -> list[SuperSocket]:
        """Those of `sockets` with a frame or a retired block, after at most `remain` seconds (None: any)."""
        ahead = [one for one in sockets if isinstance(one, RingSocket) and one._next]
        readable = SuperSocket.select(sockets, 0 if ahead else remain)
        return ahead + [one for one in readable if one not in ahead]
