"""The words of the commands that take any capture, anyone's: replay, merge, export."""

from __future__ import annotations

from rawlab.arguments.shared import table_options
from rawlab.arguments.types import factor, span

TYPE_CHECKING = False  # as typing's, whose import alone takes as long as the rest
if TYPE_CHECKING:
    from typing import Any


def add_replay(commands: Any) -> None:
    command = commands.add_parser("replay", help="what happened in a saved capture; no privilege needed")
    command.add_argument("file", metavar="FILE", help="a pcapng or pcap file; - for standard input")
    group = command.add_argument_group("row by row")
    group.add_argument("--live", action="store_true", help="each row when its time comes")
    group.add_argument("--speed", type=factor, metavar="X", help="so much faster: 0.001 stretches 1 ms to 1 s")
    group.add_argument("--over", type=span, metavar="SECONDS", help="all of it in so long")
    group.add_argument("--step", action="store_true", help="one row a keypress")
    table_options(command)
    command.set_defaults(command="replay")
