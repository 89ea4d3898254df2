"""One run of a lab, by the stage: the network, the rings, the two programs, the file; from start to drained end.

Before the first call, the rings listen; after the last, the run goes on until no socket has anything left to
send and the wire is quiet. All that comes is appended to the file as it comes: frames block by block, a call's
entry before it is made and its return after. So a run that is killed leaves a file that is whole.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rawlab import labs
from rawlab.errors import PermissionMissing
from rawlab.live import libc, needs
from rawlab.live.at_work import sockets_at_work
from rawlab.live.filter import ports_program
from rawlab.live.network import CLIENT, SERVER, Network, hosts, points, with_own_tcp
from rawlab.live.program import Pipes, start
from rawlab.live.ring import Ring
from rawlab.live.witness import Witness
from rawlab.live.writer import Writer
from rawlab.model.address import Endpoint
from rawlab.model.lab import MOST_TYPED_OCTETS, Options
from rawlab.model.timeline import Point
from rawlab.wire import capture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rawlab.live.stack import Busy

_QUIET_SECONDS = 0.025  # no frame for so long: more than twice the ring's retire time
_DRAIN_SECONDS = 10.0  # for sockets that still send; a FIN that nobody answers is sent again and again
_STOPPED_DRAIN_SECONDS = 1.0
_IDLE_SECONDS = 3.0  # one program has ended, the other waits: for so long
_STUCK_SECONDS = 5.0  # all programs wait for each other, and no socket has anything to send: for so long
_HOPELESS_SECONDS = 1.0  # both, seen at two looks so far apart: what a socket gave up on may not have been told yet


class Run:
    """One run. `perform` is its whole life."""
    kept: tuple[int, ...] = ()  # descriptors that the server's program is to have

    def __init__(self, control: socket.socket, request: dict[str, Any], descriptor: int) -> None:
        self.control = control
        self.request = request
        self.writer = Writer(descriptor)
        self.lab = labs.lab(request["lab"])
        self.options = Options(
            server=Endpoint.parse(request["server"]),
            messages=tuple(base64.b64decode(message) for message in request["messages"]),
            clients=request["clients"],
            client=request["client"],
            nobody=Endpoint.parse(request["nobody"]),
            unowned=request["unowned"],
            server_addresses=tuple(request["server_addresses"]),
            client_addresses=tuple(request["client_addresses"]),
        )
        self.loopback: bool = request["loopback"]
        self.rings: list[Ring] = []
        self.witnesses: list[Witness] = []
        self.stacks: list[tuple[Witness, Busy, int]] = []
        "each host's stack process, where a protocol is not the kernel's, and the pipe whose closing ends it"
        self.selector = selectors.DefaultSelector()
        self.stopped: str | None = None
        self.progress = time.monotonic()
        self.hopeless: float | None = None
        "since when nothing can come any more"
        self.typing: list[int] = []
        "the pipes to the programs through which messages still come, where those are typed"

    def perform(self) -> dict[str, Any]:
        """Runs the lab; what there is to say of it. Raises PermissionMissing, LabError, OSError."""
        enter = self._set_the_stage()
        self._start_programs(enter, self._start_stacks(enter))
        self._watch()
        self._drain()
        return self._end()

    # ---- before

    def _set_the_stage(self) -> Callable[[str], None]:
        """Network and rings. How a program enters its host."""
        network = None if self.loopback else self._network()
        self.network = network
        self.points = points(self.loopback, self.lab.wire)
        if self.request["stack"] == "user" and network is not None:
            with network.inside(CLIENT.name):
                needs.raw_sockets_or_say()
        for index, point in enumerate(self.points):
            self.rings.append(self._ring(index, point))
        for ring in self.rings:
            self.selector.register(ring, selectors.EVENT_READ, ring)
        self.selector.register(self.control, selectors.EVENT_READ)
        return (lambda host: None) if network is None else network.enter

    def _network(self) -> Network:
        try:
            return Network(self.lab.wire)
        except OSError as error:
            what = f"{str(error.strerror).partition(':')[0]}: {libc.errno_name(error.errno or 0)}"
            raise PermissionMissing(f"a private network is refused ({what}): {needs.why_refused()}") from None

    def _ring(self, index: int, point: Point) -> Ring:
        try:
            if self.network is None:
                program = ports_program(self.options.server.port)
                return Ring(point.name, interface_id=index, ignore_outgoing=True, program=program)
            with self.network.inside(point.host or point.name):
                return Ring(point.name, interface_id=index)
        except PermissionError:
            where = "loopback needs root: use sudo, or leave --lo out" if self.loopback else needs.why_refused()
            raise PermissionMissing(f"a packet socket on {point.name} is refused (EPERM): {where}") from None

    def _start_stacks(self, enter: Callable[[str], None]) -> dict[str, socket.socket]:
        """A process for each host of which a protocol is not the kernel's. The programs' ends of their connections."""
        wanted = self._own()
        if not wanted:
            return {}
        from rawlab.live import stack

        beside = self._protocol == "sctp" and needs.kernel_speaks_sctp()
        connections = {}
        hearing = []
        for host, addresses in wanted.items():
            ours, theirs = socket.socketpair()
            (reader, writer), (end, ender), (hears, ready) = os.pipe(), os.pipe(), os.pipe()
            busy = stack.Busy()
            pid = stack.start(
                host,
                self._protocol,
                addresses,
                lambda name=host: enter(name),  # type: ignore[misc]
                theirs,
                (writer, end, ready),
                busy,
                beside=beside,
                keep=self.request["keep"],
            )
            theirs.close()
            for its in (writer, end, ready):
                os.close(its)
            hearing.append(hears)
            witness = Witness(host, pid, reader, os.open(os.devnull, os.O_WRONLY))
            self.stacks.append((witness, busy, ender))
            self.selector.register(reader, selectors.EVENT_READ, witness)
            connections[host] = ours
        for hears in hearing:  # closed when the sockets are open, or the process is gone
            os.read(hears, 1)
            os.close(hears)
        return connections

    def _own(self) -> dict[str, tuple[str, ...]]:
        """The hosts that have a stack process, and the addresses at which it speaks."""
        found = with_own_tcp(hosts(self.loopback, self.lab.wire), self.lab.own_tcp)
        if self._protocol == "sctp":
            return {host.name: host.addresses for host in found} if self.request["stack"] == "user" else {}
        by_hand = "craft" in self.request  # no program of the lab's runs on the client
        return {} if by_hand or self.loopback else {host.name: host.own_tcp for host in found if host.own_tcp}

    @property
    def _protocol(self) -> str:
        """What a stack process speaks: in a lab of TCP's, TCP."""
        return "tcp" if self.lab.own_tcp else "sctp"

    def _start_programs(self, enter: Callable[[str], None], stacks: dict[str, socket.socket]) -> None:
        to_client, to_server = os.pipe(), os.pipe()
        observes = not needs.may_observe()
        for name, program, outgoing, incoming in (
            ("server", self.lab.server, to_client[1], to_server[0]),
            ("client", self.lab.client, to_server[1], to_client[0]),
        ):
            calls, replies = os.pipe(), os.pipe()
            pipes = Pipes(
                to_stage=calls[1],
                from_stage=replies[0],
                to_other=outgoing,
                from_other=incoming,
                to_stack=stacks[name].fileno() if name in stacks else None,
                protocol=self._protocol,
                typed=self._typed() if self.request.get("interactive") else None,
                kept=self.kept if name == SERVER.name else (),
            )
            pid = start(
                name,
                program,
                self.options,
                pipes,
                lambda name=name: enter(name),  # type: ignore[misc]
                keep=self.request["keep"],
                observes=observes,
            )
            os.close(calls[1])
            os.close(replies[0])
            if pipes.typed is not None:
                os.close(pipes.typed)
            self._add(Witness(name, pid, calls[0], replies[1]))
        for descriptor in (*to_client, *to_server):
            os.close(descriptor)
        for connection in stacks.values():
            connection.close()
        self._tell({"started": True})

    def _typed(self) -> int:
        """A pipe for typed messages; the program's end."""
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, MOST_TYPED_OCTETS)  # so that the stage never waits for a program
        self.typing.append(writer)
        return reader

    def _add(self, witness: Witness) -> None:
        self.witnesses.append(witness)
        self.selector.register(witness.calls, selectors.EVENT_READ, witness)

    # ---- while it runs

    def _watch(self) -> None:
        """Until both programs have ended, or are stopped."""
        said = time.monotonic()
        while any(witness.alive for witness in self.witnesses):
            self._step(0.5)
            now = time.monotonic()
            idle = now - self.progress
            if idle > 1 and now - said > 1 and not self.typing:
                said = now
                self._tell({"waiting": self._waiting(), "seconds": round(idle, 1)})
            self._give_up(idle)
            if self.writer.error:
                self.stop("the file can't grow")
        self._reap()

    def _give_up(self, idle: float) -> None:
        """Stops the programs when nothing can come any more."""
        stuck = idle > _IDLE_SECONDS and all(witness.stuck for witness in self.witnesses if witness.alive)
        # A socket that still sends will end a wait: by an answer, or by giving up; so will who types.
        if self.typing or not stuck or self._at_work():
            self.hopeless = None
            return
        self.hopeless = self.hopeless or time.monotonic()
        if time.monotonic() - self.hopeless < _HOPELESS_SECONDS:
            return
        if not all(witness.alive for witness in self.witnesses[:2]):
            self.stop(f"{self._waiting()} when the other side had ended; it was stopped")
        elif idle > _STUCK_SECONDS:
            self.stop(f"{self._waiting()}, and nothing came for {idle:.0f} s; it was stopped")

    def _waiting(self) -> str:
        """Which calls the programs are in."""
        told = [f"the {witness.host} {witness.waiting}" for witness in self.witnesses if witness.alive]
        return ", ".join(told) or "nobody waited"

    def stop(self, why: str) -> None:
        """Ends the programs; what they have sent is still captured."""
        self.stopped = self.stopped or why
        for witness in self.witnesses:
            witness.kill()

    def _step(self, seconds: float) -> bool:
        """Sees to all that is ready; whether anything was."""
        ready = self.selector.select(seconds)
        for key, _ in ready:
            match key.data:
                case Ring() as ring:
                    self._collect(ring)
                case Witness() as witness:
                    self._hear(witness)
                case _:
                    self._obey()
        return bool(ready)

    def _collect(self, ring: Ring) -> bool:
        blocks = ring.take()
        self.writer.append(blocks)
        ring.release()
        if blocks:
            self.progress = time.monotonic()
        return bool(blocks)

    def _hear(self, witness: Witness) -> None:
        self.progress = time.monotonic()
        for block in witness.hear():
            self.writer.append([block])
            witness.answer()
        for child in witness.born():
            self._add(child)
        if not witness.alive:
            self.selector.unregister(witness.calls)
            if any(witness is stack for stack, _, _ in self.stacks):
                self._mourn(witness)

    def _mourn(self, stack: Witness) -> None:
        """A host's stack process has ended, which it never does by itself: the run can't go on."""
        _, status = os.waitpid(stack.pid, 0)
        how = f"failed: {stack.failed}" if stack.failed else "has ended"
        if os.WIFSIGNALED(status):
            how = f"was killed by {signal.Signals(os.WTERMSIG(status)).name}"
        if not stack.ended_by_us:
            self.stop(f"the {stack.host}'s {self._protocol.upper()} process {how}")

    def _obey(self) -> None:
        """rawlab says stop, tells what was typed, or is gone."""
        message = self.control.recv(1 << 17)
        if not message:  # nobody will read what would follow: end, and the PID namespace ends all
            for ring in self.rings:
                self._collect(ring)
            for witness in self.witnesses:
                witness.kill()
            os._exit(0)
        said = json.loads(message)
        if "typed" in said:
            self._pass_on(said["typed"])
        else:
            self.stop(said["stop"])

    def _pass_on(self, typed: str | None) -> None:
        """A message that was typed goes to both programs; None: there are no more."""
        self.progress = time.monotonic()
        for pipe in self.typing:
            if typed is None:
                os.close(pipe)
                continue
            message = base64.b64decode(typed)
            with contextlib.suppress(BrokenPipeError):  # a program that has ended wants none
                os.write(pipe, len(message).to_bytes(4, "big") + message)
        if typed is None:
            self.typing.clear()

    def _tell(self, message: dict[str, Any]) -> None:
        self.control.send(json.dumps(message).encode())

    # ---- after

    def _reap(self) -> None:
        for witness in self.witnesses[:2]:
            _, status = os.waitpid(witness.pid, 0)
            if os.WIFSIGNALED(status) and not witness.ended_by_us:
                witness.failed = f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
        failed = [f"the {witness.host}: {witness.failed}" for witness in self.witnesses if witness.failed]
        if failed:
            self.stopped = "; ".join(failed)

    def _drain(self) -> None:
        """Until the sockets have sent all, and then until the wire is quiet."""
        deadline = time.monotonic() + (_STOPPED_DRAIN_SECONDS if self.stopped else _DRAIN_SECONDS)
        while (self._at_work() or self._held()) and time.monotonic() < deadline:
            self._step(0.005)
        while time.monotonic() < deadline and self._step(_QUIET_SECONDS):
            pass
        self._end_stacks()
        for ring in self.rings:
            self._collect(ring)

    def _end_stacks(self) -> None:
        """Lets the stack processes end, and hears what they still tell; kills one that does not."""
        for stack, _, ender in self.stacks:
            stack.ended_by_us = True
            os.close(ender)
        deadline = time.monotonic() + _STOPPED_DRAIN_SECONDS
        while any(stack.alive for stack, _, _ in self.stacks):
            self._step(0.05)
            if time.monotonic() > deadline:
                for stack, _, _ in self.stacks:
                    stack.kill()

    def _held(self) -> bool:
        """Whether a stack process has not seen yet that its programs have ended."""
        return any(stack.alive and busy.held for stack, busy, _ in self.stacks)

    def _at_work(self) -> int:
        if self.network is None:
            return sockets_at_work(self.options.server.port)
        at_work = sum(stack.alive and busy.at_work for stack, busy, _ in self.stacks)
        for host in (CLIENT.name, SERVER.name):
            with self.network.inside(host):
                at_work += sockets_at_work()
        return at_work

    def _end(self) -> dict[str, Any]:
        for index, ring in enumerate(self.rings):
            counts = ring.statistics()
            self.points[index] = replace(self.points[index], captured=counts.captured, dropped=counts.dropped)
        self.writer.append([capture.statistics(self.points, time.time_ns())])
        for ring in self.rings:
            ring.close()
        error = self.writer.error
        return {
            "stopped": self.stopped,
            "saved": self.writer.saved,
            "error": error.strerror if error else None,
        }
