"""This interpreter, to be started once more, for a part of rawlab that has to be a process of its own."""

from __future__ import annotations

import sys


def command(*arguments: str) -> list[str]:
    """argv, with this interpreter's own flags; never with the caller's folder among the places modules come from."""
    flags = ["-I" if sys.flags.isolated else "-P"]
    flags += ["-B"] if sys.dont_write_bytecode else []
    flags += ["-X", f"pycache_prefix={sys.pycache_prefix}"] if sys.pycache_prefix else []
    return [sys.executable, *flags, *arguments]
