"""What several commands' words have in common."""

from __future__ import annotations

import argparse

from rawlab.arguments.types import number


def table_options(command: argparse.ArgumentParser, more: tuple[str, ...] = ()) -> None:
    """`more`: tables beside those of a story; with these, none is the default: the capture decides."""
    from_terminal = "default: the terminal's, or as wide as it becomes"
    group = command.add_argument_group("what is shown")
    group.add_argument(
        "--table",
        choices=("timeline", "calls", "both", *more),
        default=None if more else "both",
        help="default: of one conversation both, of several flows" if more else "default: both",
    )
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
