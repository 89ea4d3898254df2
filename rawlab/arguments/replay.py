"""The words of the commands that take any capture, anyone's: replay, merge, export."""

from __future__ import annotations

import argparse

from rawlab.arguments.shared import table_options
from rawlab.arguments.types import factor, number, span

TYPE_CHECKING = False  # as typing's, whose import alone takes as long as the rest
if TYPE_CHECKING:
    from typing import Any


def add_replay(commands: Any) -> None:
    command = commands.add_parser("replay", help="what happened in a saved capture; no privilege needed")
    command.add_argument("file", metavar="FILE", help="a pcapng or pcap file; - for standard input")
    _flow_options(command)
    group = command.add_argument_group("with the system calls that strace logged beside it")
    group.add_argument(
        "--strace",
        action="append",
        metavar="LOG",
        help="what `strace -f -ttt -T -yy -x -o LOG` wrote in the same run; may be given several times",
    )
    group = command.add_argument_group("row by row")
    group.add_argument("--live", action="store_true", help="each row when its time comes")
    group.add_argument("--speed", type=factor, metavar="X", help="so much faster: 0.001 stretches 1 ms to 1 s")
    group.add_argument("--over", type=span, metavar="SECONDS", help="all of it in so long")
    group.add_argument("--step", action="store_true", help="one row a keypress")
    group = command.add_argument_group("against a real server, in a lab")
    group.add_argument(
        "--against",
        metavar="SERVER",
        help="plays the client's side again: a PROGRAM in quotes, a LAB's server, or HOST:PORT; says what differs",
    )
    _wire_options(command)
    group = command.add_argument_group("what --to lab and --against keep")
    group.add_argument("-o", "--output", metavar="OUT", help="a new file for what was captured then")
    group.add_argument("--force", action="store_true", help="replace OUT if it exists")
    table_options(command, ("flows", "frames"))
    command.set_defaults(command="replay")


def _wire_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("onto a wire")
    where = "lab: a wire between two private hosts, each side's packets from its own; or an INTERFACE, outside of it"
    group.add_argument("--to", metavar="WHERE", help=f"sends the packets again, at their times; {where}")
    group.add_argument("--topspeed", action="store_true", help="one right after the other, as fast as it goes")
    group.add_argument("--loop", type=number(1, 1_000_000), metavar="N", help="all of it N times")
    most = number(1, 1_000_000_000)
    group.add_argument("--count", type=most, metavar="N", help="N packets at most; an INTERFACE wants it")
    group.add_argument("--rate", type=number(1, 1_000_000), metavar="PPS", help="packets a second at most; likewise")
    group.add_argument("--outside", action="store_true", help="yes, out of the lab: --to INTERFACE wants it, and root")


def _flow_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("of a capture with many flows")
    group.add_argument("--flow", type=number(1, 2**31 - 1), metavar="N", help="flow N of the list, as a story")
    group.add_argument(
        "--sort", metavar="COLUMN", help="the list by that column; -COLUMN: downwards; several with commas; or help"
    )
    group.add_argument(
        "--where",
        metavar="EXPRESSION",
        help="flows for which it holds: 'tcp.retransmissions > 0 and port == 443'; help says what there is",
    )


_MERGE = """\
Joins two machines' captures of the same traffic: packets that both saw are found (the same but for what routers
change), the clocks compared by them, with bounds, and B's times corrected to A's clock. `rawlab replay OUT` then shows
each packet once: sent here, arrived there, or lost. Says how far the clocks are apart, and what only one has.
"""


def add_merge(commands: Any) -> None:
    command = commands.add_parser(
        "merge",
        help="two machines' captures of the same traffic as one, on one clock",
        description=_MERGE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("first", metavar="A", help="a pcapng or pcap file, whose clock OUT has")
    command.add_argument("second", metavar="B", help="the other machine's")
    command.add_argument("-o", "--output", metavar="OUT", required=True, help="a new pcapng file")
    command.add_argument("--force", action="store_true", help="replace OUT if it exists")
    command.add_argument(
        "--names",
        nargs=2,
        metavar=("NAME_A", "NAME_B"),
        help="of the two machines (default: client and server, by who opens connections, or speaks first)",
    )
    command.set_defaults(command="merge")


_EXPORT = """\
Writes what a capture holds as tables for other programs. The ending of OUT says which kind of file: .parquet
(needs pyarrow), .csv or .json. OUT holds the frames, or the table that --table names; without --table the others
stand beside it, as OUT-flows.parquet, OUT-calls.parquet and OUT-edges.parquet; a .json holds all four.
  frames   each frame: when, between whom, its lengths and flags, what following its connection tells of it
  flows    each connection, association or pair of ends: counts, how it opened and ended, what stands out
  calls    each system call that was recorded; a stranger's capture has none
  edges    for each packet the call that sent it or waited for it, by which octets, how surely, and why; of a
           stranger's, the call that it implies
Calls and edges are told of captures of rawlab's, and of others of up to 50,000 packets.
"""


def add_export(commands: Any) -> None:
    command = commands.add_parser(
        "export",
        help="a capture's frames, flows, calls as tables: Parquet, CSV, JSON",
        description=_EXPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", metavar="FILE", nargs="?", help="a pcapng or pcap file; - for standard input")
    command.add_argument("-o", "--output", metavar="OUT", help="a new file, its name ending in .parquet, .csv or .json")
    command.add_argument("--table", choices=("frames", "calls", "flows", "edges"), help="only that one")
    command.add_argument("--columns", action="store_true", help="what each table's columns mean, and nothing else")
    command.add_argument("--force", action="store_true", help="replace OUT, and what stands beside it, if they exist")
    command.set_defaults(command="export")
