"""`rawlab annotate`: each ending, each part, each refusal in a line; files that are the user's own."""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rawlab.views.outputs import OUTPUTS, STEPPED, STEPS

CAPTURES = Path(__file__).parents[1] / "captures"
ECHO = CAPTURES / "tcp-echo.pcapng"
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("SUDO_")}
BEGINNINGS = {
    ".svg": b"<svg ",
    ".png": b"\x89PNG",
    ".pdf": b"%PDF-",
    ".tex": b"% In a beamer frame",
    ".txt": b"       ms",
    ".mmd": b"sequenceDiagram",
    ".html": b"<!",
    ".json": b"{",
    ".pcapng": b"\x0a\x0d\x0d\x0a",
}


def annotate(*words: str | Path, code: int = 0, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command, from the repository's folder or any other."""
    command = [sys.executable, "-P", "-m", "rawlab", "annotate", *map(str, words)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, env=ENVIRONMENT | environment)
    assert done.returncode == code, done.stderr.decode()
    assert done.stderr.count(b"\n") == (1 if code else 0), done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


def refused(*words: str | Path, code: int = 2) -> str:
    return annotate(*words, code=code).stderr.decode()


@pytest.mark.parametrize("ending", sorted(OUTPUTS))
def test_each_ending(tmp_path: Path, ending: str) -> None:
    """Makes a file of that kind, mode 0600, and says nothing."""
    made = tmp_path / f"echo{ending}"
    done = annotate(ECHO, "-o", made)
    assert done.stdout == b""
    assert made.read_bytes().startswith(BEGINNINGS.get(ending, b""))
    assert made.stat().st_size > 100
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_a_part_to_standard_output() -> None:
    """--format says what it is; only what was chosen is in it."""
    text = annotate(ECHO, "-o", "-", "--format", "txt", "--handshake", "--width", "80").stdout.decode()
    assert "[S] seq 0" in text
    assert "[P.]" not in text
    assert "ARP" not in text


def test_a_capture_from_standard_input() -> None:
    """As replay takes it."""
    command = [sys.executable, "-P", "-m", "rawlab", "annotate", "-", "-o", "-", "--format", ".MMD"]
    done = subprocess.run(command, input=ECHO.read_bytes(), capture_output=True, check=True, timeout=60)
    assert done.stdout.startswith(b"sequenceDiagram")


@pytest.mark.parametrize("ending", sorted({*STEPS, *STEPPED}))
def test_steps(tmp_path: Path, ending: str) -> None:
    """A file a step, counted with two digits; or one file that holds them all."""
    annotate(ECHO, "-o", tmp_path / f"slide{ending}", "--steps", "--rows", "3")
    names = sorted(path.name for path in tmp_path.iterdir())
    if ending in STEPS:
        assert names == [f"slide-{number:02}{ending}" for number in range(1, len(names) + 1)]
        assert len(names) == 3  # connect's entry, the SYN, connect's return
    else:
        assert names == [f"slide{ending}"]


def test_of_several_files_all_or_none(tmp_path: Path) -> None:
    """Where one is there already, no other is written; --force replaces it."""
    (tmp_path / "s-02.svg").write_text("mine")
    assert "s-02.svg: exists; nothing is overwritten without --force" in refused(
        ECHO, "-o", tmp_path / "s.svg", "--steps", "--rows", "3", code=6
    )
    assert [path.name for path in tmp_path.iterdir()] == ["s-02.svg"]
    annotate(ECHO, "-o", tmp_path / "s.svg", "--steps", "--rows", "3", "--force")
    assert len(list(tmp_path.iterdir())) == 3
    assert (tmp_path / "s-02.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "x.gif"], "-o x.gif: the ending says what it becomes; there are: .csv, .html,"),
        (["-o", "x"], "there are: .csv"),
        (["-o", "folder/"], "-o folder/: is a folder"),
        (["-o", "-"], "-o -: say with --format what it is to be"),
        (["-o", "-", "--format", "gif"], "--format gif: no such format; there are: .csv"),
        (["-o", "x.txt", "--steps"], "--steps: a .txt has none; those that do: .pdf, .png, .svg, .tex"),
        (["-o", "-", "--format", "svg", "--steps"], "-o -: --steps makes several .svg files"),
        (["-o", "x.svg", "--rows", "13"], "--rows 13: 13: no such row; there are c1 to c14, p1 to p12"),
        (["-o", "x.svg", "--flow", "2"], "--flow 2 of 1: no such conversation"),
        (["-o", "x.svg", "--flow", "0"], "a number from 1 to 2147483647 expected"),
        (["-o", "x.png", "--scale", "20"], "pixels is too large"),
        (["-o", "x.html", "--seed", "3"], "--seed: chooses the cells of a quiz"),
        (["-o", "x.svg", "--side", "server"], "--side: is of a .pkt; a .svg has none"),
        (["-o", "x.svg", "--scale", "3"], "--scale: is of a .png; a .svg has none"),
        (["-o", "x.svg", "--axis", "log"], "invalid choice: 'log'"),
    ],
)
def test_what_does_not_go(tmp_path: Path, words: list[str], message: str) -> None:
    """One line, exit code 2, no file."""
    words = [f"{tmp_path}/{word}" if word.startswith(("x", "folder")) else word for word in words]
    assert message in refused(ECHO, *words).replace(f"{tmp_path}/", "")
    assert list(tmp_path.iterdir()) == []


def test_places_that_take_no_file(tmp_path: Path) -> None:
    """A folder that is not there, a symbolic link, a FIFO, a device: nothing is followed, nothing hangs."""
    kept = tmp_path / "kept"
    kept.write_text("mine")
    (tmp_path / "link.svg").symlink_to(kept)
    os.mkfifo(tmp_path / "fifo.svg")
    assert "can't be written" in refused(ECHO, "-o", tmp_path / "none" / "x.svg", code=6)
    for name in ("link.svg", "fifo.svg"):
        assert "is no regular file" in refused(ECHO, "-o", tmp_path / name, "--force", code=6)
    assert kept.read_text() == "mine"
    assert "exists" in refused(ECHO, "-o", "/dev/null", "--format", "svg", code=6)


def test_what_stands_beside_is_named_with_its_document(tmp_path: Path) -> None:
    """A .md writes its picture, too: where that is there already, the line names both."""
    (tmp_path / "x.svg").write_text("mine")
    says = refused(ECHO, "-o", tmp_path / "x.md", code=6).replace(f"{tmp_path}/", "")
    assert "x.svg (x.md has it beside it): exists" in says
    assert [path.name for path in tmp_path.iterdir()] == ["x.svg"]


def test_what_is_compressed_and_what_is_empty(tmp_path: Path) -> None:
    """A gzipped capture is one, if that is what comes out; of one without packets, the picture says so."""
    packed = tmp_path / "x.pcap.gz"
    packed.write_bytes(gzip.compress(b"anything"))
    assert "x.pcap.gz: unpacks to what is no capture" in refused(packed, "-o", tmp_path / "x.svg", code=4)
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    annotate(empty, "-o", tmp_path / "x.svg")
    assert "the capture holds no packets" in (tmp_path / "x.svg").read_text()


def test_what_is_no_capture(tmp_path: Path) -> None:
    """As replay says it."""
    assert "is no capture" in refused(__file__, "-o", tmp_path / "x.svg", code=4)
    assert "No such file" in refused(tmp_path / "none.pcapng", "-o", tmp_path / "x.svg", code=4)


def test_a_damaged_capture_is_drawn_and_told(tmp_path: Path) -> None:
    """What is whole is shown, the picture says that it is not all, and so does the exit code."""
    broken = tmp_path / "broken.pcapng"
    broken.write_bytes(ECHO.read_bytes()[:-700])
    assert "damaged" in refused(broken, "-o", tmp_path / "x.svg", code=5)
    assert "the capture is damaged or was cut off" in (tmp_path / "x.svg").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be what sudo makes")
def test_under_sudo_the_file_is_the_users(tmp_path: Path) -> None:
    """Not root's; and its capture may be one that only root can read."""
    mine = tmp_path / "root.pcapng"
    mine.write_bytes(ECHO.read_bytes())
    mine.chmod(0o600)
    with tempfile.TemporaryDirectory(prefix="rawlab-test-") as name:  # each pytest that starts closes pytest's own
        folder = Path(name)
        os.chown(folder, 12345, 12345)
        annotate(mine, "-o", folder / "echo.svg", SUDO_UID="12345", SUDO_GID="12345")
        made = (folder / "echo.svg").stat()
        assert (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode)) == (12345, 12345, 0o600)


def test_replay_as_a_ladder() -> None:
    """Instead of the tables; with no format of theirs."""
    command = [sys.executable, "-P", "-m", "rawlab", "replay", str(ECHO), "--ladder", "--width", "100"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, env=ENVIRONMENT)
    lines = done.stdout.decode().splitlines()
    assert lines[0].split() == ["ms", "client", "server"]
    assert lines[-1].startswith("14 calls, 12 packets")
    command += ["--format", "json"]
    refusal = subprocess.run(command, capture_output=True, check=False, timeout=60, env=ENVIRONMENT)
    assert (refusal.returncode, refusal.stderr.count(b"\n")) == (2, 1)
