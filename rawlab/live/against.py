"""A captured client's side of a flow, played again against a real server in a lab, as rawlab sees it.

    client   rawlab's own TCP (at an address that no kernel has), its own SCTP, or a UDP socket
    server   PROGRAM, run as whoever called; or a lab's server; or HOST:PORT, a server of the present network, to whom
             a program in the lab passes on what the client says (`Relay`)

This side holds no privilege; `live.against_run` is the stage's side.
"""

from __future__ import annotations

import base64
import os
import shlex
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rawlab import labs
from rawlab.errors import LabError, UsageError
from rawlab.live import needs, network
from rawlab.live.session import Outcome, Request, Session
from rawlab.model import timeline
from rawlab.model.address import Endpoint
from rawlab.model.dialogue import Dialogue
from rawlab.model.lab import Lab
from rawlab.wire import capture

NO_SERVER = "raw-ping"
"a lab on the plain wire, of which neither program runs"
_CONNECT_SECONDS = 5.0
_MOST_KEPT = 200_000
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Whom the client speaks to: one of these."""

    program: tuple[str, ...] = ()
    "a command's words"
    lab: str | None = None
    address: Endpoint | None = None
    "of the present network"

    @property
    def words(self) -> str:
        """As it was asked for."""
        return self.lab or str(self.address or shlex.join(self.program))


@dataclass(frozen=True, slots=True, kw_only=True)
class Playing:
    """What to play, and against whom."""

    dialogue: Dialogue
    server: Server
    speed: float = 1.0
    "how much shorter the client's pauses are"

    def request(self) -> Request:
        """The run that this one is like, checked. Raises UsageError, PermissionMissing."""
        spoken = tuple(b"".join(saying.data for saying in turn.says) for turn in self.dialogue.turns if turn.says)
        if self.server.lab is None:
            asked = Request(lab=NO_SERVER, ipv6=False)
        else:
            messages = spoken if "messages" in labs.lab(self.server.lab).takes else ()
            asked = Request(lab=self.server.lab, messages=messages, ipv6=self.ipv6)
        stack = needs.choose_stack(None) if self.dialogue.protocol == "sctp" else None
        return replace(asked, ipv6=self.ipv6, keep=_MOST_KEPT, stack=stack)

    @property
    def ipv6(self) -> bool:
        """Whether the client speaks it, as in the capture."""
        return ":" in self.dialogue.server.address

    @property
    def own_tcp(self) -> tuple[str, ...]:
        """The hosts on which our own TCP speaks."""
        return (network.CLIENT.name,) if self.dialogue.protocol == "tcp" else ()

    @property
    def port(self) -> int:
        """The server's, in the lab."""
        return labs.lab(self.server.lab).port if self.server.lab else self.dialogue.server.port

    def to_json(self, relay: int | None) -> dict[str, Any]:
        """What the stage is told; `relay`: the descriptor through which the relay gets its socket."""
        dialogue = self.dialogue
        turns = [
            {
                "says": [
                    {
                        "data": base64.b64encode(saying.data).decode(),
                        "seconds": saying.pause_ns / 1e9 / self.speed,
                        "stream": saying.stream,
                        "ppid": saying.ppid,
                    }
                    for saying in turn.says
                ],
                "answers": [base64.b64encode(answer).decode() for answer in turn.answers],
                "unknown": turn.unknown,
            }
            for turn in dialogue.turns
        ]
        against = {
            "protocol": dialogue.protocol,
            "turns": turns,
            "ends": dialogue.client_ends,
            "client_first": dialogue.client_first,
            "program": self.server.program,
            "lab": self.server.lab,
            "relay": relay,
            "own_tcp": self.own_tcp,
        }
        asked = self.request().to_json()
        if self.own_tcp:
            asked["client"] = network.OWN[network.CLIENT.name][self.ipv6]
        asked["server"] = str(Endpoint(network.SERVER.addresses[self.ipv6], self.port))
        return asked | {"against": against, "serves": True}

    @property
    def hosts(self) -> tuple[timeline.Host, ...]:
        """Who takes part, with their addresses."""
        return network.with_own_tcp(network.hosts(False, self._lab.wire), self.own_tcp)

    @property
    def points(self) -> list[timeline.Point]:
        """Where packets are captured."""
        return network.points(False, self._lab.wire)

    @property
    def _lab(self) -> Lab:
        return labs.lab(self.server.lab or NO_SERVER)


class Way:
    """How a relay in the lab gets its socket of the present network: it is handed over once the server is known."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()

    def open(self, address: Endpoint, protocol: str) -> None:
        """Connects to the server, and hands that over. Raises LabError, UsageError."""
        if protocol not in _KINDS:
            raise UsageError(f"--against {address}: SCTP is played against a lab's server or a PROGRAM only")
        try:
            found = socket.getaddrinfo(address.address, address.port, type=_KINDS[protocol])[0]
            with socket.socket(*found[:3]) as connected:
                connected.settimeout(_CONNECT_SECONDS)
                connected.connect(found[4])
                connected.settimeout(None)
                socket.send_fds(self._ours, [b"."], [connected.fileno()])
        except OSError as error:
            why = error.strerror or str(error)
            raise LabError(f"--against {address}: {why}: is the server there?") from None
        finally:
            self.close()

    def close(self) -> None:
        """Gives up both ends."""
        self._ours.close()
        self.theirs.close()


def run(
    stage: Session,
    playing: Playing,
    relay: int | None,
    descriptor: int,
    version: str,
    waiting: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Plays and captures, as Session.run does a lab. Raises PermissionMissing, LabError, OutputError, UsageError."""
    stack = playing.request().stack or "kernel"
    lab = f"replay against {playing.server.words}"
    about = timeline.Run(lab=lab, stack=stack, rawlab=version, kernel=os.uname().release)
    head = capture.header(about, playing.hosts, playing.points)
    return stage.perform(playing.to_json(relay), head, descriptor, waiting)
