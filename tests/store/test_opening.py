"""A capture's octets, whatever it came in: a file, a pipe, compressed; bounded, and gone with the process."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from rawlab import store
from rawlab.errors import FormatError, OutputError
from rawlab.store import opening
from tests.by_hand import pcap, segment

WHOLE = pcap([segment(n, 20) for n in range(9)])
PACK = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor(write_checksum=True).compress}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held in memory is 100 octets at the most."""
    monkeypatch.setattr(opening, "_SMALL", 100)


@pytest.fixture
def standard_input() -> Iterator[int]:
    """The writing end of a pipe that is standard input meanwhile."""
    kept = os.dup(0)
    read, write = os.pipe()
    os.dup2(read, 0)
    os.close(read)
    yield write
    os.dup2(kept, 0)
    os.close(kept)


def named(folder: Path, data: bytes) -> str:
    path = folder / "x.pcap"
    path.write_bytes(data)
    return str(path)


def feed(descriptor: int, data: bytes) -> threading.Thread:
    """Writes and closes, meanwhile: a pipe holds 64 KiB."""

    def write() -> None:
        with open(descriptor, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("kind", [None, "gzip", "zstd"])
@pytest.mark.parametrize("way", ["small", "large"])
def test_a_file_s_octets_are_there_unpacked(tmp_path: Path, kind: str | None, way: str) -> None:
    """By how it begins, whatever its name; read-only; no descriptor stays open."""
    name, before = named(tmp_path, PACK[kind](WHOLE) if kind else WHOLE), descriptors()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "_SMALL", 100 if way == "large" else 1 << 20)
        found = store.opened(name)
    assert (bytes(found.octets), found.name, found.packed, found.broken) == (WHOLE, name, kind, None)
    assert found.octets.readonly
    assert len(store.parse(found, name).frames) == 9
    held = len(descriptors() - before)
    assert held <= (1 if way == "large" else 0)  # mmap's own


@pytest.mark.parametrize("kind", [None, "gzip", "zstd"])
@pytest.mark.usefixtures("small")
def test_standard_input_is_read_to_its_end(standard_input: int, kind: str | None) -> None:
    """Through a pipe, packed or not; '-' is its name."""
    thread = feed(standard_input, PACK[kind](WHOLE) if kind else WHOLE)
    found = store.opened("-")
    thread.join()
    assert (bytes(found.octets), found.name, found.packed) == (WHOLE, "-", kind)


def test_standard_input_that_is_a_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    """What somebody read of it before is not read again."""
    name = named(tmp_path, b"skipped!" + WHOLE)
    kept, descriptor = os.dup(0), os.open(name, os.O_RDONLY)
    try:
        os.lseek(descriptor, 8, os.SEEK_SET)
        os.dup2(descriptor, 0)
        assert bytes(store.opened("-").octets) == WHOLE
        os.lseek(0, 8, os.SEEK_SET)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(opening, "_SMALL", 100)
            assert bytes(store.opened("-").octets) == WHOLE
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(descriptor)


def test_what_is_no_capture_is_not_waited_for(standard_input: int) -> None:
    """The pipe is still open: its beginning says enough."""
    os.write(standard_input, b"snoop\0\0\0" + bytes(400))
    with pytest.raises(FormatError, match=re.escape("-: is a snoop capture (RFC 1761)")):
        store.opened("-")
    os.close(standard_input)


def test_an_empty_pipe_is_empty(standard_input: int) -> None:
    """As an empty file."""
    os.close(standard_input)
    with pytest.raises(FormatError, match="-: is empty; expected a pcapng or pcap capture"):
        store.parse(store.opened("-"), "-")


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_what_is_packed_and_broken_gives_what_is_whole(tmp_path: Path, kind: str) -> None:
    """Also where the capture's own octets end between two records: something is missing behind."""
    packed = PACK[kind](WHOLE)
    name = named(tmp_path, packed[:-1])
    found = store.opened(name)
    assert bytes(found.octets) == WHOLE
    assert found.broken is not None
    assert re.fullmatch(f"the {kind} (stream|frame) breaks off at octet {len(packed) - 1} of {name}", found.broken)
    timeline = store.parse(found, name)
    assert (len(timeline.frames), timeline.damaged_at, timeline.complete) == (9, len(WHOLE), False)
    assert timeline.damage == f"the capture goes on; {found.broken}"


def test_damage_of_the_capture_and_of_its_packing_are_both_told(tmp_path: Path) -> None:
    """Where the capture ceases to be whole, and why."""
    name = named(tmp_path, gzip.compress(WHOLE[:-1])[:-8])
    timeline = store.load(name)
    assert len(timeline.frames) == 8
    assert timeline.damage is not None
    assert re.fullmatch(r"a packet of \d+ octets expected, \d+ there; the gzip stream breaks off .*", timeline.damage)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_what_unpacks_to_no_capture_is_named_at_once(tmp_path: Path, kind: str) -> None:
    """Before the rest is unpacked."""
    name = named(tmp_path, PACK[kind](b"BZh9" + bytes(1 << 20)))
    with pytest.raises(FormatError, match="unpacks to what is compressed with bzip2"):
        store.opened(name)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_what_unpacks_to_nothing_is_told_with_why(tmp_path: Path, kind: str) -> None:
    """It is packed, and not simply empty."""
    with pytest.raises(FormatError, match=f"x.pcap: nothing comes out of its {kind}; expected a pcapng or pcap"):
        store.opened(named(tmp_path, PACK[kind](b"")))
    with pytest.raises(FormatError, match=f"nothing comes out of its {kind}: the {kind} .* breaks off at octet 9 of "):
        store.opened(named(tmp_path, PACK[kind](WHOLE)[:9]))


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    """A few octets that stand for gigabytes fill neither memory nor disk; the line says what to do."""
    name = named(tmp_path, zstandard.ZstdCompressor().compress(WHOLE + bytes(40 << 20)))
    most = (16 << 20) + 256 * os.path.getsize(name)
    size = os.path.getsize(name)
    told = f"its {size} octets unpack to more than {most}, as captures hardly do; .* `zstd -dc .* > NEW` first"
    with pytest.raises(FormatError, match=told):
        store.opened(name)


def test_the_place_for_what_is_unpacked_may_be_full(tmp_path: Path) -> None:
    """One line says how far it came, where, and what to do; nothing is left there."""
    name = named(tmp_path, gzip.compress(WHOLE + bytes(17 << 20), 1))
    source = f"""
import resource, signal
from rawlab import store
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    store.opened({name!r})
except store.opening.OutputError as error:
    print(error)
"""
    folder = tmp_path / "spool"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    where = rf"File too large in {folder}, after 1\d MiB; set TMPDIR to a folder with more room"
    assert re.fullmatch(f"{name}: can't be unpacked: {where}\n", done.stdout)
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_what_is_unpacked_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else finds it, and nothing is left of it."""
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    found = store.opened(named(tmp_path, gzip.compress(WHOLE)))
    assert bytes(found.octets) == WHOLE
    assert list(folder.iterdir()) == []


def test_privilege_is_given_up_before_an_octet_is_looked_at(tmp_path: Path) -> None:
    """And once the file is open."""
    seen = []

    def give_up() -> None:
        seen.append(os.path.exists("/proc/self/fd"))
        raise OutputError("no further")

    name = named(tmp_path, b"no capture at all")
    with pytest.raises(OutputError, match="no further"):
        store.opened(name, then=give_up)
    with pytest.raises(FormatError, match="No such file or directory; expected a pcapng or pcap capture"):
        store.opened(str(tmp_path / "none"), then=give_up)
    assert len(seen) == 1


@pytest.mark.parametrize("kind", ["folder", "FIFO", "device"])
def test_only_a_regular_file_is_opened_by_name(tmp_path: Path, kind: str) -> None:
    """A FIFO is not waited for."""
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")
    with pytest.raises(FormatError, match="is no regular file; expected a pcapng or pcap capture"):
        store.opened(str(path))
