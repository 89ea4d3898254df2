"""Packets of an interface, or of a lab that runs, handed over as they come: the stage's side of `rawlab sniff`.

    rings, each with the filter in the kernel ─▶ whole pcapng blocks ─▶ the file, or a pipe to rawlab
                                              └▶ over the control socket: how far in time all rings have been read, and
                                                 what the kernel has dropped

It sends nothing, looks into no packet, and gives up every privilege as soon as the rings are open. Where rawlab reads
the pipe too slowly, frames wait in the rings, and what does not fit there is counted by the kernel.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from rawlab.errors import LabError, PermissionMissing
from rawlab.live import libc, needs
from rawlab.live.interface import addresses
from rawlab.live.network import with_own_tcp
from rawlab.live.ring import BPF_RET_K, SNAPLEN, Ring, attach_filter
from rawlab.live.writer import Buffer, Writer
from rawlab.model.timeline import Host, Point
from rawlab.model.timeline import Run as About
from rawlab.wire import capture

LOOPBACK, ETHERNET = "lo", 1
_LABS = (64 << 20, 4 << 20)  # octets of a ring: an interface of the present network; one of a lab
_RETIRE_NS = 50_000_000  # the kernel hands a block over after 10 ms, or one tick of its timer later: taken generously
_IDLE_SECONDS, _LOOK_SECONDS = 0.5, 0.02
_SETTING_UP_SECONDS = 2.0  # for a lab that has no network yet
_DRAIN_SECONDS = 0.025  # more than twice the ring's retire time
_TAKE_NOTHING = struct.pack("=HBBI", BPF_RET_K, 0, 0, 0)
_Message = dict[str, Any]


class SniffRun:
    """One run of `rawlab sniff`. `perform` is its whole life."""

    def __init__(self, control: socket.socket, request: _Message, descriptor: int) -> None:
        self.control = control
        self.sniff: _Message = request["sniff"]
        self.program = base64.b64decode(self.sniff["program"])
        self.writer = Writer(descriptor) if self.sniff["file"] else Pipe(descriptor)
        self.hosts: list[Host] = []
        self.points: list[Point] = []
        self.rings: list[Ring] = []
        self.selector = selectors.DefaultSelector()
        self.stopped: str | None = None
        self.came_ns, self.told_until = 0, 1
        "when frames were taken last; up to when rawlab knows that all rings have been read"

    def perform(self) -> _Message:
        """Opens, hands over until it is stopped, drains. Raises PermissionMissing, LabError, OSError."""
        if (lab := self.sniff["lab"]) is None:
            self._open(self.sniff["interface"])
        else:
            self._open_lab(lab)
            self.hosts = self._with_own_tcp()
        libc.drop_capabilities()
        for ring in self.rings:
            self.selector.register(ring, selectors.EVENT_READ)
        self.selector.register(self.control, selectors.EVENT_READ)
        about = About(lab="sniff", rawlab=self.sniff["version"], kernel=os.uname().release)
        self.writer.append([capture.header(about, self.hosts, self.points)])
        self._tell({"started": True} | self._where())
        self._watch()
        return self._end()

    def _where(self) -> _Message:
        hosts = [[host.name, host.addresses, host.own_tcp] for host in self.hosts]
        return {"hosts": hosts, "points": [[point.name, point.host] for point in self.points]}

    # ---- before

    def _open(self, name: str, host: str | None = None) -> None:
        size = _LABS[host is not None]
        try:
            outgoing = name == LOOPBACK
            ring = Ring(
                name, interface_id=len(self.rings), size=size, program=self.program, ignore_outgoing=outgoing
            )
        except PermissionError:
            fix = needs.CONTAINER if os.geteuid() == 0 else "use sudo"
            raise PermissionMissing(f"a packet socket on {name} is refused (EPERM): {fix}") from None
        except OSError as error:
            raise LabError(f"{name}: {error.strerror}") from None
        self.rings.append(ring)
        self.points.append(Point(name=name, linktype=ETHERNET, host=host))

    def _open_lab(self, pid: int) -> None:
        """A ring on each interface of each host of the lab whose stage is that process."""
        deadline = time.monotonic() + _SETTING_UP_SECONDS
        try:
            while not (held := _held_networks(pid)) and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)  # it has only begun
            self._enter_users(pid)
            for name, inside in sorted(_interfaces(held), key=lambda found: self._place(found[0])):
                libc.setns(inside)
                self._add_host(name)
                self._open(name, name.rstrip("0123456789"))
        except PermissionError:
            raise PermissionMissing("the lab is another user's, or was started with sudo: use sudo") from None
        except FileNotFoundError:
            raise LabError("the lab has ended") from None
        if not self.rings:
            raise LabError("the lab has no network of its own (yet): one with --lo is seen by sniff -i lo")

    def _enter_users(self, pid: int) -> None:
        """Becomes who may enter the lab's networks, where an ordinary user's lab has users of its own."""
        users = f"/proc/{pid}/ns/user"
        if os.stat(users).st_ino != os.stat("/proc/self/ns/user").st_ino:
            libc.setns(os.open(users, os.O_RDONLY | os.O_CLOEXEC), libc.CLONE_NEWUSER)

    def _place(self, interface: str) -> tuple[int, str]:
        """Each two in order are the ends of one link."""
        order: list[str] = self.sniff["order"]
        return (order.index(interface) if interface in order else len(order), interface)

    def _add_host(self, interface: str) -> None:
        name = interface.rstrip("0123456789")
        own = addresses(interface)
        found = tuple(address for address in (own.ipv4, own.ipv6) if address is not None)
        for index, host in enumerate(self.hosts):
            if host.name == name:
                self.hosts[index] = replace(host, addresses=host.addresses + found)
                return
        self.hosts.append(Host(name=name, addresses=found))

    def _with_own_tcp(self) -> list[Host]:
        """The hosts as the lab has them, with the addresses that no kernel owns, and that no interface tells."""
        return list(with_own_tcp(tuple(self.hosts), self.sniff["own_tcp"]))

    # ---- while it runs

    def _watch(self) -> None:
        while self.stopped is None:
            busy = self.told_until <= self.came_ns
            ready = self.selector.select(_LOOK_SECONDS if busy else _IDLE_SECONDS)
            until = time.time_ns() - _RETIRE_NS
            if self._collect():
                self.came_ns = time.time_ns()
            if self.told_until <= self.came_ns:
                self._tell_progress(until)
            if any(key.fileobj is self.control for key, _ in ready):
                self._obey()
            if self.writer.error:
                self.stopped = "the file can't grow"

    def _collect(self) -> bool:
        """Takes all that all rings hand over; whether it was anything."""
        any_came = False
        for ring in self.rings:
            try:
                blocks = ring.take()
            except OSError as error:
                self.stopped = f"{ring.interface}: {error.strerror}"
                continue
            self.writer.append(blocks)
            ring.release()
            any_came |= bool(blocks)
        return any_came

    def _tell_progress(self, until: int) -> None:
        """How far all has been read; nobody waits for rawlab to hear it."""
        message = {"until": until, "dropped": sum(ring.statistics().dropped for ring in self.rings)}
        with contextlib.suppress(BlockingIOError):  # it has much to read already
            self.control.send(json.dumps(message).encode(), socket.MSG_DONTWAIT)
            self.told_until = until

    def _obey(self) -> None:
        """rawlab says stop, or is gone."""
        message = self.control.recv(4096)
        if not message:
            os._exit(0)
        self.stopped = json.loads(message)["stop"]

    def _tell(self, message: _Message) -> None:
        self.control.send(json.dumps(message).encode())

    # ---- after

    def _end(self) -> _Message:
        """What came until now is handed over to its end, and counted."""
        for ring in self.rings:
            with socket.socket(fileno=os.dup(ring.fileno())) as same:
                attach_filter(same, _TAKE_NOTHING, SNAPLEN)
        quiet = 0
        while quiet < 2:
            time.sleep(_DRAIN_SECONDS)
            quiet = 0 if self._collect() else quiet + 1
        for index, ring in enumerate(self.rings):
            counts = ring.statistics()
            self.points[index] = replace(self.points[index], captured=counts.captured, dropped=counts.dropped)
        self.writer.append([capture.statistics(self.points, time.time_ns())])
        error = self.writer.error
        return {
            "stopped": self.stopped,
            "captured": sum(point.captured or 0 for point in self.points),
            "dropped": sum(point.dropped or 0 for point in self.points),
            "error": error.strerror if error else None,
        }


class Pipe(Writer):
    """Blocks into a pipe: what was written can't be taken back, and nobody who reads is the end."""

    def _append(self, blocks: Any) -> None:
        try:
            for block in blocks:
                rest: Buffer = memoryview(block)
                while rest:
                    rest = rest[os.write(self.descriptor, rest) :]
        except OSError as error:
            self.error = error


def _held_networks(pid: int) -> list[int]:
    """Descriptors of the networks that the process holds and that are not ours. Raises OSError."""
    ours = os.stat("/proc/self/ns/net").st_ino
    found: dict[int, int] = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{number}"
        with contextlib.suppress(FileNotFoundError):  # closed since
            if os.readlink(path).startswith("net:["):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                if (inode := os.fstat(descriptor).st_ino) in found or inode == ours:
                    os.close(descriptor)
                else:
                    found[inode] = descriptor
    return list(found.values())


def _interfaces(networks: Sequence[int]) -> Iterator[tuple[str, int]]:
    """(name, its network) of each interface of the networks' hosts. Raises OSError."""
    for inside in networks:
        libc.setns(inside)
        for _, name in socket.if_nameindex():
            if name != LOOPBACK and not name.startswith("to-"):  # the relay's ends: between the hosts
                yield name, inside
