"""A lab's program as a process: on its own host, with nothing open but what it opens, each call recorded."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NoReturn

from rawlab.live import libc
from rawlab.live.recorder import Channel, Recorder, high
from rawlab.model.lab import Options, Program


class Semaphores:
    """`Sync` over two pipes: a name and a newline is one post."""

    def __init__(self, outgoing: int, incoming: int) -> None:
        self.outgoing = outgoing
        self.incoming = incoming
        self._posted: list[str] = []
        self._rest = b""

    def post(self, name: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # who would wait is gone
            os.write(self.outgoing, name.encode() + b"\n")

    def wait(self, name: str) -> None:
        while name not in self._posted:
            received = os.read(self.incoming, 4096)
            if not received:
                os._exit(0)  # who would post is gone
            *names, self._rest = (self._rest + received).split(b"\n")
            self._posted += [posted.decode() for posted in names]
        self._posted.remove(name)


class Typed(Sequence[bytes]):
    """Messages that come through a pipe while the program runs, each behind its length; they end with the pipe."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._came: list[bytes] = []

    def __getitem__(self, index: Any) -> Any:
        while len(self._came) <= index:
            if (message := self._read()) is None:
                raise IndexError(index)
            self._came.append(message)
        return self._came[index]

    def __len__(self) -> int:
        while (message := self._read()) is not None:
            self._came.append(message)
        return len(self._came)

    def _read(self) -> bytes | None:
        """The next one, as soon as it is there."""
        length = _exactly(self._fd, 4)
        return None if length is None else _exactly(self._fd, int.from_bytes(length, "big"))


def _exactly(fd: int, count: int) -> bytes | None:
    """So many octets; None at the end."""
    octets = b""
    while len(octets) < count:
        if not (more := os.read(fd, count - len(octets))):
            return None
        octets += more
    return octets


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipes:
    """What ties a program to the stage and to the other program; the program's ends."""

    to_stage: int
    from_stage: int
    to_other: int
    from_other: int
    to_stack: int | None = None
    "the socket to its host's stack process, where a protocol is not the kernel's"
    protocol: str = "sctp"
    "which one: 'sctp' or 'tcp'"
    typed: int | None = None
    "where messages come from that are typed as it runs"
    kept: tuple[int, ...] = ()
    "what else the program keeps open, under its number"


def start(
    host: str,
    program: Program,
    options: Options,
    pipes: Pipes,
    enter: Callable[[], None],
    *,
    keep: int,
    observes: bool,
) -> int:
    """Forks a process that runs the program on its host (`enter` takes it there); its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
            libc.prctl(libc.PR_SET_NAME, host.encode())
            enter()
            channel, sync, stack, typed = _only(pipes)
            chosen = options if typed is None else replace(options, messages=Typed(typed))
            recorder = Recorder(host, channel, keep, observes=observes)
            if stack is not None:
                from rawlab.live.stack_calls import StackCalls

                recorder = StackCalls(
                    host, channel, keep, observes=observes, connection=stack, protocol=pipes.protocol
                )
            _run(program, chosen, sync, recorder)
        finally:
            os._exit(1)
    return pid


def _only(pipes: Pipes) -> tuple[Channel, Semaphores, int | None, int | None]:
    """Moves the pipes out of the way and closes all else."""
    channel = Channel(high(pipes.to_stage), high(pipes.from_stage))
    sync = Semaphores(high(pipes.to_other), high(pipes.from_other))
    stack, typed = (None if fd is None else high(fd) for fd in (pipes.to_stack, pipes.typed))
    kept = [channel.to_stage, channel.from_stage, sync.outgoing, sync.incoming, stack, typed]
    close_all_but(fd for fd in (*kept, *pipes.kept) if fd is not None)
    return channel, sync, stack, typed


def close_all_but(kept: Iterable[int]) -> None:
    """Closes every descriptor but those; the standard ones are /dev/null from now on."""
    nothing = os.open("/dev/null", os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    edges = [2, *sorted(kept), min(limit, 1 << 20)]
    for below, above in pairwise(edges):
        os.closerange(below + 1, above)


def _run(program: Program, options: Options, sync: Semaphores, recorder: Recorder) -> NoReturn:
    gc.disable()  # no pause of ours between two calls
    try:
        program(recorder, options, sync)
    except BaseException as error:
        recorder.channel.tell({"failed": f"{type(error).__name__}: {error} ({_place(error)})"}, b"")
        os._exit(1)
    os._exit(0)


def _place(error: BaseException) -> str:
    """Where it was raised: 'tcp_echo.py, line 20'."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "nowhere"
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno}"
