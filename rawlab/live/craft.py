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
from rawlab.model.lab import Wire
from rawlab.model.timeline import Host, Point
from rawlab.wire import capture

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


def run(stage: Session, sending: Sending, descriptor: int, version: str) -> Outcome:
    """Sends and captures, as Session.run does a lab. Raises PermissionMissing, LabError, OutputError, UsageError."""
    stack = sending.request().stack or "kernel"
    lab = f"craft against {sending.against}" if sending.against else "craft"
    about = timeline.Run(lab=lab, stack=stack, rawlab=version, kernel=os.uname().release)
    return stage.perform(sending.to_json(), capture.header(about, sending.hosts, sending.points), descriptor)
