"""Files that are written: each belongs to whoever asked, and replaces nothing but what it shall.

A file is opened with O_NOFOLLOW and mode 0600, and only as a new or (with `force`) a regular file: no symbolic
link, FIFO or device is followed. `save` and `replace` write a new file beside the old one and rename it into place,
so that at every moment the name stands for a whole file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rawlab.errors import FormatError, OutputError

if TYPE_CHECKING:
    from pathlib import Path


def nameless() -> int:
    """A descriptor of a file that has no name and goes with its last descriptor, for reading and appending.

    Raises OSError.
    """
    import tempfile  # takes as long as all else here

    with tempfile.TemporaryFile() as file:
        descriptor = os.dup(file.fileno())
    fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_APPEND)
    return descriptor


def discard_empty(path: Path | None, descriptor: int) -> None:
    """Removes the file if nothing was written to it."""
    if path is not None and os.fstat(descriptor).st_size == 0:
        os.unlink(path)


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


def refuse_input(path: str | os.PathLike[str], inputs: Iterable[str]) -> None:
    """What is read is not written to. Raises OutputError."""
    for name in inputs:
        with contextlib.suppress(OSError):
            if name != "-" and os.path.samefile(path, name):
                raise OutputError(f"{path}: is one of the inputs ({name}); name another place with -o")


def create_unused(stem: str, folder: Path) -> tuple[Path, int]:
    """A new file in the folder: stem.pcapng, or with the first number that is free. Raises OutputError."""
    names = (f"{stem}.pcapng" if number == 1 else f"{stem}-{number}.pcapng" for number in range(1, 10_000))
    for path in (folder / name for name in names):
        if not os.path.lexists(path):
            return path, create(path)
    raise OutputError(f"{folder}: holds 9,999 captures named {stem}-N.pcapng; name another place with -o")


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


def _remove_regular(path: Path) -> None:
    """Removes a regular file of that name, if there is one. Raises OSError, OutputError."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise OutputError(f"{path}: is no regular file; --force replaces regular files only")
        os.unlink(path)
