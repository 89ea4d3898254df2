"""Packets made by hand, sent inside a lab: the client's program is a loop over raw sockets, the rest is a run as ever.

    client   socket(AF_INET, SOCK_RAW, IPPROTO_RAW) · sendto …      whole IP packets (raw(7))
             socket(AF_PACKET, SOCK_RAW) · bind · send …            whole frames (packet(7))
    server   the program of a lab, if one is asked for; else its kernel answers alone

The client lives until its interface has been quiet for as long as was asked for; then the server's program is ended,
and what the kernels still say of that is captured too. Outside the lab, the same runs on the present network, bound to
the one interface that was named, for just as long; what goes to and comes from the packets' receivers is captured.
"""

from __future__ import annotations

import base64
import os
import select
import selectors
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rawlab.errors import LabError, PermissionMissing
from rawlab.live import libc
from rawlab.live.filter import hosts_program
from rawlab.live.network import CLIENT
from rawlab.live.program import Semaphores
from rawlab.live.recorder import Args, Recorder
from rawlab.live.ring import Ring
from rawlab.live.run import Run
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.lab import Options
from rawlab.model.timeline import Point

_LOOK_SECONDS = 0.005
_MOST_ANSWERS_SECONDS = 60.0  # for a server that never stops answering
_READY_SECONDS = 2.0  # for a server that never says that it is ready
_ETHERNET = 1


class CraftRun(Run):
    """A run whose client sends what it was given."""

    def __init__(self, control: socket.socket, request: dict[str, Any], descriptor: int) -> None:
        super().__init__(control, request, descriptor)
        craft = request["craft"]
        self.outside: str | None = craft["outside"]
        self.receivers: list[str] = craft["receivers"]
        packets = [(base64.b64decode(data), to) for data, to in craft["packets"]]
        client = Client(
            packets=packets,
            count=craft["count"],
            rate=craft["rate"],
            wait=craft["wait"],
            interface=self.outside or CLIENT.name,
            bound=self.outside is not None,
            server=request["serves"],
        )
        self.lab = replace(self.lab, client=client)

    def _set_the_stage(self) -> Callable[[str], None]:
        if self.outside is None:
            return super()._set_the_stage()
        self.network = None
        self.points = [Point(name=self.outside, linktype=_ETHERNET, host=CLIENT.name)]
        self.rings.append(self._outside_ring(self.outside))
        self.selector.register(self.rings[0], selectors.EVENT_READ, self.rings[0])
        self.selector.register(self.control, selectors.EVENT_READ)
        return lambda host: None

    def _outside_ring(self, interface: str) -> Ring:
        try:
            return Ring(interface, interface_id=0, program=hosts_program(self.receivers))
        except PermissionError:
            raise PermissionMissing("sending outside of a lab needs root: use sudo") from None
        except OSError as error:
            raise LabError(f"{interface}: {error.strerror}") from None

    def _watch(self) -> None:
        """Until the client has ended; the server's program is ended then, whatever it waits for."""
        client = self.witnesses[1]
        while client.alive:
            self._step(0.5)
            if self.writer.error:
                self.stop("the file can't grow")
        for witness in self.witnesses:
            witness.kill()
        while any(witness.alive for witness in self.witnesses):
            self._step(0.5)
        self._reap()

    def _at_work(self) -> int:
        return 0 if self.outside is not None else super()._at_work()


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The client's program."""

    packets: Sequence[tuple[bytes, str | None]]
    "octets, and the address that a raw socket sends them to; None: a packet socket sends them"
    count: int
    rate: float
    wait: float
    interface: str
    bound: bool
    "whether it is outside: raw sockets are bound to it, where the routing table would lead elsewhere"
    server: bool
    "whether a server's program is to be waited for"

    def __call__(self, c: Calls, lab: Options, sync: Sync) -> None:
        assert isinstance(c, Recorder)
        assert isinstance(sync, Semaphores)
        if self.server:
            wait_until_ready(sync)
        sockets: dict[str, int] = {}
        next_at = time.monotonic()
        for _ in range(self.count):
            for data, to in self.packets:
                time.sleep(max(next_at - time.monotonic(), 0))
                next_at = max(next_at, time.monotonic() - 1) + 1 / self.rate
                self._send(c, sockets, data, to)
        if self.bound:  # outside, others are never quiet
            time.sleep(self.wait)
        else:
            wait_until_quiet(self.interface, self.wait, _MOST_ANSWERS_SECONDS)
        for fd in sockets.values():
            c.close(fd)

    def _send(self, c: Recorder, sockets: dict[str, int], data: bytes, to: str | None) -> None:
        family = "AF_PACKET" if to is None else "AF_INET6" if ":" in to else "AF_INET"
        if family not in sockets:
            sockets[family] = self._open(c, family)
        if to is None:
            c.send(sockets[family], data, "0")
        else:
            c.sendto(sockets[family], data, "0", Endpoint(to, 0))

    def _open(self, c: Recorder, family: str) -> int:
        fd = c.socket(family, "SOCK_RAW", 0 if family == "AF_PACKET" else "IPPROTO_RAW")
        if family == "AF_PACKET":
            _bind_to_interface(c, fd, self.interface)
        elif self.bound:
            _bind_to_device(c, fd, self.interface)
        return fd


def wait_until_ready(sync: Semaphores) -> None:
    """Until the server's program says, by whatever name, that it is there; or has ended, or never says so."""
    if select.select([sync.incoming], [], [], _READY_SECONDS)[0]:
        os.read(sync.incoming, 4096)


def wait_until_quiet(interface: str, quiet: float, most: float) -> None:
    """Until the interface has counted no packet for so long, at most. No call of the program's: rawlab looks."""
    seen, since = traffic(interface), time.monotonic()
    deadline = since + quiet + most
    while time.monotonic() < min(since + quiet, deadline):
        time.sleep(_LOOK_SECONDS)
        if (now := traffic(interface)) != seen:
            seen, since = now, time.monotonic()


def _bind_to_interface(c: Recorder, fd: int, interface: str) -> None:
    """bind(2) of a packet socket, struct sockaddr_ll of packet(7). Protocol 0: it sends, and receives nothing."""
    index = socket.if_nametoindex(interface)
    raw = struct.pack("=HHiHBB8s", socket.AF_PACKET, 0, index, 0, 0, 0, bytes(8))
    address = f"sll_ifindex={interface}"
    result = c._call("bind", [("sockfd", fd), ("addr", address)], lambda: int(libc.libc.bind(fd, raw, len(raw))))
    if result == -1:
        raise OSError(f"bind to {interface}: {c.errno}")


def _bind_to_device(c: Recorder, fd: int, interface: str) -> None:
    """SO_BINDTODEVICE of socket(7): no other interface sends what this socket is given."""
    raw = interface.encode() + b"\0"
    numbers = libc.number("SOL_SOCKET"), libc.number("SO_BINDTODEVICE")
    args: Args = [("sockfd", fd), ("level", "SOL_SOCKET"), ("optname", "SO_BINDTODEVICE"), ("optval", raw)]
    result = c._call("setsockopt", args, lambda: int(libc.libc.setsockopt(fd, *numbers, raw, len(raw))))
    if result == -1:
        raise OSError(f"SO_BINDTODEVICE {interface}: {c.errno}")


def traffic(interface: str) -> tuple[int, int]:
    """How many packets an interface of the present namespace has received and sent, proc_pid_net(5)."""
    with open("/proc/thread-self/net/dev") as file:
        rows = (line.partition(":") for line in file)
        counts = next(counts.split() for name, _, counts in rows if name.strip() == interface)
    return int(counts[1]), int(counts[9])
