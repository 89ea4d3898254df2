"""`rawlab note`: notes are put, listed, shown everywhere, and taken away; the file stays whole, and its owner's."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rawlab import api, store
from rawlab.wire import capture
from tests.attribution.ladder import read as ladder
from tests.attribution.test_unproven import ECHO
from tests.wire.frames import tool

WHOLE = b"".join(capture.blocks_of(ladder(ECHO)))
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("SUDO_")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A capture."""
    made = tmp_path / "echo.pcapng"
    made.write_bytes(WHOLE)
    return made


def rawlab(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "rawlab", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=ENVIRONMENT)


def note(*words: str | Path) -> str:
    """What a note that goes well prints."""
    done = rawlab("note", *words)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def refused(code: int, *words: str | Path) -> str:
    """The one line that says why not."""
    done = rawlab("note", *words)
    assert done.returncode == code, done
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_note_on_a_packet_by_its_number_in_the_table(path: Path) -> None:
    """It stands at the frame that left, once; the same note again is no second one, another is."""
    assert note(path, "p1", "the first step") == "p1: the first step\n"
    once = path.read_bytes()
    note(path, "p1", "the first step")
    assert path.read_bytes() == once
    assert note(path, "p1", "of three") == "p1: the first step\np1: of three\n"
    packet = api.load(path).packets[0]
    assert packet.notes == ("the first step", "of three")
    commented = [frame.number for frame in store.load(path).frames if frame.comments]
    assert commented == [packet.frames[0]]


def test_a_note_on_a_call(path: Path) -> None:
    """It stands in the call's own block, and is the call's."""
    note(path, "c1", "nothing is sent")
    assert api.load(path).calls[0].call.notes == ("nothing is sent",)


def test_a_note_on_a_record_as_wireshark_counts(path: Path) -> None:
    """A packet's number or a call's."""
    frame = api.load(path).packets[0].frames[0]
    note(path, str(frame), "by number")
    note(path, "1", "on the first record, a call's entry")
    story = api.load(path)
    assert story.packets[0].notes == ("by number",)
    assert story.calls[0].call.notes == ("on the first record, a call's entry",)


def test_replace_and_remove(path: Path) -> None:
    """--replace leaves one note, --remove TEXT the others, --remove none: then the file is as it was."""
    for text in ("a", "b", "c"):
        note(path, "p1", text)
    assert note(path, "p1", "--remove", "b") == "p1: a\np1: c\n"
    assert note(path, "p1", "--replace", "d") == "p1: d\n"
    assert note(path, "p1", "--replace", "d") == "p1: d\n"
    note(path, "c1", "x")
    assert note(path, "p1", "--remove") == "p1: no note\n"
    assert note(path, "c1", "--remove") == "c1: no note\n"
    assert path.read_bytes() == WHOLE


def test_wireshark_s_notes_are_listed_and_shown(path: Path, tmp_path: Path) -> None:
    """One made by editcap; in the table and the JSON as well."""
    frame = api.load(path).packets[0].frames[0]
    edited = tmp_path / "edited.pcapng"
    subprocess.run([tool("editcap"), "-a", f"{frame}:by editcap", str(path), str(edited)], check=True)
    (line,) = note(edited).splitlines()[2:]
    assert line.split()[:2] == [str(frame), "p1"]
    assert line.endswith("by editcap")
    assert "      note: by editcap\n" in rawlab("replay", edited).stdout
    told = json.loads(rawlab("replay", edited, "--format", "json").stdout)
    assert told["packets"][0]["notes"] == ["by editcap"]


def test_the_list_of_none(path: Path) -> None:
    """Says how to write one."""
    assert note(path) == f'no notes; rawlab note {path} p6 "text" writes one\n'


def test_owner_and_mode_stay_and_nothing_is_left_beside(path: Path) -> None:
    """A new file in the old one's place, under the same rights."""
    path.chmod(0o640)
    before = path.stat()
    note(path, "p1", "x")
    after = path.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_two_at_once_lose_neither_note(path: Path) -> None:
    """One waits for the other."""
    command = [sys.executable, "-P", "-m", "rawlab", "note", str(path)]
    quiet = {"stdout": subprocess.DEVNULL, "env": ENVIRONMENT}
    running = [subprocess.Popen([*command, "p1", f"note {n}"], **quiet) for n in range(4)]  # type: ignore[call-overload]
    assert [one.wait(timeout=60) for one in running] == [0] * 4
    assert sorted(api.load(path).packets[0].notes) == [f"note {n}" for n in range(4)]


def test_hostile_words_are_inert(path: Path) -> None:
    """A note is kept as it was written, and shown without what moves a cursor."""
    note(path, "p1", "\x1b[31mred\x1b[0m \u202etxt")
    assert api.load(path).packets[0].notes == ("\x1b[31mred\x1b[0m \u202etxt",)
    for shown in (rawlab("note", path).stdout, rawlab("replay", path).stdout):
        assert "\x1b" not in shown
        assert "\\x1b[31mred" in shown


def test_a_damaged_capture_keeps_all_its_octets(path: Path) -> None:
    """What is whole can be annotated; the rest stays, to be looked at."""
    path.write_bytes(WHOLE[:-3])
    note(path, "p1", "x")
    assert path.read_bytes().endswith(WHOLE[-203:-3])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("999", "x"), "999: no such record; "),
        (("p99", "x"), "p99: no such row; "),
        (("c0", "x"), "c0: no such row; "),
        (("six", "x"), "six: expected 12 for record 12 as Wireshark counts, p6 for packet 6, c4 for call 4"),
        (("p1", " "), "the note has no words; --remove takes one away"),
        (("p1", "x" * 65_536), "the note has 65536 octets; a packet comment holds 65535 at the most"),
        (("p1", "a", "--replace", "b"), "one thing at a time"),
        (("p1", "--remove", "none such"), "p1: has no such note; "),
        (("--remove",), "name the row as well"),
    ],
)
def test_words_that_can_t_be_done(path: Path, words: tuple[str, ...], says: str) -> None:
    """One line, and the file is as it was."""
    assert says in refused(2, path, *words)
    assert path.read_bytes() == WHOLE


def test_a_pcap_has_no_place_for_notes(tmp_path: Path) -> None:
    """Nor what is no capture; the line says what to do."""
    old = tmp_path / "old.pcap"
    old.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    says = f"is a pcap, which has no place for notes; editcap {old} NEW.pcapng makes a pcapng"
    assert says in refused(4, old, "1", "x")
    old.write_bytes(b"no capture")
    assert "is no capture" in refused(4, old, "1", "x")
    old.write_bytes(b"")
    assert "is empty" in refused(4, old, "1", "x")


@pytest.mark.parametrize("kind", ["link", "folder", "nothing", "read-only"])
def test_a_place_that_can_t_be_written(path: Path, kind: str) -> None:
    """Refused in one line, nothing is followed or changed."""
    target = path.with_name("target")
    match kind:
        case "link":
            target.symlink_to(path)
        case "folder":
            target.mkdir()
        case "read-only":
            target.write_bytes(WHOLE)
            target.chmod(0o400)
    says = {
        "link": "it is a symbolic link; name the file itself",
        "folder": "Is a directory",
        "nothing": "there is no such file",
        "read-only": "it is read-only to you; make a copy, and annotate that",
    }
    assert says[kind] in refused(6, target, "p1", "x")
    assert path.read_bytes() == WHOLE
    assert kind != "read-only" or target.read_bytes() == WHOLE


def test_rows_that_are_not_there(path: Path) -> None:
    """The line says which there are, and what there is none of."""
    says = refused(2, path, "p99", "x")
    assert " and p1 to p" in says
    path.write_bytes(b"".join(capture.blocks_of(ladder(""))))
    assert refused(2, path, "p1", "x").endswith("has no calls and no packets\n")


def test_under_sudo_the_file_stays_the_user_s(path: Path) -> None:
    """It is read and written as the user who asked, whose file it remains."""
    if os.geteuid():
        pytest.skip("needs root, to be sudo's")
    user = {"SUDO_UID": "65534", "SUDO_GID": "65534"}
    for each in (path, path.parent):
        os.chown(each, 65534, 65534)
    path.parent.chmod(0o755)
    command = [sys.executable, "-P", "-m", "rawlab", "note", str(path.name), "p1", "x"]
    done = subprocess.run(
        command, cwd=path.parent, env=ENVIRONMENT | user, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "p1: x\n", "")
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
    assert api.load(path).packets[0].notes == ("x",)


def test_a_folder_that_can_t_be_written(path: Path) -> None:
    """The new file finds no place: one line, and the old one stays."""
    if not os.geteuid():
        pytest.skip("needs a user who is not root")
    path.parent.chmod(0o500)
    try:
        assert f"its folder, {path.parent}, takes no new file" in refused(6, path, "p1", "x")
    finally:
        path.parent.chmod(0o700)
    assert path.read_bytes() == WHOLE
