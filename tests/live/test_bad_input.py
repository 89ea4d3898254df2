"""What goes wrong from outside: words, files, disks, missing rights. Each is told in one line on standard error, by an
exit code of its own, without a traceback; what was captured before is kept whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from rawlab import store
from tests.live import runs

HEADER = 300  # octets with which a capture begins, more or less: flips there hit the section and the interfaces


def refused(code: int, *arguments: str, folder: Path, before: Sequence[str] = (), user: int | None = None) -> str:
    """The one line with which rawlab refuses; nothing of it may be printed on standard output."""
    done = runs.rawlab(*arguments, folder=folder, before=before, user=user)
    assert done.code == code, done
    assert done.out == ""
    return done.says_one_line()


def shell(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`rawlab` inside a shell's line, where it is "$@"."""
    command = ["sh", "-c", words, "sh", sys.executable, "-P", "-m", "rawlab", "capture", "tcp-echo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=runs.SECONDS)


# ------------------------------------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("capture", "tcp-ecko"), "tcp-echo"),
        (("capture", "tcp-echo", "--port", "0"), "1 to 65535"),
        (("capture", "tcp-echo", "--port", "65536"), "1 to 65535"),
        (("capture", "tcp-echo", "--port", "7; reboot"), "1 to 65535"),
        (("capture", "tcp-echo", "--clients", "-1"), "--clients"),
        (("capture", "tcp-echo", "--format", "jsn"), "json"),
        (("capture", "tcp-echo", "--ipv4"), "unrecognized arguments: --ipv4; see rawlab capture --help"),
        (("capture", "raw-handshake", "--clients", "3"), "its programs take one --message or --size"),
        (("capture", "raw-handshake", "--size", "537"), "a message of 537 octets: its one packet takes 536"),
        (("capture", "raw-fragments", "--message", "x"), "take neither --message, --size nor --clients"),
        (("capture", "udp-simple", "--message", "x", "--size", "3"), "no use for a second --message or --size"),
        (("capture", "--all", "--message", "x"), "--all runs each lab as it stands: leave --message out"),
        (("captur", "tcp-echo"), "capture"),
        (("replay",), "FILE"),
    ],
)
def test_words(folder: Path, words: tuple[str, ...], says: str) -> None:
    """Words that mean nothing: 2, and what was expected, or what is near."""
    assert says in refused(2, *words, folder=folder)
    assert not os.listdir(folder)


def test_a_sniffed_file_has_no_calls_to_show(folder: Path) -> None:
    """Asked for them, replay says so, instead of a table of something else."""
    sniffed = str(runs.REPOSITORY / "captures" / "sniff-http.pcapng")
    for words in (("--table", "calls"), ("--endpoint-calls",)):
        assert "it holds packets and no calls" in refused(2, "replay", sniffed, *words, folder=folder)


def test_explain_says_how_a_row_is_named(folder: Path) -> None:
    """A file without a row is no topic; r5 is a row that is not taken apart."""
    file = str(runs.REPOSITORY / "captures" / "tcp-echo.pcapng")
    assert f"say {file}:p6 for its packet 6" in refused(2, "explain", file, folder=folder)
    assert "r5: is a call that rawlab's own TCP or SCTP makes" in refused(2, "explain", f"{file}:r5", folder=folder)


# ------------------------------------------------------------------------------------------------ input


@pytest.mark.parametrize("made", ["empty", "text", "folder", "FIFO", "device"])
def test_no_capture(folder: Path, made: str) -> None:
    """What is no capture is said to be none (4); a FIFO is not waited for, a device not read."""
    path = folder / "input"
    if made == "empty":
        path.touch()
    elif made == "text":
        path.write_text("no capture\n" * 100)
    elif made == "folder":
        path.mkdir()
    elif made == "FIFO":
        os.mkfifo(path)
    else:
        path = Path("/dev/zero")
    assert str(path.name) in refused(4, "replay", str(path), folder=folder)


def test_no_file(folder: Path) -> None:
    """A file that is not there, by its name."""
    done = runs.rawlab("replay", "nothing.pcapng", folder=folder)
    assert done.code != 0
    assert "nothing.pcapng: No such file" in done.says_one_line()


@pytest.fixture(scope="module")
def whole() -> bytes:
    """The octets of a capture."""
    runs.need_networks()
    with runs.open_folder() as folder:
        runs.capture(folder)
        return (folder / "tcp-echo.pcapng").read_bytes()


def test_cut(folder: Path, whole: bytes) -> None:
    """A file that was cut anywhere: what is whole before is shown, and where it breaks off is said (5)."""
    done = runs.rawlab(*("replay", "cut.pcapng"), folder=cut(folder, whole, len(whole) // 2))
    assert done.code == 5
    assert "cut off" in done.says_one_line() or "damaged at byte" in done.says_one_line()
    assert "c1" in done.out
    chance = random.Random(runs.seed())
    sizes = [*range(4, 32), *(chance.randrange(len(whole)) for _ in range(100)), len(whole) - 1]
    assert set(replay_all(folder, [whole[:size] for size in sizes])) <= {"4", "5"}


def cut(folder: Path, whole: bytes, size: int) -> Path:
    (folder / "cut.pcapng").write_bytes(whole[:size])
    return folder


def replay_all(folder: Path, files: Sequence[bytes]) -> list[str]:
    """The exit code of `replay` for each of them, all in one process. Each code but 0 must come with one line."""
    for number, data in enumerate(files):
        (folder / f"{number}.pcapng").write_bytes(data)
    program = (
        "import sys, os; from rawlab.cli import main; sys.stdout = open(os.devnull, 'w')\n"
        "for n in range(int(sys.argv[1])): print(n, main(['replay', f'{n}.pcapng']), file=sys.stderr)"
    )
    command = [sys.executable, "-P", "-c", program, str(len(files))]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    codes = [line.split()[1] for line in done.stderr.splitlines() if not line.startswith("rawlab: ")]
    assert len(codes) == len(files)
    assert len(done.stderr.splitlines()) == len(files) + sum(code != "0" for code in codes)
    return codes


def test_damaged(folder: Path, whole: bytes) -> None:
    """Octets changed anywhere in the file: no traceback, no hang, and nothing but the codes for a capture that is
    whole, none, or damaged."""
    chance = random.Random(runs.seed())
    damaged = []
    for number in range(runs.repetitions(100) * 3):
        flipped = bytearray(whole)
        for _ in range(chance.choice((1, 1, 4, 40))):
            flipped[chance.randrange(HEADER if number % 2 else len(flipped))] = chance.randrange(256)
        damaged.append(bytes(flipped))
    codes = replay_all(folder, damaged)
    assert {"0", "5"} <= set(codes) <= {"0", "4", "5"}


# ----------------------------------------------------------------------------------------------- output


def test_existing_file(folder: Path) -> None:
    """A file that is there is kept, and --force replaces it."""
    (folder / "a").write_text("mine")
    assert "--force" in refused(6, "capture", "tcp-echo", "-o", "a", folder=folder)
    assert (folder / "a").read_text() == "mine"
    assert runs.rawlab("capture", "tcp-echo", "-o", "a", "--force", folder=folder).code == 0
    assert store.load(folder / "a").complete


@pytest.mark.parametrize("kind", ["symbolic link", "dangling link", "folder", "FIFO"])
def test_force_replaces_regular_files_only(folder: Path, kind: str) -> None:
    """Not even --force follows a link, or replaces what is no regular file."""
    (folder / "victim").write_text("mine")
    if kind.endswith("link"):
        (folder / "a").symlink_to("victim" if kind == "symbolic link" else "nothing")
    elif kind == "folder":
        (folder / "a").mkdir()
    else:
        os.mkfifo(folder / "a")
    before = os.lstat(folder / "a").st_mode
    assert "regular" in refused(6, "capture", "tcp-echo", "-o", "a", "--force", folder=folder)
    assert os.lstat(folder / "a").st_mode == before
    assert (folder / "victim").read_text() == "mine"
    assert sorted(os.listdir(folder)) == ["a", "victim"]


def test_unwritable_folder(folder: Path) -> None:
    """A folder that can't be written: 6, at once."""
    runs.need_root()
    folder.chmod(0o755)
    assert "Permission denied" in refused(6, "capture", "tcp-echo", folder=folder, user=runs.NOBODY)
    assert "No such file" in refused(6, "capture", "tcp-echo", "-o", "no/where", folder=folder)


def small_disk(folder: Path, size: str, fill: str = "true") -> tuple[runs.Done, str]:
    """A run in a file system of so many octets; how it ended, and what is in the folder after it."""
    runs.need_root()
    keep = "ls -A >../listing; cp tcp-echo.pcapng .. 2>/dev/null; exit $code"
    script = f'mkdir s; mount -t tmpfs -o size={size} none s; cd s; {fill}; "$@"; code=$?; {keep}'
    before = ["unshare", "-m", "sh", "-c", script, "sh"]
    arguments = ("--size", "100000", "--keep", "4000", "--clients", "4", "--format", "json")
    done = runs.rawlab("capture", "tcp-echo", *arguments, folder=folder, before=before)
    return done, (folder / "listing").read_text()


def test_full_disk(folder: Path) -> None:
    """On a disk that becomes full: 6; the file is whole up to its last block, and what is saved is said."""
    runs.need("tshark")
    done, listing = small_disk(folder, "64k")
    assert done.code == 6
    assert listing == "tcp-echo.pcapng\n"
    last = done.err.splitlines()[-1]
    timeline = store.load(folder / "tcp-echo.pcapng")
    assert f"{len(timeline.frames)} frames and {len(timeline.calls)} calls are saved" in last
    assert "No space left on device" in last
    assert timeline.damaged_at is None
    assert len(timeline.calls) > 5
    assert not timeline.complete
    runs.tshark(folder / "tcp-echo.pcapng")
    assert len(done.story["calls"]) == len(timeline.calls)


def test_disk_that_is_full(folder: Path) -> None:
    """On a disk that is full already: 6, and no file."""
    done, listing = small_disk(folder, "64k", "head -c 65536 /dev/zero >fill")
    assert done.code == 6
    assert "No space left on device" in done.says_one_line()
    assert listing == "fill\n"


def test_file_size_limit(folder: Path) -> None:
    """With files limited in size (ulimit -f): the same."""
    runs.need_networks()
    done = shell('ulimit -f 100; exec "$@" --size 100000 --keep 4000 --format json', folder)
    assert done.returncode == 6
    assert "File too large" in done.stderr.splitlines()[-1]
    timeline = store.load(folder / "tcp-echo.pcapng")
    assert timeline.damaged_at is None
    assert len(timeline.calls) > 5


def test_reader_gone(folder: Path) -> None:
    """Nobody reads on (| head -1): no word about it, and the file is complete."""
    runs.need_networks()
    done = shell('{ "$@" --clients 20; echo "code $?" >&2; } | head -1', folder)
    assert done.stderr.splitlines()[-1] == "code 0"
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr
    assert store.load(folder / "tcp-echo.pcapng").complete


@pytest.mark.parametrize("to", [">/dev/full", ">/dev/full -o -"])
def test_unwritable_output(folder: Path, to: str) -> None:
    """Standard output that takes nothing: 6, one line, and the file, if there is to be one, is complete."""
    runs.need_networks()
    done = shell(f'exec "$@" {to}', folder)
    assert done.returncode == 6, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    if "-o" not in to:
        assert store.load(folder / "tcp-echo.pcapng").complete


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("doctor",),
        ("explain", "accept"),
        ("completion", "bash"),
        ("craft", "IP()", "--show"),
        ("sniff", "-i", "lo", "--duration", "0.1"),
    ],
    ids=lambda words: words[0],
)
def test_every_command_says_what_it_could_not_print(folder: Path, words: tuple[str, ...]) -> None:
    """6 and one line, whatever the command; not the interpreter's own words at its end."""
    if words[0] == "sniff":
        runs.need_root()
    done = runs.rawlab(*words, folder=folder, before=["sh", "-c", 'exec "$@" >/dev/full', "sh"])
    assert done.code == 6, done.err
    assert done.err.splitlines()[-1].startswith("rawlab: standard output: No space left on device: ")
    assert done.err.count("standard output") == 1
    assert "Exception" not in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("craft", 'IP()/UDP(dport=9)/"x"', "-o", "a.pcapng"),
        ("craft", 'IP()/UDP(dport=9)/"x"', "--flood", "--count", "100", "-o", "a.pcapng"),
        ("capture", "udp-echo", "--live", "-o", "a.pcapng"),
    ],
    ids=["craft", "flood", "live"],
)
def test_what_can_not_be_printed_before_a_run_does_not_prevent_it(folder: Path, words: tuple[str, ...]) -> None:
    """The run goes to its end, its file is whole; then 6, and one line."""
    runs.need_networks()
    done = runs.rawlab(*words, folder=folder, before=["sh", "-c", 'exec "$@" >/dev/full', "sh"])
    assert done.code == 6, done.err
    assert "standard output: No space left on device" in done.says_one_line()
    captured = store.load(folder / "a.pcapng")
    assert captured.complete
    assert captured.frames


def test_closed_output(folder: Path) -> None:
    """Standard streams that are closed are nobody's: the file takes the number of none of them, and is complete."""
    runs.need_networks()
    assert shell('exec "$@" <&- >&- 2>&-', folder).returncode == 0
    assert store.load(folder / "tcp-echo.pcapng").complete


# ----------------------------------------------------------------------------------------------- rights


def test_no_user_namespaces(folder: Path) -> None:
    """Where namespaces are forbidden: 3, and what to do, with no word of the kernel's alone."""
    runs.need_root()
    limit = 'echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all "$@"'
    said = refused(3, "capture", "tcp-echo", folder=folder, before=["unshare", "-Ur", "sh", "-c", limit, "sh"])
    assert "sysctl user.max_user_namespaces" in said
    assert "No space left" not in said
    assert not os.listdir(folder)


def test_no_network_namespaces(folder: Path) -> None:
    """Where this one kind is forbidden: the same."""
    runs.need_root()
    limit = 'echo 0 >/proc/sys/user/max_net_namespaces; exec "$@"'
    said = refused(3, "capture", "tcp-echo", folder=folder, before=["unshare", "-Ur", "sh", "-c", limit, "sh"])
    assert "sysctl user.max_net_namespaces" in said
    assert "No space left" not in said
    assert not os.listdir(folder)


def test_loopback_as_ordinary_user(folder: Path) -> None:
    """Loopback is everyone's, and so for root alone: 3, and how to go on."""
    runs.need_root()
    os.chown(folder, runs.NOBODY, runs.NOBODY)
    assert "sudo" in refused(3, "capture", "tcp-echo", "--lo", folder=folder, user=runs.NOBODY)
    assert not os.listdir(folder)
