"""What `rawlab replay --live` does: a table's rows one after the other, as the run had them.

At their own pace, a stretched one, spread over so many seconds, or one a keypress. The widths are the whole table's, so
that what is printed is in the end what `replay` prints at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from rawlab.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

_QUIT = ("q", "Q", "\x1b", "\x03", "\x04")
_HINT = "space: the next row; q: the end"


def check(arguments: argparse.Namespace) -> None:
    """Raises UsageError where what was asked for does not go together."""
    if not is_paced(arguments):
        return
    if arguments.format != "simple" or arguments.table == "calls":
        raise UsageError("--live tells the timeline row by row: leave --format and --table calls out")
    if sum(value is not None for value in (arguments.speed, arguments.over)) + arguments.step > 1:
        raise UsageError("--speed, --over, --step: one of them at a time")
    if arguments.step:
        _terminal()


def is_paced(arguments: argparse.Namespace) -> bool:
    """Whether rows are to come one by one."""
    return bool(arguments.live or arguments.step or arguments.speed is not None or arguments.over is not None)


def show(table: str | Sequence[str], at_ns: Sequence[int], arguments: argparse.Namespace) -> bool:
    """Prints a `simple` table, or a head and rows; row n not before its time, `at_ns[n]`. False: it was ended early."""
    header, *blocks = _blocks(table) if isinstance(table, str) else table
    sys.stdout.write(header)
    sys.stdout.flush()
    wait = _by_key if arguments.step else _by_time(at_ns, _speed(at_ns, arguments))
    with _keys() if arguments.step else contextlib.nullcontext():
        for number, block in enumerate(blocks):
            if not wait(number):
                return False
            sys.stdout.write(block)
            sys.stdout.flush()
    return True


def _blocks(table: str) -> Iterator[str]:
    """The head, then each row with the lines that belong to it: those that begin with no label."""
    title, rule, *lines = table.splitlines(keepends=True)
    yield title + rule
    block = ""
    for line in lines:
        if block and not line.startswith(" "):
            yield block
            block = ""
        block += line
    if block:
        yield block if block.endswith("\n") else block + "\n"


def _speed(at_ns: Sequence[int], arguments: argparse.Namespace) -> float:
    """How much faster than it was."""
    if arguments.over is not None:
        took = (at_ns[-1] - at_ns[0]) / 1e9 if at_ns else 0.0
        return took / arguments.over if arguments.over and took else 1.0
    return 1.0 if arguments.speed is None else float(arguments.speed)


def _by_time(at_ns: Sequence[int], speed: float) -> Callable[[int], bool]:
    begun = time.monotonic()

    def wait(number: int) -> bool:
        due = begun + (at_ns[number] - at_ns[0]) / 1e9 / speed
        time.sleep(max(due - time.monotonic(), 0))
        return True

    return wait


def _by_key(number: int) -> bool:
    """Waits for a key; the first row comes by itself."""
    if number == 0:
        print(f"rawlab: {_HINT}", file=sys.stderr, flush=True)
        return True
    return os.read(_terminal(), 1).decode("latin-1") not in ("", *_QUIT)


def _terminal() -> int:
    """Where keys come from. Raises UsageError."""
    if sys.stdin.isatty():
        return sys.stdin.fileno()
    raise UsageError("--step waits for keys: run it in a terminal, with the capture in a file")


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Within, a key is read as it is pressed, and not shown (termios(3))."""
    import termios
    import tty

    fd = _terminal()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
