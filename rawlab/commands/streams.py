"""The process's standard streams: all there when it begins, and empty when it ends.

What could not be printed is told once, in one line, with an exit code that says so; the interpreter, which flushes the
streams at its own end, finds nothing left to complain of.
"""

from __future__ import annotations

import contextlib
import os
import sys

from rawlab.errors import OutputError

TYPE_CHECKING = False  # as typing's, whose import alone takes as long as the rest
if TYPE_CHECKING:
    from typing import TextIO


def printed(code: int) -> int:
    """The exit code, once all that was printed is out; what can't go out is told here, not by the interpreter's end."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        print_no_more(sys.stdout)
    except OSError as error:
        code = not_printed(error, code)
    try:
        sys.stderr.flush()
    except OSError:  # nobody is there to be told
        print_no_more(sys.stderr)
    return code


def not_printed(error: OSError, code: int) -> int:
    """Tells that standard output took no more; the exit code: what it was, if it was one."""
    print_no_more(sys.stdout)
    what = f"standard output: {error.strerror}: what was to be printed is cut off; send it where there is space"
    return complain(what, code or OutputError.exit_code)


def print_no_more(stream: TextIO) -> None:
    """What the stream still holds, and is given from now on, goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def fill() -> None:
    """Where one of them is closed (`>&-`), the next file would take its number, and be printed into."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(number)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode))


def complain(what: object, code: int) -> int:
    """One line on standard error; that exit code."""
    from rawlab.views.escape import terminal

    with contextlib.suppress(OSError):  # nobody is there to be told
        print(f"rawlab: {terminal(str(what))}", file=sys.stderr)
    return code
