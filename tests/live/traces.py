"""strace's output, line for line, with calls that were interrupted by another process's put together again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

STRACE = ("strace", "-f", "-yy", "-Y", "-ttt", "-s", "40", "-o")
"""What stands before the file's name, and that before the command."""
_LINE = re.compile(r"^(\d+)<([^>]*)> +[\d.]+ (.*)$")
_CALL = re.compile(r"^(\w+)\((.*)\) += (0x[0-9a-f]+|-?\d+|\?)(?:<.*>)?(?: (E\w+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """One call, as strace saw it."""

    pid: int
    name: str
    text: str
    result: int | None
    "None: it did not return"
    errno: str | None


def traced(trace: Path, process: str) -> list[Traced]:
    """The calls of the processes of that name (prctl(2), PR_SET_NAME), in order of entry."""
    entries: list[tuple[int, str]] = []
    unfinished: dict[int, int] = {}
    for line in trace.read_text(errors="replace").splitlines():
        if (parsed := _LINE.match(line)) is None or parsed[2] != process:
            continue
        pid, text = int(parsed[1]), parsed[3]
        if text.startswith("<... "):
            if pid in unfinished:  # not so for the prctl that gave the process this name
                index = unfinished.pop(pid)
                entries[index] = pid, entries[index][1] + re.sub(r"^<\.\.\. \w+ resumed>", "", text)
        else:
            if text.endswith("<unfinished ...>"):
                unfinished[pid] = len(entries)
            entries.append((pid, text.removesuffix("<unfinished ...>").rstrip()))
    found = ((pid, text, _CALL.match(text)) for pid, text in entries)
    return [
        Traced(
            pid=pid, name=call[1], text=text, result=None if call[3] == "?" else int(call[3], 0), errno=call[4]
        )
        for pid, text, call in found
        if call
    ]
