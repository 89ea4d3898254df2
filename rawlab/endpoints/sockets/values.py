"""What calls on a socket give back: values, and nothing that acts."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rawlab.model.address import Endpoint
from rawlab.model.event import Value
from rawlab.model.sctp import SndRcvInfo

if TYPE_CHECKING:
    from rawlab.endpoints.sockets.socket import BaseSocket


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call returns, and what it fills in."""

    result: int = 0
    data: bytes = b""
    address: Endpoint | None = None
    info: SndRcvInfo | None = None
    flags: str = "0"
    "msg_flags"
    value: tuple[Value, ...] = ()
    "an option's"
    made: BaseSocket | None = None
    "a new socket, whose descriptor is the result"


Wait = Generator[int | None, None, Answer]
"""A call that may block; yields when (ns) it wants to go on at the latest."""
