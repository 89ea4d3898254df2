"""What several commands' words have in common."""

from __future__ import annotations

import argparse

from rawlab.arguments.types import number


def table_options(command: argparse.ArgumentParser) -> None:
    from_terminal = "default: the terminal's, or as wide as it becomes"
    group = command.add_argument_group("what is shown")
    group.add_argument("--table", choices=("timeline", "calls", "both"), default="both", help="default: both")
    group.add_argument(
        "--format",
        default="simple",
        metavar="FORMAT",
        help="simple, json, github, html, latex, … (--format help lists them)",
    )
    group.add_argument("--ladder", action="store_true", help="instead of tables, the ladder, in characters")
    group.add_argument("--width", type=number(40, 10_000), metavar="COLUMNS", help=from_terminal)
    group.add_argument("--full", action="store_true", help="all rows on a terminal, however many")
    group.add_argument("--notes", action="store_true", help="beneath each row, what it means here, and the RFC")
    group.add_argument(
        "--endpoint-calls", action="store_true", help="also the calls that rawlab's own SCTP or TCP makes by itself"
    )
