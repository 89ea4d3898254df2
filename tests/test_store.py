"""Timelines in files: what comes back, whose the files are, and what is never followed or overwritten."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlab import store
from rawlab.api import explain
from rawlab.errors import FormatError, OutputError
from rawlab.views.rendering import FORMATS, render
from rawlab.wire import capture
from tests.attribution.ladder import read as ladder
from tests.attribution.test_unproven import ECHO
from tests.views.noted import noted

TIMELINE = ladder(ECHO)
WHOLE = b"".join(capture.blocks_of(TIMELINE))


@pytest.fixture(autouse=True)
def _no_mask() -> Iterator[None]:
    """So that a mode of 0600 is the store's own doing."""
    mask = os.umask(0)
    yield
    os.umask(mask)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """And `save` gives the timeline as the file tells it."""
    path = tmp_path / "echo.pcapng"
    saved = store.save(TIMELINE, path)
    assert store.load(path) == saved == capture.in_order(TIMELINE)


@pytest.mark.parametrize("format", [name for name in FORMATS if name not in ("summary",)])
def test_every_view_of_what_was_loaded_is_the_view_of_what_was_saved(tmp_path: Path, format: str) -> None:
    """The law, byte for byte."""
    path = tmp_path / "echo.pcapng"
    saved = store.save(TIMELINE, path)
    assert render(explain(store.load(path)), format=format) == render(explain(saved), format=format)


@pytest.mark.parametrize("format", ["simple", "html", "json", "svg"])
def test_notes_are_saved_and_shown_alike(tmp_path: Path, format: str) -> None:
    """The lecturer's, on a packet and on a call: the law holds for them, too."""
    path = tmp_path / "echo.pcapng"
    saved = store.save(noted("the first\nof three", "no packet").timeline, path)
    shown = render(explain(store.load(path)), format=format)
    assert shown == render(explain(saved), format=format)
    assert format == "svg" or "no packet" in shown


@pytest.mark.parametrize("make", ["save", "create", "create_unused"])
def test_a_capture_is_its_owner_s_alone(tmp_path: Path, make: str) -> None:
    """Mode 0600, whatever the umask."""
    path = tmp_path / "echo.pcapng"
    if make == "save":
        store.save(TIMELINE, path)
    else:
        os.close(store.create(path) if make == "create" else store.create_unused("echo", tmp_path)[1])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_file_is_for_reading_and_appending(tmp_path: Path) -> None:
    """Two writes stand one after the other, and can be read back; a child process inherits no descriptor."""
    descriptor = store.create(tmp_path / "new")
    os.write(descriptor, b"ab")
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, b"cd")
    assert store.read(descriptor) == b"abcd"
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


def target(folder: Path, kind: str) -> Path:
    """Something at folder/out that is no ordinary, unshared file; a link's target is folder/precious."""
    path, precious = folder / "out", folder / "precious"
    precious.write_bytes(b"precious")
    match kind:
        case "file":
            path.write_bytes(b"old")
        case "symbolic link":
            path.symlink_to(precious)
        case "dangling link":
            path.symlink_to(folder / "nowhere")
        case "hard link":
            path.hardlink_to(precious)
        case "FIFO":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/null")
        case "folder":
            path.mkdir()
    return path


KINDS = ["file", "symbolic link", "dangling link", "hard link", "FIFO", "device", "folder"]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_exists_is_overwritten(tmp_path: Path, kind: str) -> None:
    """Without force, of whatever kind it is; the message says what to do."""
    path = target(tmp_path, kind)
    before = os.lstat(path)
    with pytest.raises(OutputError, match=re.escape(f"{path}: exists; ") + ".*--force"):
        store.create(path)
    assert os.lstat(path).st_ino == before.st_ino
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("kind", ["symbolic link", "dangling link", "FIFO", "device", "folder"])
def test_force_replaces_regular_files_only(tmp_path: Path, kind: str) -> None:
    """A link is neither followed nor removed; a FIFO is not waited for."""
    path = target(tmp_path, kind)
    before = os.lstat(path)
    with pytest.raises(OutputError, match="is no regular file; --force replaces regular files only"):
        store.create(path, force=True)
    assert os.lstat(path).st_ino == before.st_ino
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("kind", ["file", "hard link"])
def test_force_makes_a_new_file(tmp_path: Path, kind: str) -> None:
    """The old file's other names keep what they had."""
    path = target(tmp_path, kind)
    os.close(store.create(path, force=True))
    assert path.read_bytes() == b""
    assert path.stat().st_nlink == 1
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_force_makes_a_file_where_there_was_none(tmp_path: Path) -> None:
    """It need not exist."""
    os.close(store.create(tmp_path / "new", force=True))
    assert (tmp_path / "new").exists()


def test_a_place_that_can_t_be_written_is_told(tmp_path: Path) -> None:
    """With what to do next."""
    path = tmp_path / "nowhere" / "out"
    with pytest.raises(OutputError, match="can't be written: No such file or directory; name another place with -o"):
        store.create(path)


@pytest.mark.parametrize("kind", ["symbolic link", "hard link"])
def test_saving_replaces_a_link_and_leaves_what_it_leads_to(tmp_path: Path, kind: str) -> None:
    """The name stands for a new file; nothing is written through the link."""
    path = target(tmp_path, kind)
    store.save(TIMELINE, path)
    assert not path.is_symlink()
    assert store.load(path) == capture.in_order(TIMELINE)
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_saving_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    """The partial file is the file at the end; a failed one is removed."""
    store.save(TIMELINE, tmp_path / "out")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="can't be put in the order of time: Is a directory; it is whole"):
        store.save(TIMELINE, tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "out"]


def test_a_name_that_is_not_taken(tmp_path: Path) -> None:
    """stem.pcapng, then -2, -3, …: also past links that lead nowhere."""
    (tmp_path / "echo-2.pcapng").symlink_to("nowhere")
    made = []
    for _ in range(3):
        path, descriptor = store.create_unused("echo", tmp_path)
        os.close(descriptor)
        made.append(path.name)
    assert made == ["echo.pcapng", "echo-3.pcapng", "echo-4.pcapng"]
    assert not (tmp_path / "nowhere").exists()


def test_a_nameless_file_can_be_written_and_read() -> None:
    """It has no name that another could open, and is gone with its descriptor."""
    descriptor = store.nameless()
    os.write(descriptor, b"ab")
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, b"cd")
    assert store.read(descriptor) == b"abcd"
    assert os.fstat(descriptor).st_nlink == 0
    os.close(descriptor)


# ------------------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "echo.pcapng: is empty; expected a pcapng or pcap capture"),
        (
            b"\x7fELF",
            "echo.pcapng: is no capture: expected it to begin with pcapng's 0a0d0d0a or pcap's a1b2c3d4, "
            "it begins with 7f454c46",
        ),
        (b"\x0a", "it begins with 0a"),
    ],
)
def test_what_is_no_capture_is_told(tmp_path: Path, data: bytes, message: str) -> None:
    """The file's name, what was expected and what came."""
    path = tmp_path / "echo.pcapng"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=re.escape(message)):
        store.load(path)


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    """And not waited for."""
    path = target(tmp_path, kind)
    with pytest.raises(FormatError, match="out: is no regular file; expected a pcapng or pcap capture"):
        store.load(path)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    """The caller words it."""
    with pytest.raises(FileNotFoundError):
        store.load(tmp_path / "nowhere")


def test_a_damaged_file_gives_what_is_whole(tmp_path: Path) -> None:
    """With the octet at which it ceases to be, and why."""
    path = tmp_path / "echo.pcapng"
    path.write_bytes(WHOLE[:-5])
    found = store.load(path)
    assert found.calls == TIMELINE.calls
    assert len(found.frames) == len(TIMELINE.frames)
    assert found.damaged_at is not None
    assert found.damage is not None
    assert found.damage.startswith("a block of ")
    assert not found.complete


def test_at_every_moment_of_a_save_the_name_stands_for_a_whole_file(tmp_path: Path) -> None:
    """A reader beside the writer never sees a part."""
    path = tmp_path / "echo.pcapng"
    store.save(TIMELINE, path)
    done = threading.Event()

    def write() -> None:
        for _ in range(50):
            store.save(TIMELINE, path)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = {path.read_bytes()}
    while not done.is_set():
        seen.add(path.read_bytes())
    writer.join()
    assert seen == {WHOLE}


def test_a_file_is_replaced_whole_under_the_same_rights(tmp_path: Path) -> None:
    """The name stands for the old octets or the new; mode and owner stay; nothing is left beside."""
    path = tmp_path / "echo.pcapng"
    path.write_bytes(WHOLE)
    path.chmod(0o640)
    with store.editing(path) as old:
        store.replace(path, old, (b"ab", memoryview(b"cd")))
        assert bytes(store.octets(old)) == WHOLE
    assert path.read_bytes() == b"abcd"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["echo.pcapng"]


def test_a_replacement_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """And nothing beside it."""

    def pieces() -> Iterator[bytes]:
        yield b"new"
        raise ValueError("no more")

    path = tmp_path / "echo.pcapng"
    path.write_bytes(WHOLE)
    with store.editing(path) as old, pytest.raises(ValueError, match="no more"):
        store.replace(path, old, pieces())
    assert path.read_bytes() == WHOLE
    assert [each.name for each in tmp_path.iterdir()] == ["echo.pcapng"]


@pytest.mark.parametrize("kind", ["symbolic link", "FIFO", "device", "folder"])
def test_only_a_regular_file_is_edited(tmp_path: Path, kind: str) -> None:
    """A link is not followed, a FIFO not waited for."""
    path = target(tmp_path, kind)
    with pytest.raises((OSError, FormatError)), store.editing(path):
        pass
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_who_edits_second_finds_what_the_first_wrote(tmp_path: Path) -> None:
    """It waits, and opens the file that then stands there."""
    path = tmp_path / "echo.pcapng"
    path.write_bytes(b"a")

    def add() -> None:
        with store.editing(path) as old:
            store.replace(path, old, [store.octets(old), b"b"])

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == b"a" + b"b" * 8
