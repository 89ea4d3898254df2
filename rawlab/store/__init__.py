"""Timelines in files: what is read is bounded, what is written belongs to whoever asked and replaces nothing.

A file is opened with O_NOFOLLOW and mode 0600, and only as a new or (with `force`) a regular file: no symbolic
link, FIFO or device is followed. `save` and `replace` write a new file beside the old one and rename it into place,
so that at every moment the name stands for a whole file.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from rawlab.errors import FormatError, OutputError
from rawlab.model.timeline import Timeline
from rawlab.wire import capture

_GZIP = b"\x1f\x8b"  # RFC 1952 section 2.3.1


def load(path: str | os.PathLike[str]) -> Timeline:
    """The timeline in a capture file, as far as it is whole. Raises FormatError, OSError."""
    return parse(read_file(path), str(path))


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The octets of a regular file. Raises FormatError, OSError."""
    descriptor = _open_regular(path)
    try:
        return read(descriptor)
    finally:
        os.close(descriptor)


def _open_regular(path: str | os.PathLike[str]) -> int:
    """A descriptor for reading. Raises FormatError, OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO is not waited for
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise FormatError(f"{path}: is no regular file; expected a pcapng or pcap capture")


def read(descriptor: int) -> bytes:
    """All octets of an open file, from its beginning. Raises OSError."""
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return file.read()


def discard_empty(path: Path | None, descriptor: int) -> None:
    """Removes the file if nothing was written to it."""
    if path is not None and os.fstat(descriptor).st_size == 0:
        os.unlink(path)


def nameless() -> int:
    """A descriptor of a file that has no name and goes with its last descriptor, for reading and appending."""
    with tempfile.TemporaryFile() as file:
        descriptor = os.dup(file.fileno())
    fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_APPEND)
    return descriptor


def parse(data: bytes | memoryview, name: str) -> Timeline:
    """The timeline in a capture's bytes. Raises FormatError, naming `name`."""
    if not data:
        raise FormatError(f"{name}: is empty; expected a pcapng or pcap capture")
    timeline = capture.read(data)
    if timeline is None and bytes(data[:2]) == _GZIP:
        raise FormatError(f"{name}: is compressed with gzip; gunzip it first")
    if timeline is None:
        raise FormatError(
            f"{name}: is no capture: expected it to begin with pcapng's 0a0d0d0a or pcap's a1b2c3d4, "
            f"it begins with {bytes(data[:4]).hex()}"
        )
    return timeline


def create(path: Path, *, force: bool = False) -> int:
    """A descriptor of a new file, for reading and appending. Raises OutputError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND | os.O_CLOEXEC
    try:
        if force:
            _remove_regular(path)
        return os.open(path, flags, 0o600)
    except FileExistsError:
        raise OutputError(f"{path}: exists; nothing is overwritten without --force") from None
    except OSError as error:
        raise OutputError(f"{path}: can't be written: {error.strerror}; name another place with -o") from None


def create_unused(stem: str, folder: Path) -> tuple[Path, int]:
    """A new file in the folder: stem.pcapng, or with the first number that is free. Raises OutputError."""
    names = (f"{stem}.pcapng" if number == 1 else f"{stem}-{number}.pcapng" for number in range(1, 10_000))
    for path in (folder / name for name in names):
        if not os.path.lexists(path):
            return path, create(path)
    raise OutputError(f"{folder}: holds 9,999 captures named {stem}-N.pcapng; name another place with -o")


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


@contextlib.contextmanager
def editing(path: Path) -> Iterator[int]:
    """A descriptor of the regular file at `path`, which no other rawlab edits meanwhile.

    Raises OSError, FormatError.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FormatError(f"{path}: is no regular file; expected a pcapng capture")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):  # else another put a new file in its place
                yield descriptor
                return
        finally:
            os.close(descriptor)


def replace(path: Path, old: int, pieces: Iterable[bytes | memoryview]) -> None:
    """Puts a file of these octets in place of the open one at `path`: on the disk, its owner's, of its mode.

    Raises OSError.
    """
    was = os.fstat(old)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(path.parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError:  # not every file system has them
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb", buffering=1 << 20, closefd=False) as file:
            file.writelines(pieces)
        made = os.fstat(descriptor)
        if (made.st_uid, made.st_gid) != (was.st_uid, was.st_gid):
            os.fchown(descriptor, was.st_uid, was.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(was.st_mode))
        os.fsync(descriptor)
        if not os.fstat(descriptor).st_nlink:
            os.link(f"/proc/self/fd/{descriptor}", partial, src_dir_fd=descriptor)  # open(2), O_TMPFILE
        os.rename(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
    finally:
        os.close(descriptor)


def look(path: str | os.PathLike[str]) -> memoryview:
    """The octets of a regular file, read as they are looked at. Raises FormatError, OSError."""
    descriptor = _open_regular(path)
    try:
        return octets(descriptor)
    finally:
        os.close(descriptor)


def octets(descriptor: int) -> memoryview:
    """An open file's octets, read as they are looked at: it may be larger than the memory. Raises OSError."""
    if os.fstat(descriptor).st_size == 0:
        return memoryview(b"")
    return memoryview(mmap.mmap(descriptor, 0, prot=mmap.PROT_READ))


def _create_unnamed(partial: Path) -> int:
    """A descriptor of a new file that goes with it until it is linked; where none can be had, of one at `partial`."""
    try:
        return os.open(partial.parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError:  # not every file system has them
        return create(partial)


def write(timeline: Timeline, descriptor: int) -> Timeline:
    """Writes the timeline in the order of time to an open file; the timeline as the file tells it. Raises OSError."""
    ordered = capture.in_order(timeline)
    with open(descriptor, "wb", buffering=1 << 20, closefd=False) as file:
        file.writelines(capture.blocks_of(ordered))
    return ordered


def _remove_regular(path: Path) -> None:
    """Removes a regular file of that name, if there is one. Raises OSError, OutputError."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise OutputError(f"{path}: is no regular file; --force replaces regular files only")
        os.unlink(path)
