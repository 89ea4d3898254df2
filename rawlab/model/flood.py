"""What a flood was: what was sent, what the other end's kernel made of it.

`live.flood_run` counts it, `views.flood` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_SECONDS = 60
MOST_PACKETS = 100_000_000
LAB = "craft --flood"
"how the lab's name begins in a flood's file"
MARK = "sent by the flood"
"the comment of its packets, where the first and the last are kept"
SHOWN = 50
"packets that are kept of the beginning, and of the end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """One flood, as it was counted."""

    sent: int
    "packets that the kernel took out of the transmit ring"
    calls: int
    "of send that sent something"
    batch: int
    "packets a call, at most"
    refused: int
    "calls that the kernel refused for want of room (ENOBUFS, EAGAIN); what was left was sent by the next"
    error: str | None
    "the errno that ended it before its time"
    took_ns: int
    "from the first call to the end of the last"
    received: int
    "packets that came in at the server's interface, by its kernel's count (proc_pid_net(5), net/dev)"
    lost: int
    "packets that the client's interface, or the server's, dropped on the way there, by the kernels' counts"
    answered: int
    "packets that went out there"
    answers: dict[str, int]
    "these by kind, by the kernel's count"
    captured: int
    "packets that the capture ring took, both ways"
    dropped: int
    "that it had no room for"
    kept: int
    "packets in the file"
    before: dict[str, int]
    "counters of the server's kernel (netstat, snmp, snmp6), by their names"
    after: dict[str, int]
    settings: dict[str, str]
    "sysctls that say what the server's kernel does with it"
    whole: bool
    "whether the file has all that the ring took, or the first and the last only"
