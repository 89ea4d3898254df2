"""scripts/rawlab and scripts/install, run for real in copies of this clone.

To be quick, a copy is light: it has no dependencies, and its rawlab is a probe that prints how it was
started. Only the test of the first and second run installs and runs the real thing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65534
PROBE = '''"""Prints how it was started."""
import json, os, signal, sys
from pathlib import Path
print(json.dumps({
    "arguments": sys.argv[1:],
    "folder": os.getcwd(),
    "uid": os.getuid(),
    "code": __file__,
    "python": sys.executable,
    "isolated": bool(sys.flags.isolated),
    "bytecode": not sys.dont_write_bytecode,
    "interrupt": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
}))
def main():
    return 0
'''

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run as another user")


@pytest.fixture(scope="module", autouse=True)
def index() -> None:
    """Skips where pip can't fetch a package."""
    with tempfile.TemporaryDirectory() as folder:
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        done = subprocess.run([*fetch, "hatchling"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip can't fetch packages here: {(done.stderr or done.stdout).strip()[-200:]}")


def new_space() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's tmp_path; a space in its name."""
    with tempfile.TemporaryDirectory(prefix="rawlab test ") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


space = pytest.fixture(new_space)
lasting_space = pytest.fixture(new_space, scope="module")


@pytest.fixture
def clone(space: Path) -> Path:
    """A light copy of this clone, its files as git would have them."""
    return lightened(copied(space / "clone"))


@pytest.fixture(scope="module")
def ready(lasting_space: Path) -> Path:
    """A light copy whose first run is over, made from beside a json.py that nobody wants."""
    copy = lightened(copied(lasting_space / "clone"))
    (lasting_space / "json.py").write_text("raise SystemExit('imported from the wrong place')")
    probed(run(copy / "scripts" / "rawlab", **hostile(copy)))
    return copy


def hostile(clone: Path) -> dict[str, Any]:
    """Options of `run` that put the folder around the clone in Python's and bash's way."""
    beside = str(clone.parent)
    return {"cwd": beside, "env": os.environ | {"PYTHONPATH": beside, "CDPATH": "/"}}


def lightened(clone: Path) -> Path:
    """The copy without its dependencies, and with the probe."""
    project = clone / "pyproject.toml"
    pattern = re.compile(r"^dependencies = \[.*?^\]$", re.MULTILINE | re.DOTALL)
    text, count = pattern.subn("dependencies = []", project.read_text())
    assert count == 1, "the list of dependencies has moved: mend this function"
    project.write_text(text)
    (clone / "rawlab" / "cli.py").write_text(PROBE)
    return clone


def copied(to: Path) -> Path:
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"]
    if not (shutil.which("git") and (ROOT / ".git").exists()):
        pytest.skip("needs git and a clone, to know which files are the repository's")
    for name in subprocess.run(git, check=True, capture_output=True, text=True).stdout.split("\0"):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)
    return to


def run(script: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([script, *arguments], capture_output=True, text=True, **options)


def probed(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What the probe printed."""
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in folder.rglob("*")}


def as_nobody(home: Path) -> dict[str, Any]:
    """Options of `run` for an ordinary user with a home."""
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    environment = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": ""}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": (), "env": environment, "cwd": "/"}


def test_the_first_run_installs_and_the_second_does_not(space: Path) -> None:
    """One line on stderr says what the first run waits for; the second says nothing."""
    script = copied(space / "clone") / "scripts" / "rawlab"
    first = run(script, "--version", cwd="/")
    assert (first.returncode, first.stdout) == (0, "rawlab 0.1.0\n"), first.stderr
    assert first.stderr == f"rawlab: first run: making {space}/clone/.venv (about 20 s) …\n"
    second = run(script, "--version", cwd="/")
    assert (second.returncode, second.stdout, second.stderr) == (0, first.stdout, "")


def test_a_run_by_a_symlink_from_a_hostile_folder(ready: Path, space: Path) -> None:
    """Arguments and folder reach rawlab untouched, and nothing is imported from that folder or PYTHONPATH."""
    link = space / "link"
    link.symlink_to(ready / "scripts" / "rawlab")
    done = run(link, "a b", "", "*", **hostile(ready))
    found = probed(done)
    assert done.stderr == ""
    assert found["arguments"] == ["a b", "", "*"]
    assert found["folder"] == str(ready.parent)
    assert found["code"] == str(ready / "rawlab" / "cli.py")
    assert found["isolated"]
    assert found["interrupt"], "a Ctrl-C while Python starts would print a traceback"


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace, to count processes")
def test_a_later_run_starts_no_more_than_it_needs(ready: Path, space: Path) -> None:
    """Beside bash and python, one readlink."""
    log = space / "processes"
    trace = ["strace", "-f", "-qq", "-z", "-e", "trace=execve", "-o", str(log)]
    subprocess.run([*trace, str(ready / "scripts" / "rawlab")], check=True, capture_output=True)
    assert re.findall(r'execve\("[^"]*/([^"/]+)"', log.read_text()) == ["rawlab", "readlink", "python"]


def test_what_makes_a_venv_stale(ready: Path) -> None:
    """Another pyproject.toml, place or Python; an extra it lacks; not another line of code."""

    def is_fresh(clone: Path, extra: str = "") -> bool:
        check = '. "$1/scripts/venv.sh"; root=$1 venv=$1/.venv; venv_is_fresh "$2"'
        return subprocess.run(["bash", "-c", check, "bash", clone, extra]).returncode == 0

    assert is_fresh(ready)
    assert not is_fresh(ready, "test")
    with (ready / "rawlab" / "cli.py").open("a") as code:
        code.write("# another line\n")
    assert is_fresh(ready)

    project = ready / "pyproject.toml"
    text = project.read_text()
    project.write_text(text + "# another dependency")
    assert not is_fresh(ready)
    project.write_text(text)
    assert is_fresh(ready)

    python = ready / ".venv" / "bin" / "python"
    interpreter = python.readlink()
    python.unlink()
    python.symlink_to("/nonexistent/python3.11")
    assert not is_fresh(ready)
    python.unlink()
    python.symlink_to(interpreter)
    assert is_fresh(ready)

    moved = ready.rename(ready.with_name("moved"))
    assert not is_fresh(moved)
    moved.rename(ready)
    assert is_fresh(ready)


def test_a_killed_first_run_and_two_at_once(clone: Path) -> None:
    """What the killed one left is made anew, by one of the two; the other waits for it."""
    script = clone / "scripts" / "rawlab"
    killed = subprocess.Popen([script], stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (clone / ".venv" / "bin" / "python").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert (clone / ".venv").exists()
    assert not list((clone / ".venv").glob("*.stamp"))

    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pair = [subprocess.Popen([script, name], **pipes) for name in "ab"]  # type: ignore[call-overload]
    told = [process.communicate() for process in pair]
    assert [json.loads(out)["arguments"] for out, _ in told] == [["a"], ["b"]]
    assert sorted(errors.split()[1] for _, errors in told) == ["first", "waiting"]


@needs_root
def test_a_clone_that_the_user_cannot_write(clone: Path, space: Path) -> None:
    """The venv goes to the user's cache, nothing into the clone, and the code run is the clone's."""
    before = set(clone.rglob("*"))
    options = as_nobody(space / "home")
    done = run(clone / "scripts" / "rawlab", **options)
    if "needs Python" in done.stderr:
        pytest.skip("an ordinary user has no Python 3.11 with venv here")
    found = probed(done)
    assert found["uid"] == NOBODY
    assert found["code"] == str(clone / "rawlab" / "cli.py")
    assert found["python"].startswith(str(space / "home" / ".cache" / "rawlab"))
    assert run(clone / "scripts" / "rawlab", **options).stderr == ""
    assert set(clone.rglob("*")) == before

    homeless = options | {"env": os.environ | {"HOME": "/nonexistent", "XDG_CACHE_HOME": ""}}
    told = run(clone / "scripts" / "rawlab", **homeless)
    assert told.returncode == 1
    assert "can write neither" in told.stderr
    assert "name a folder for the venv by XDG_CACHE_HOME" in told.stderr


@needs_root
def test_root_in_a_users_clone_leaves_nothing_of_its_own(clone: Path) -> None:
    """Under sudo, the set-up is the user's, rawlab is root's, and no file in the clone is."""
    for path in (clone, *clone.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    environment = os.environ | {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY), "SUDO_USER": "nobody"}
    for _ in range(2):
        done = run(clone / "scripts" / "rawlab", env=environment)
        if "needs Python" in done.stderr:
            pytest.skip("an ordinary user has no Python 3.11 with venv here")
        found = probed(done)
        assert found["uid"] == 0
        assert not found["bytecode"]
        assert found["python"].startswith(str(clone))
        assert owners(clone) == {NOBODY}


@needs_root
def test_install_replaces_and_uninstall_removes(clone: Path, space: Path) -> None:
    """One venv and one launcher, of the code as it was at the last install; both gone at the end."""
    before = set(clone.rglob("*"))
    script, prefix = clone / "scripts" / "install", space / "it's here"
    for expected in ("first", "second"):
        (clone / "rawlab" / "cli.py").write_text(f"print({expected!r})\ndef main(): return 0\n")
        assert run(script, "--prefix", str(prefix)).returncode == 0
        (clone / "rawlab" / "cli.py").write_text("print('of the clone')\ndef main(): return 0\n")
        assert run(prefix / "bin" / "rawlab").stdout == expected + "\n"
        assert len(list((prefix / "lib" / "rawlab").iterdir())) == 1
    assert owners(prefix) == {0}
    assert set(clone.rglob("*")) == before
    assert run(script, "--prefix", str(prefix), "--uninstall").returncode == 0
    assert not [path for path in prefix.rglob("*") if not path.is_dir()]

    other = prefix / "bin" / "rawlab"
    other.write_text("another's program")
    assert "is not from scripts/install" in run(script, "--prefix", str(prefix), "--uninstall").stderr
    assert other.exists()
    assert "--prefix wants an absolute path" in run(script, "--prefix", "here").stderr
    assert "usage: scripts/install" in run(script, "--help").stderr
