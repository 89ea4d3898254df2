"""A captured client's side of a flow, played again inside a lab: the stage's side.

The client's program goes through the turns: it sends what the client sent, and waits for as much as the server answered
then. As long as the answer is the captured one, it goes on at once; where it differs, it takes what comes until the
server is quiet. The server is PROGRAM, as whoever called, in the server's host; or a lab's; or a relay.
"""

from __future__ import annotations

import base64
import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from rawlab.live import libc, privilege
from rawlab.live.network import SERVER
from rawlab.live.program import Semaphores
from rawlab.live.recorder import Recorder
from rawlab.live.run import Run
from rawlab.model.address import Endpoint
from rawlab.model.calls import Calls, Sync
from rawlab.model.dialogue import ANSWER_MS, END_MS
from rawlab.model.lab import Options, Program
from rawlab.model.sctp import SndRcvInfo

_QUIET_MS = 200  # after which a server that says something else has said it
_ROOM = 65_536
_LISTENS_SECONDS = 10.0
_ELSEWHERE_SECONDS = 0.5  # a program that listens on another port may yet listen on this one
_TAIL = 2000  # octets of what a program printed
_LISTEN, _SECONDS = "0A", 0.02
_SAY_SECONDS, _SAY_AGAIN_SECONDS = 1.0, 5.0  # that it waits
_DIES_SECONDS = 0.2


class AgainstRun(Run):
    """A run whose client plays a dialogue."""

    def __init__(self, control: socket.socket, request: dict[str, Any], descriptor: int) -> None:
        super().__init__(control, request, descriptor)
        against = request["against"]
        player = Player(
            protocol=against["protocol"],
            turns=tuple(Turn.of(turn) for turn in against["turns"]),
            ends=against["ends"],
            client_first=against["client_first"],
        )
        server = self._server(against)
        self.lab = replace(self.lab, client=player, server=server, own_tcp=tuple(against["own_tcp"]))
        self._private_ports = bool(against["program"])
        self.kept = () if against["relay"] is None else (against["relay"],)

    def _server(self, against: dict[str, Any]) -> Program:
        if against["program"]:
            return Serve(command=tuple(against["program"]), protocol=against["protocol"])
        if against["relay"] is not None:
            return Relay(way=against["relay"], protocol=against["protocol"])
        return self.lab.server

    def _set_the_stage(self) -> Callable[[str], None]:
        enter = super()._set_the_stage()
        if self._private_ports and self.network is not None:
            with self.network.inside(SERVER.name), contextlib.suppress(OSError):
                _any_port()
        return enter

    def _watch(self) -> None:
        """Until the client has ended; the server's program is ended then, whatever it waits for."""
        next_s = _SAY_SECONDS
        server, client = self.witnesses[:2]
        while client.alive:
            self._step(0.5)
            idle = time.monotonic() - self.progress
            next_s = next_s if idle > _SAY_SECONDS else _SAY_SECONDS
            if idle > next_s:
                next_s += _SAY_AGAIN_SECONDS
                self._tell({"waiting": self._waiting(), "seconds": round(idle, 1)})
            if self.writer.error:
                self.stop("the file can't grow")
        deadline = time.monotonic() + _DIES_SECONDS
        while server.alive and server.told is None and self._private_ports and time.monotonic() < deadline:
            self._step(0.02)  # a program that has failed may be about to end
        for witness in self.witnesses:
            witness.kill()
        while any(witness.alive for witness in self.witnesses):
            self._step(0.5)
        self._reap()


    def _waiting(self) -> str:
        if self.witnesses[1].waiting == "was in no call":
            return f"waits until the server listens on port {self.options.server.port}"
        return "waits for the server's answer"

    def _end(self) -> dict[str, Any]:
        return super()._end() | {"report": {"program": self.witnesses[0].told}}


def _any_port() -> None:
    """Whoever runs there may listen on any port, as ip(7) says of ip_unprivileged_port_start."""
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w") as file:
        file.write("0")


# ------------------------------------------------------------------------------------------------ client


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """What is sent at once."""

    data: bytes
    seconds: float
    "to wait before it"
    stream: int
    ppid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What to send, and what was answered."""

    says: tuple[Say, ...]
    answers: tuple[bytes, ...]
    unknown: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, told: dict[str, Any]) -> Turn:
        says = (saying | {"data": base64.b64decode(saying["data"])} for saying in told["says"])
        return cls(
            says=tuple(Say(**saying) for saying in says),
            answers=tuple(base64.b64decode(answer) for answer in told["answers"]),
            unknown=tuple((first, end) for first, end in told["unknown"]),
        )

    def is_answered(self, came: Sequence[bytes], *, stream: bool) -> bool:
        """Whether all of the answer has come, as it was."""
        if not stream:
            return list(came) == list(self.answers)
        now, then = bytearray(b"".join(came)), bytearray(b"".join(self.answers))
        if len(now) != len(then):
            return False
        for first, end in self.unknown:
            now[first:end] = then[first:end]
        return now == then

    def differs(self, came: Sequence[bytes], *, stream: bool) -> bool:
        """Whether what has come is not how the answer begins."""
        if not stream:
            return list(came) != list(self.answers[: len(came)])
        now = b"".join(came)
        known = bytearray(b"".join(self.answers)[: len(now)])
        for first, end in self.unknown:
            known[first:end] = now[first:end]
        return bytes(known) != now


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """The client's program."""

    protocol: str
    turns: tuple[Turn, ...]
    ends: str | None
    client_first: bool

    def __call__(self, c: Calls, lab: Options, sync: Sync) -> None:
        assert isinstance(sync, Semaphores)
        port = _ready(sync, lab.server.port)
        fd = self._open(c, lab, Endpoint(lab.server.address, port))
        if fd < 0:
            return
        ended = False
        for turn in self.turns:
            ended = not self._say(c, fd, turn) or self._hear(c, fd, turn)
            if ended:
                break
        self._end(c, fd, ended)

    def _open(self, c: Calls, lab: Options, server: Endpoint) -> int:
        kind = "SOCK_DGRAM" if self.protocol == "udp" else "SOCK_STREAM"
        fd = c.socket(lab.domain, kind, "IPPROTO_SCTP" if self.protocol == "sctp" else 0)
        return fd if c.connect(fd, server) == 0 else -1

    def _say(self, c: Calls, fd: int, turn: Turn) -> bool:
        for number, saying in enumerate(turn.says):
            if number and saying.seconds >= 0.001:
                c.nanosleep(min(saying.seconds, 1.0))
            if not self._send(c, fd, saying):
                return False
        return True

    def _send(self, c: Calls, fd: int, saying: Say) -> bool:
        if self.protocol == "sctp":
            info = SndRcvInfo(stream=saying.stream, ppid=saying.ppid)
            return c.sendmsg(fd, None, [saying.data], "0", info) >= 0
        if self.protocol == "udp":
            return c.send(fd, saying.data, "0") >= 0
        left = saying.data
        while left and (taken := c.write(fd, left)) > 0:
            left = left[taken:]
        return not left

    def _hear(self, c: Calls, fd: int, turn: Turn) -> bool:
        """Takes the turn's answer; whether the server has ended."""
        came: list[bytes] = []
        stream = self.protocol == "tcp"
        while turn.answers and not turn.is_answered(came, stream=stream):
            wait = _QUIET_MS if turn.differs(came, stream=stream) else ANSWER_MS
            if not c.poll([(fd, "POLLIN")], wait):
                return False
            piece = self._take(c, fd)
            if piece is None:
                return True
            came.append(piece)
        return False

    def _take(self, c: Calls, fd: int) -> bytes | None:
        """What has come; None at the end, or for an error."""
        if self.protocol == "sctp":
            data = c.recvmsg(fd, _ROOM, "0")[0]
        elif self.protocol == "udp":
            return c.recv(fd, _ROOM, "0") if c.errno != "ECONNREFUSED" else None
        else:
            data = c.read(fd, _ROOM)
        return data or None

    def _end(self, c: Calls, fd: int, ended: bool) -> None:
        """Ends it as the client did."""
        if self.protocol == "udp":
            while c.poll([(fd, "POLLIN")], _QUIET_MS) and self._take(c, fd) is not None:
                pass  # what nobody asked for
        elif self.ends in ("RST", "ABORT"):
            c.setsockopt(fd, "SOL_SOCKET", "SO_LINGER", (1, 0))
        elif not ended:
            if self.ends == "FIN" and self.client_first:
                c.shutdown(fd, "SHUT_WR")
            wait = END_MS if self.ends is not None else _QUIET_MS
            while c.poll([(fd, "POLLIN")], wait) and self._take(c, fd) is not None:
                pass
        c.close(fd)


def _ready(sync: Semaphores, port: int) -> int:
    """Waits until the server's program says that it is there; the port that it listens on."""
    said = os.read(sync.incoming, 4096).decode()
    if not said:
        os._exit(0)  # it has ended, and has told why
    word, _, number = said.strip().partition(" ")
    return int(number) if word == "port" and number.isdecimal() else port


# ------------------------------------------------------------------------------------------------ server


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """Runs a command as whoever called, until it listens, and then until the run ends."""

    command: tuple[str, ...]
    protocol: str

    def __call__(self, c: Calls, lab: Options, sync: Sync) -> None:
        assert isinstance(c, Recorder)
        before = listening(self.protocol)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._become(writer)
        os.close(writer)
        printed, began, told = b"", time.monotonic(), False
        while True:
            if select.select([reader], [], [], _SECONDS)[0]:
                piece = os.read(reader, 65536)
                printed = (printed + piece)[-_TAIL:]
                if not piece:
                    self._ended(c, pid, printed, told)
            waited = time.monotonic() - began
            if not told and (port := self._port(lab.server.port, before, waited)) is not None:
                sync.post(f"port {port}")
                told = True
            if not told and waited > _LISTENS_SECONDS:
                there = ", ".join(map(str, sorted(listening(self.protocol) - before))) or "none"
                what = f"nobody listens on port {lab.server.port} after {waited:.0f} s (listening ports: {there})"
                _fail(c, f"{self.command[0]}: {what}{_last_line(printed)}")

    def _port(self, wanted: int, before: set[int], waited: float) -> int | None:
        now = listening(self.protocol) - before
        if wanted in now:
            return wanted
        return min(now) if len(now) == 1 and waited > _ELSEWHERE_SECONDS else None

    def _become(self, output: int) -> NoReturn:
        """The command, with nothing of ours: no privilege, no descriptor but its output."""
        try:
            libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.closerange(3, 1 << 16)
            privilege.drop(".")
            libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)  # lost with the change of user
            for number in (signal.SIGINT, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.execvp(self.command[0], self.command)
        except OSError as error:
            os.write(2, f"can't be run: {error.strerror}".encode())
        finally:
            os._exit(127)

    def _ended(self, c: Recorder, pid: int, printed: bytes, told: bool) -> NoReturn:
        """The program is no more, or prints no more: before it listened, the run is in vain."""
        _, status = os.waitpid(pid, 0)
        how = os.waitstatus_to_exitcode(status)
        what = f"was killed by {signal.Signals(-how).name}" if how < 0 else f"ended with exit code {how}"
        if not told:
            _fail(c, f"{self.command[0]} {what} before it listened{_last_line(printed)}")
        c.channel.tell({"told": f"{what}{_last_line(printed)}"}, b"")
        os._exit(0)


def _last_line(printed: bytes) -> str:
    lines = printed.decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:200]}" if lines else ""


def _fail(c: Recorder, why: str) -> NoReturn:
    c.channel.tell({"failed": why}, b"")
    os._exit(1)


def listening(protocol: str) -> set[int]:
    """The ports on which this host's sockets wait for clients, proc_net_tcp(5), net/sctp/proc.c."""
    if protocol == "sctp":
        return {int(row[4]) for row in _rows("sctp/eps")}
    found = set()
    for table in (protocol, f"{protocol}6"):
        rows = (row for row in _rows(table) if protocol == "udp" or row[3] == _LISTEN)
        found |= {int(row[1].rpartition(":")[2], 16) for row in rows}
    return found


def _rows(table: str) -> list[list[str]]:
    try:
        with open(f"/proc/thread-self/net/{table}") as file:
            return [line.split() for line in file.readlines()[1:]]
    except OSError:
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Passes on what is said, between the client in the lab and a connected socket of the present network."""

    way: int
    "the descriptor through which that socket comes"
    protocol: str

    def __call__(self, c: Calls, lab: Options, sync: Sync) -> None:
        with socket.socket(fileno=self.way) as way:
            _, (outside, *_), _, _ = socket.recv_fds(way, 1, 1)
        family = socket.AF_INET6 if ":" in lab.server.address else socket.AF_INET
        kind = socket.SOCK_DGRAM if self.protocol == "udp" else socket.SOCK_STREAM
        with socket.socket(fileno=outside) as far, socket.socket(family, kind) as inside:
            inside.bind((lab.server.address, lab.server.port))
            if self.protocol == "udp":
                sync.post(f"port {lab.server.port}")
                first, client = inside.recvfrom(_ROOM)
                inside.connect(client)
                far.send(first)
                _pass_on(inside, far)
            else:
                inside.listen(1)
                sync.post(f"port {lab.server.port}")
                with inside.accept()[0] as near:
                    _pass_on(near, far)


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    """Both ways, until both have ended; a reset of one resets the other."""
    stream = one.type == socket.SOCK_STREAM
    ways = {one: other, other: one}
    while ways:
        for source in select.select(list(ways), [], [])[0]:
            target = ways[source]
            try:
                if data := source.recv(_ROOM):
                    target.sendall(data)
                elif stream:
                    del ways[source]
                    target.shutdown(socket.SHUT_WR)
            except OSError:
                target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                return
