"""Timelines from files and into them."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from rawlab.errors import FormatError, OutputError
from rawlab.store.opening import Opened, opened_or_why
from rawlab.store.writing import create
from rawlab.wire import foreign

if TYPE_CHECKING:
    from pathlib import Path

    from rawlab.model.timeline import Timeline


def load(path: str | os.PathLike[str]) -> Timeline:
    """The timeline in a capture file, as far as it is whole. Raises OSError, FormatError, OutputError."""
    return parse(opened_or_why(str(path)), str(path))


def parse(data: bytes | memoryview | Opened, name: str) -> Timeline:
    """The timeline in a capture's octets, as far as it is whole. Raises FormatError, naming `name`."""
    from rawlab.wire import capture  # and all that a story is made of: a list of flows needs none of it

    found = data if isinstance(data, Opened) else Opened(name=name, octets=memoryview(data))
    timeline = capture.read(found.octets)
    if timeline is None:
        foreign.check(found.octets, name, is_packed=found.packed is not None)
        raise FormatError(f"{name}: {foreign.EXPECTED}")
    return timeline if found.broken is None else _broken(timeline, found)


def _broken(timeline: Timeline, found: Opened) -> Timeline:
    """The timeline of a capture whose packing is damaged: what was behind is missing, wherever its own octets end."""
    why = timeline.damage or "the capture goes on"
    at = len(found.octets) if timeline.damaged_at is None else timeline.damaged_at
    return replace(timeline, complete=False, damaged_at=at, damage=f"{why}; {found.broken}")


def save(timeline: Timeline, path: Path) -> Timeline:
    """Writes the timeline in the order of time, in place of the file at `path`; the timeline as the file tells it.

    Raises OutputError.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = _create_unnamed(partial)
    try:
        ordered = write(timeline, descriptor)
        if not os.fstat(descriptor).st_nlink:
            os.link(f"/proc/self/fd/{descriptor}", partial, src_dir_fd=descriptor)  # open(2), O_TMPFILE
        os.rename(partial, path)
        return ordered
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise OutputError(
            f"{path}: can't be put in the order of time: {error.strerror}; it is whole, in the order of arrival"
        ) from None
    finally:
        os.close(descriptor)


def write(timeline: Timeline, descriptor: int) -> Timeline:
    """Writes the timeline in the order of time to an open file; the timeline as the file tells it. Raises OSError."""
    from rawlab.wire import capture

    ordered = capture.in_order(timeline)
    with open(descriptor, "wb", buffering=1 << 20, closefd=False) as file:
        file.writelines(capture.blocks_of(ordered))
    return ordered


def _create_unnamed(partial: Path) -> int:
    """A descriptor of a new file that goes with it until it is linked; where none can be had, of one at `partial`."""
    try:
        return os.open(partial.parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError:  # not every file system has them
        return create(partial)
