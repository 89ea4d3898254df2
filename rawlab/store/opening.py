"""Files that are read: an open capture's octets, whatever it came in.

A regular file's octets are looked at in place (mmap(2)), however many there are; a small file is read, so that nobody
can take it away meanwhile. What is compressed (`unpacking`), and what comes through standard input, is held in memory
while it is small and else in a nameless file in TMPDIR, which goes with the process. What is no capture is refused
before it is unpacked or waited for.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rawlab.errors import FormatError, OutputError
from rawlab.store import unpacking
from rawlab.store.unpacking import Broken
from rawlab.store.writing import nameless
from rawlab.wire import foreign

_SMALL = 16 << 20
_PIECE = 1 << 20
_STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A capture, open."""

    name: str
    "as the user named it; '-' for standard input"
    octets: memoryview
    "the whole capture, unpacked; read-only"
    packed: str | None = None
    "what it was compressed with: 'gzip' or 'zstd'"
    broken: str | None = None
    "where the packing ceases to be whole, and why: octets may be missing behind the last"


def opened(name: str, *, then: Callable[[], None] | None = None) -> Opened:
    """The file, or standard input where the name is '-'. Raises FormatError, OutputError.

    `then` is called once it is open, before an octet of it is looked at: root becomes somebody else there.
    """
    try:
        return opened_or_why(name, then)
    except OSError as error:
        raise FormatError(f"{name}: {error.strerror}; {foreign.EXPECTED}") from None


def opened_or_why(name: str, then: Callable[[], None] | None = None) -> Opened:
    """As `opened`; what the system refuses is raised as OSError."""
    descriptor = os.dup(0) if name == _STANDARD_INPUT else _open_regular(name)
    try:
        if then is not None:
            then()
        source = _source(name, descriptor)
    finally:
        os.close(descriptor)
    kind = unpacking.packing(bytes(source[:4]))
    return Opened(name=name, octets=source) if kind is None else _unpacked(name, source, kind)


def octets(descriptor: int) -> memoryview:
    """An open file's octets, read as they are looked at: it may be larger than the memory. Raises OSError."""
    if os.fstat(descriptor).st_size == 0:
        return memoryview(b"")
    return memoryview(mmap.mmap(descriptor, 0, prot=mmap.PROT_READ))


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The octets of a regular file, as they are. Raises FormatError, OSError."""
    descriptor = _open_regular(path)
    try:
        return read(descriptor)
    finally:
        os.close(descriptor)


def read(descriptor: int) -> bytes:
    """All octets of an open file, from its beginning. Raises OSError."""
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return file.read()


def _open_regular(path: str | os.PathLike[str]) -> int:
    """A descriptor for reading. Raises FormatError, OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO is not waited for
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise FormatError(f"{path}: is no regular file; expected a pcapng or pcap capture")


def _source(name: str, descriptor: int) -> memoryview:
    """What the open file holds from where it stands, packed or not. Raises OSError, FormatError, OutputError."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return _spooled(name, descriptor)
    begins = os.lseek(descriptor, 0, os.SEEK_CUR)
    if status.st_size - begins > _SMALL:
        return octets(descriptor)[begins:]
    with open(descriptor, "rb", closefd=False) as file:
        return memoryview(file.read())


def _spooled(name: str, descriptor: int) -> memoryview:
    """All that comes through a pipe, unless it begins as no capture does. Raises OSError, FormatError, OutputError."""
    held = _Held(f"{name}: standard input can't be kept")
    for piece in _checked(iter(lambda: os.read(descriptor, _PIECE), b""), name):
        held.add(piece)
    return held.octets()


def _unpacked(name: str, source: memoryview, kind: str) -> Opened:
    """Raises FormatError for what unpacks to no capture, or to too much; OutputError."""
    held, most, broken = _Held(f"{name}: can't be unpacked"), unpacking.most(len(source)), None
    try:
        for piece in _checked(unpacking.unpacked(source, kind), name, is_packed=True):
            if held.size + len(piece) > most:
                raise FormatError(
                    f"{name}: its {len(source)} octets unpack to more than {most}, as captures hardly do; "
                    f"if you trust it, `{kind} -dc {name} > NEW` first"
                )
            held.add(piece)
    except Broken as found:
        broken = f"{found} of {name}"
    if not held.size:
        why = f": {broken}" if broken else ""
        raise FormatError(f"{name}: nothing comes out of its {kind}{why}; {foreign.EXPECTED}")
    return Opened(name=name, octets=held.octets(), packed=kind, broken=broken)


def _checked(pieces: Iterator[bytes], name: str, *, is_packed: bool = False) -> Iterator[bytes]:
    """The pieces, once they begin as a capture does. Raises FormatError."""
    beginning = b""
    for piece in pieces:
        if len(beginning) < foreign.ENOUGH:
            beginning += piece[: foreign.ENOUGH]
            if len(beginning) >= foreign.ENOUGH and (is_packed or not unpacking.packing(beginning)):
                foreign.check(beginning, name, is_packed=is_packed)
        yield piece


class _Held:
    """Octets that come piece by piece: in memory while they are few, then in a file without a name."""

    def __init__(self, complaint: str) -> None:
        self.size = 0
        self._complaint = complaint
        self._pieces: list[bytes] = []
        self._descriptor: int | None = None

    def add(self, piece: bytes) -> None:
        """Raises OutputError."""
        self.size += len(piece)
        self._pieces.append(piece)
        if self.size > _SMALL:
            try:
                self._write()
            except OSError as error:
                import tempfile

                where = tempfile.tempdir or "every folder for temporary files"
                raise OutputError(
                    f"{self._complaint}: {error.strerror} in {where}, after {self.size >> 20} MiB; "
                    "set TMPDIR to a folder with more room"
                ) from None

    def _write(self) -> None:
        if self._descriptor is None:
            self._descriptor = nameless()
        for piece in self._pieces:
            left = memoryview(piece)
            while left:
                left = left[os.write(self._descriptor, left) :]
        self._pieces.clear()

    def octets(self) -> memoryview:
        """All of them. Raises OSError."""
        if self._descriptor is None:
            return memoryview(b"".join(self._pieces))
        try:
            return octets(self._descriptor)
        finally:
            os.close(self._descriptor)
