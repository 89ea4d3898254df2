"""The privileged part, a program of its own: `python -m rawlab.live.stage DESCRIPTOR`.

    rawlab ── control socket ──▶ guardian ── fork, new PID namespace ──▶ stage ──▶ the lab's client and server
    (no privilege; reads            │                                     │ makes the network, opens the rings,
     files and packets)             └ ends all when rawlab is gone        └ writes the file, records the calls

It touches namespaces, packet sockets and other processes' sockets, and looks into no packet. What it has to say
it says as JSON over the control socket: {"error": …}, {"started": …}, {"done": …}. When the other end is gone, whatever
the reason, it ends, and with it (as process 1 of its PID namespace) every process and interface of the lab.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any, NoReturn

from rawlab.errors import LabError, OutputError, PermissionMissing, RawlabError
from rawlab.live import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rawlab.live.replay_run import ReplayRun
    from rawlab.live.run import Run
    from rawlab.live.sniff_run import SniffRun

_LAST_SECONDS = 3  # how long a stage whose rawlab is gone may still write


def main() -> NoReturn:
    """Waits for the request, enters the namespaces, and watches over the stage."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy's threads would cost start-up, and do not survive fork
    try:
        request, descriptor = _receive(control)
        _enter(private=not request["loopback"])
    except RawlabError as error:
        _tell(control, {"error": str(error), "code": error.exit_code})
        os._exit(0)
    guardian = os.getpid()
    try:
        stage = os.fork()
    except OSError as error:
        _tell(control, {"error": f"no process can be made: {error.strerror}", "code": LabError.exit_code})
        os._exit(0)
    if stage == 0:
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() not in (guardian, 0):  # 0: the guardian is outside of this PID namespace
            os._exit(1)
        _act(control, request, descriptor)
    os.close(descriptor)
    _guard(control, stage)


def _receive(control: socket.socket) -> tuple[dict[str, Any], int]:
    message, descriptors, _, _ = socket.recv_fds(control, 16, 2)
    if not message:
        os._exit(0)
    request, descriptor = descriptors
    with open(request, "rb") as file:
        return json.load(file), descriptor


def _tell(control: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        control.send(json.dumps(message).encode())


def _enter(*, private: bool) -> None:
    """Becomes who may make networks, and whose children live in a new PID namespace. Raises PermissionMissing."""
    from rawlab.live import needs

    if private:
        needs.enter_user_namespace()
        needs.unshare_or_say(libc.CLONE_NEWPID)
    else:
        with contextlib.suppress(
            OSError
        ):  # loopback needs no namespace; where one can be had, it keeps order
            libc.unshare(libc.CLONE_NEWPID)


def _act(control: socket.socket, request: dict[str, Any], descriptor: int) -> NoReturn:
    """The stage: one run, then the end."""
    try:
        done = _kind_of_run(request)(control, request, descriptor).perform()
        _tell(control, {"done": done})
    except RawlabError as error:
        _tell(control, {"error": str(error), "code": error.exit_code})
    except MemoryError:
        _tell(control, {"error": "the stage: no memory left", "code": LabError.exit_code})
    except OSError as error:
        kind = PermissionMissing if isinstance(error, PermissionError) else OutputError
        _tell(control, {"error": f"the stage: {error}", "code": kind.exit_code})
    except BaseException as error:
        import traceback

        _tell(
            control, {"error": f"a fault of rawlab's: {error!r}", "trace": traceback.format_exc(), "code": 1}
        )
    finally:
        os._exit(0)


def _kind_of_run(request: dict[str, Any]) -> type[Run] | type[SniffRun] | type[ReplayRun]:
    """A lab's, a dialogue's, that of packets made by hand, one by one or as a flood, or of packets only looked at."""
    if "sniff" in request:
        from rawlab.live.sniff_run import SniffRun

        return SniffRun
    if "replay" in request:
        from rawlab.live.replay_run import ReplayRun

        return ReplayRun
    if "flood" in request:
        from rawlab.live.flood_run import FloodRun

        return FloodRun
    if "against" in request:
        from rawlab.live.against_run import AgainstRun

        return AgainstRun
    if "craft" in request:
        from rawlab.live.craft_run import CraftRun

        return CraftRun
    from rawlab.live.run import Run

    return Run


def _guard(control: socket.socket, stage: int) -> NoReturn:
    """Waits for the stage's end; makes it come when nobody is left to wait for it."""
    pidfd = os.pidfd_open(stage)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(control, 0)  # POLLHUP alone: what is said is for the stage
    ready = dict(poll.poll())
    if pidfd not in ready:
        alone = select.poll()
        alone.register(pidfd, select.POLLIN)
        if not alone.poll(_LAST_SECONDS * 1000):
            os.kill(stage, signal.SIGKILL)
    os.waitpid(stage, 0)
    os._exit(0)


if __name__ == "__main__":
    main()
