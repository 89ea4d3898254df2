"""A run of a lab as rawlab sees it: the stage is started, told what to run, and waited for.

This side holds no privilege: it gives the stage an open file to write to, and a way to say stop. When it dies, the
stage sees its end of the socket closed, and ends with all that it started.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from rawlab import labs
from rawlab.errors import LabError, OutputError, PermissionMissing, RawlabError, UsageError
from rawlab.live import interpreter, needs
from rawlab.live.network import NOBODY, UNOWNED, hosts, points, with_own_tcp
from rawlab.live.writer import Writer
from rawlab.model import timeline
from rawlab.model.address import Endpoint
from rawlab.model.lab import Lab
from rawlab.wire import capture

_LOOK_SECONDS = 0.05  # between two looks at what else there is to do
_ERRORS = {kind.exit_code: kind for kind in (PermissionMissing, OutputError, LabError)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to run."""

    lab: str
    messages: tuple[bytes, ...] = ()
    "none: hello"
    port: int | None = None
    "the server's; None: the lab's own"
    clients: int = 1
    ipv6: bool = False
    loopback: bool = False
    "on `lo` of the present network namespace instead of two private hosts"
    keep: int = 65_536
    "octets of each call's data that are recorded"
    interactive: bool = False
    "the messages are typed as it runs (`Session.type`)"
    stack: str | None = None
    "whose SCTP: 'kernel' or 'user'; None: the kernel's if it has one; of SCTP labs only"

    def checked(self) -> Request:
        """Itself, its stack chosen. Raises UsageError for what can't be run, PermissionMissing for a missing stack."""
        if self.lab not in labs.NAMES:
            raise UsageError(f"{self.lab}: no such lab; there are: {', '.join(labs.NAMES)}")
        if self.port is not None and not 0 < self.port <= 0xFFFF:
            raise UsageError(f"port {self.port}: a number from 1 to 65535 expected")
        lab = labs.lab(self.lab)
        if self.ipv6 and not lab.ipv6:
            raise UsageError(f"{self.lab}: is about IPv4: leave --ipv6 out")
        if self.loopback and not lab.loopback:
            raise UsageError(f"{self.lab}: needs the private hosts: leave --lo out")
        if self.interactive and not lab.interactive:
            known = ", ".join(name for name in labs.NAMES if labs.lab(name).interactive)
            raise UsageError(f"{self.lab}: asks for no messages one by one; --interactive goes with {known}")
        self._check_programs(lab)
        if not _is_sctp(self.lab):
            if self.stack is not None:
                raise UsageError(f"{self.lab}: whose SCTP it is, is what --stack chooses: leave --stack out")
            return self
        chosen = replace(self, stack=needs.choose_stack(self.stack))
        if self.loopback and chosen.stack == "user":
            raise UsageError(f"{self.lab}: rawlab's own SCTP needs the private hosts: leave --lo out")
        return chosen

    def _check_programs(self, lab: Lab) -> None:
        """Raises UsageError for what the lab's programs would not look at."""
        takes = []
        takes += ["--message and --size"] if "messages" in lab.takes else []
        takes += ["one --message or --size"] if "message" in lab.takes else []
        takes += ["--clients"] if "clients" in lab.takes else []
        told = f"its programs take {' and '.join(takes) or 'neither --message, --size nor --clients'}"
        if self.clients != 1 and "clients" not in lab.takes:
            raise UsageError(f"{self.lab}: has no use for --clients: {told}")
        if self.messages and not lab.takes & {"message", "messages"}:
            raise UsageError(f"{self.lab}: has no use for --message or --size: {told}")
        if len(self.messages) > 1 and "messages" not in lab.takes:
            raise UsageError(f"{self.lab}: has no use for a second --message or --size: {told}")
        longest = max(map(len, self.messages), default=0)
        if lab.most_octets is not None and longest > lab.most_octets:
            raise UsageError(f"{self.lab}: a message of {longest} octets: its one packet takes {lab.most_octets}")

    @property
    def hosts(self) -> list[str]:
        """The names of those who take part, from the client to the server."""
        return [host.name for host in hosts(self.loopback, labs.lab(self.lab).wire)]

    def to_json(self) -> dict[str, Any]:
        """What the stage is told."""
        lab = labs.lab(self.lab)
        found = with_own_tcp(hosts(self.loopback, lab.wire), lab.own_tcp)
        client, *_, server = (host.own_tcp or host.addresses for host in found)
        port = lab.port if self.port is None else self.port
        return {
            "lab": self.lab,
            "server": str(Endpoint(server[self.ipv6], port)),
            "client": client[self.ipv6],
            "server_addresses": server[self.ipv6 :: 2],
            "client_addresses": client[self.ipv6 :: 2],
            "nobody": str(Endpoint(NOBODY[self.ipv6], port)),
            "unowned": UNOWNED[self.ipv6],
            "messages": [base64.b64encode(message).decode() for message in self.messages or (b"hello",)],
            "clients": self.clients,
            "loopback": self.loopback,
            "keep": self.keep,
            "interactive": self.interactive,
            "stack": self.stack or "kernel",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    stopped: str | None
    "why it was stopped before its end; None: it ended by itself"
    error: str | None
    "why the file could not grow any more"
    signal: int | None = None
    "SIGINT or SIGTERM, where one of them stopped it"
    report: dict[str, Any] | None = None
    "what else the stage has counted, of a flood"


class Session:
    """The stage, started (with the caller's privileges) and waiting for its request."""

    def __init__(self, passed: Sequence[int] = ()) -> None:
        """`passed`: descriptors that the stage is to have, under their numbers."""
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # A session of its own: ^C is for us to handle.
        self._process = subprocess.Popen(
            interpreter.command("-m", "rawlab.live.stage", str(other.fileno())),
            pass_fds=[other.fileno(), *passed],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        other.close()
        self._signal: int | None = None
        self._stopping: str | None = None
        self._requested = False

    def run(
        self,
        request: Request,
        descriptor: int,
        version: str,
        waiting: Callable[[str], None],
        meanwhile: Callable[[], None] | None = None,
    ) -> Outcome:
        """Runs the lab; its capture is appended to `descriptor`. `waiting` is told what it waits for.

        `meanwhile` is called again and again while it goes on.
        Raises PermissionMissing, LabError, OutputError.
        """
        run = timeline.Run(lab=request.lab, stack=request.stack or "kernel", rawlab=version, kernel=os.uname().release)
        lab = labs.lab(request.lab)
        found = with_own_tcp(hosts(request.loopback, lab.wire), lab.own_tcp)
        head = capture.header(run, found, points(request.loopback, lab.wire))
        return self.perform(request.to_json(), head, descriptor, waiting, meanwhile)

    def perform(
        self,
        asked: dict[str, Any],
        head: bytes,
        descriptor: int,
        waiting: Callable[[str], None] = lambda _: None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Outcome:
        """Has the stage do what is asked, in a file that begins with `head`. Raises as `run`."""
        begun = _begin(head, descriptor)
        try:
            self._ask(asked, descriptor)
            while True:
                while meanwhile is not None and not select.select([self._control], [], [], _LOOK_SECONDS)[0]:
                    meanwhile()
                answer = self._receive()
                if "waiting" in answer:
                    waiting(
                        f"{answer['waiting']}: {answer['seconds']} s so far; ^C ends it and keeps the capture"
                    )
                if "error" in answer:
                    raise error_of(answer)
                if "done" in answer:
                    done = answer["done"]
                    how = {"stopped": done["stopped"], "error": done["error"], "report": done.get("report")}
                    return Outcome(**how, signal=self._signal)
        except RawlabError:
            if os.fstat(descriptor).st_size == begun:  # nothing was captured
                os.ftruncate(descriptor, 0)
            raise
        finally:
            self.close()

    def _ask(self, request: dict[str, Any], descriptor: int) -> None:
        """Tells the stage what to run. It goes through a pipe: it may be too large for one message."""
        reader, writer = os.pipe()
        with contextlib.suppress(OSError):  # of a stage that is gone, `_receive` will tell
            socket.send_fds(self._control, [b"run"], [reader, descriptor])
        os.close(reader)
        with contextlib.suppress(OSError), open(writer, "w") as pipe:
            json.dump(request, pipe)
        self._requested = True
        if self._stopping:
            self.stop(self._stopping)

    def type(self, message: bytes | None) -> None:
        """Hands the programs of an interactive run their next message; None: there are no more."""
        typed = None if message is None else base64.b64encode(message).decode()
        with contextlib.suppress(OSError):  # of a stage that is gone, `_receive` will tell
            self._control.send(json.dumps({"typed": typed}).encode())

    def stop(self, why: str) -> None:
        """Ends the run in good order: what was sent is captured, the file is finished."""
        self._stopping = why
        if self._requested:
            try:
                self._control.send(json.dumps({"stop": why}).encode())
            except OSError:
                return  # the stage has ended already

    def stop_on_signals(self) -> None:
        """SIGINT and SIGTERM end the run in good order from here on."""

        def stop(number: int, _: FrameType | None) -> None:
            self._signal = number
            self.stop(f"stopped by {signal.Signals(number).name}")

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)

    def close(self) -> None:
        """Ends the stage, if it has not ended, and waits for it."""
        self._control.close()
        self._process.wait()  # at most the stage's last seconds: it sees that we are gone

    def _receive(self) -> dict[str, Any]:
        try:
            message = self._control.recv(1 << 20)
        except ConnectionResetError:  # it ended before it had read what it was told
            message = b""
        if not message:
            raise LabError("the lab's processes were killed; the capture holds what came before")
        answer: dict[str, Any] = json.loads(message)
        return answer


def _begin(head: bytes, descriptor: int) -> int:
    """Writes what a file begins with, so that from now on it can be opened, whatever happens; how many octets.

    Raises OutputError.
    """
    file = Writer(descriptor)
    file.append([head])
    if file.error:
        os.ftruncate(descriptor, 0)
        raise OutputError(
            f"the capture can't be begun: {file.error.strerror}; free some space, or name another place with -o"
        )
    return file.saved


def _is_sctp(lab: str) -> bool:
    """Whether the lab's transport protocol may be our own."""
    return lab.startswith("sctp-")


def error_of(answer: dict[str, Any]) -> RawlabError:
    kind = _ERRORS.get(answer["code"], RawlabError)
    if "trace" in answer and os.environ.get("RAWLAB_DEBUG"):
        sys.stderr.write(answer["trace"])
    return kind(answer["error"])
