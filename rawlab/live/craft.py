"""Packets made by hand, sent inside a lab, as rawlab sees it: what is asked of the stage, and how the file begins.

This side holds no privilege, and reads no packet of others'; `live.craft_run` is the stage's side.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import Any

from rawlab import labs
from rawlab.live import network
from rawlab.live.session import Outcome, Request, Session
from rawlab.model import timeline
from rawlab.model.craft import Crafted
from rawlab.model.flood import LAB as FLOOD
from rawlab.model.flood import MOST_PACKETS as MOST_FLOODED
from rawlab.model.lab import Wire
from rawlab.model.timeline import Host, Point
from rawlab.wire import capture
from rawlab.wire.template import Template

NO_SERVER = "raw-ping"
"a lab whose server's program does nothing, so that the kernel answers"
_ETHERNET = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What to send, and where."""

    packets: tuple[Crafted, ...]
    count: int = 1
    "how often all of them"
    rate: float = 100.0
    "packets a second"
    wait: float = 0.3
    "seconds without a packet after which no answer is waited for any more"
    against: str | None = None
    "the lab whose server's program runs at the other end"
    ipv6: bool = False
    "whether that program does so over IPv6"
    outside: str | None = None
    "the interface of the present network to send on; None: inside a lab"
    ends: tuple[Host, ...] = ()
    "outside: the sender and the receivers, with their addresses"

    def request(self) -> Request:
        """The run that this one is like, checked. Raises UsageError, PermissionMissing."""
        return Request(lab=self.against or NO_SERVER, ipv6=self.ipv6 and self.against is not None).checked()

    def to_json(self) -> dict[str, Any]:
        """What the stage is told."""
        craft = {
            "packets": [(base64.b64encode(packet.data).decode(), packet.to) for packet in self.packets],
            "count": self.count,
            "rate": self.rate,
            "wait": self.wait,
            "outside": self.outside,
            "receivers": self.ends[1].addresses if self.ends else (),
        }
        request = self.request().to_json()
        return request | {"craft": craft, "serves": self.against is not None, "loopback": self.outside is not None}

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Who takes part, with their addresses."""
        return self.ends or network.hosts(False, self._wire)

    @property
    def points(self) -> list[Point]:
        """Where packets are captured."""
        if self.outside is not None:
            return [Point(name=self.outside, linktype=_ETHERNET, host=network.CLIENT.name)]
        return network.points(False, self._wire)

    @property
    def _wire(self) -> Wire:
        return labs.lab(self.against or NO_SERVER).wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Flooding:
    """What to flood with, inside a lab."""

    templates: tuple[Template, ...]
    "whole frames; one of each, then the next ones"
    versions: tuple[int, ...]
    "of IP: whose answers are counted by kind"
    count: int = MOST_FLOODED
    "packets at most"
    seconds: float = 1.0
    "and for so long at most"
    wait: float = 0.3
    against: str | None = None
    ipv6: bool = False
    whole: bool = False
    "whether all that is captured is kept"

    def request(self) -> Request:
        """The run that this one is like, checked. Raises UsageError, PermissionMissing."""
        return Sending(packets=(), against=self.against, ipv6=self.ipv6).request()

    def to_json(self) -> dict[str, Any]:
        """What the stage is told."""
        flood = {
            "templates": [template.to_json() for template in self.templates],
            "versions": self.versions,
            "count": self.count,
            "seconds": self.seconds,
            "whole": self.whole,
        }
        sending = Sending(packets=(), wait=self.wait, against=self.against, ipv6=self.ipv6)
        return sending.to_json() | {"flood": flood}

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Who takes part, with their addresses."""
        return network.hosts(False, self._wire)

    @property
    def points(self) -> list[Point]:
        """Where packets are captured."""
        return network.server_points(self._wire)

    @property
    def _wire(self) -> Wire:
        return labs.lab(self.against or NO_SERVER).wire


def run(stage: Session, sending: Sending | Flooding, descriptor: int, version: str) -> Outcome:
    """Sends and captures, as Session.run does a lab. Raises PermissionMissing, LabError, OutputError, UsageError."""
    stack = sending.request().stack or "kernel"
    what = FLOOD if isinstance(sending, Flooding) else "craft"
    lab = f"{what} against {sending.against}" if sending.against else what
    about = timeline.Run(lab=lab, stack=stack, rawlab=version, kernel=os.uname().release)
    return stage.perform(sending.to_json(), capture.header(about, sending.hosts, sending.points), descriptor)
