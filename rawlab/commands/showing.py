"""What is printed of a story: its tables, its ladder in characters, at once or row by row."""

from __future__ import annotations

import os
import sys

from rawlab.errors import UsageError

TYPE_CHECKING = False  # as typing's, whose import alone takes as long as the rest
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rawlab.api import Story
    from rawlab.views.style import Style

_MOST_ROWS = 1000  # on a terminal, unless --full
_COLUMNS = 120  # of a ladder that goes to no terminal
_PLAIN = ("simple", "json", "svg", "tsv")  # formats that are there without a look at what tabulate has


def show_before(text: str) -> OSError | None:
    """Prints what stands before a run; why it could not: the run goes on, its file is made, and the end tells."""
    try:
        print(text, flush=True)
    except OSError as error:
        return error
    return None


def show(story: Story, arguments: argparse.Namespace) -> None:
    """Prints the story as asked."""
    from rawlab.views.rendering import render
    from rawlab.views.summary import summary

    if arguments.ladder:
        sys.stdout.writelines(_ladder(story, arguments))
    elif arguments.format == "simple" and arguments.table == "calls" and not (story.calls or story.endpoint_calls):
        print("no calls: the capture holds packets only; --strace LOG adds them")
    else:
        print(render(story, format=arguments.format, tables=arguments.table, style=_style(arguments)))
    if arguments.format == "simple":
        print(f"\n{summary(story)}")


def columns(asked: int | None = None) -> int | None:
    """How wide what is printed is: as asked, else as the terminal; None for what is no terminal."""
    return asked or (os.get_terminal_size().columns if sys.stdout.isatty() else None)


def coloured() -> bool:
    """Whether what is printed is in colour (no-color.org)."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def no_capture_on_a_terminal(arguments: argparse.Namespace) -> None:
    """Raises UsageError where a capture would be printed on one."""
    if arguments.output == "-" and sys.stdout.isatty():
        raise UsageError("-o -: a capture is no text for a terminal; send it to a file or a pipe")


def _style(arguments: argparse.Namespace) -> Style:
    """How its tables are drawn."""
    from rawlab.views.style import Style

    simple = arguments.format == "simple"
    most = _MOST_ROWS if simple and sys.stdout.isatty() and not arguments.full else None
    return Style(
        format=arguments.format,
        width=columns(arguments.width) if simple else None,
        colour=simple and coloured(),
        most=most,
        endpoint_calls=arguments.endpoint_calls,
        notes=arguments.notes,
    )


def show_live(story: Story, arguments: argparse.Namespace) -> None:
    """Prints the timeline, or the ladder, row by row."""
    from dataclasses import replace

    from rawlab.commands import pacing
    from rawlab.views.rows import rows
    from rawlab.views.summary import summary
    from rawlab.views.table import timeline

    style = replace(_style(arguments), most=None)
    at_ns = [row.at_ns for row in rows(story, endpoint_calls=style.endpoint_calls and not arguments.ladder)]
    table = _ladder(story, arguments) if arguments.ladder else timeline(story, style)
    if pacing.show(table, at_ns, arguments):
        print(f"\n{summary(story)}")


def _ladder(story: Story, arguments: argparse.Namespace) -> Sequence[str]:
    """The ladder in characters, as wide as asked, else as the terminal: its head, then each row."""
    from rawlab.views import unicode_ladder

    blocks = unicode_ladder.blocks(story, width=columns(arguments.width) or _COLUMNS)
    if sys.stdout.isatty() and len(blocks) > _MOST_ROWS and not arguments.full and not arguments.live:
        left_out = len(blocks) - _MOST_ROWS
        return [*blocks[:_MOST_ROWS], f"… {left_out} rows left out; --full shows them\n"]
    return blocks


def check_format(arguments: argparse.Namespace) -> None:
    if arguments.ladder and arguments.format != "simple":
        raise UsageError(f"--ladder: is no table; leave --format {arguments.format} out, or use rawlab annotate")
    if arguments.format in _PLAIN:
        return
    from rawlab.views.rendering import FORMATS

    if arguments.format == "help":
        print("\n".join(FORMATS))
        raise SystemExit(0)
    if arguments.format not in FORMATS:
        raise UsageError(f"--format {arguments.format}: no such format{nearest(arguments.format, FORMATS)}")


def nearest(word: str, known: Sequence[str]) -> str:
    import difflib

    near = difflib.get_close_matches(word, known, 3, 0.4)
    return f"; nearest: {', '.join(near)}" if near else f"; there are: {', '.join(known)}"
