"""Root in a user's folder, rawlab where that user may not go: what a command needs is read before rights are gone."""

from __future__ import annotations

import ast
import os
import shlex
import shutil
from pathlib import Path

import pytest

import rawlab
from rawlab.commands.rights import LATE, OPTIONAL
from tests.live import runs

USER = 4242  # nobody's on this machine
PACKAGE = Path(rawlab.__file__).parent
ENDINGS = ("html", "pdf", "pkt")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "replay a.pcapng"),
        (0, "explain a.pcapng:p3"),
        (2, "explain a.pcapng:p9999"),
        *((0, f"annotate a.pcapng -o b.{ending}") for ending in ENDINGS),
        (0, "annotate a.pcapng -o b.html --hide seq"),
        (0, "export a.pcapng -o b.csv"),
        (0, "note a.pcapng p3 hello"),
        (0, "craft --show IP()/TCP()"),
        (2, "craft --show IP()/TPC()"),
        (0, "craft IP()/UDP(dport=7) -o b.pcapng --wait 0.1"),
        (0, "craft --flood IP()/UDP() --vary udp.sport=1024-1100 --count 20"),
        (0, "sniff -i lo --duration 0.3 -o b.pcapng"),
        (0, "capture udp-echo -o b.pcapng --ladder"),
    ],
)
def test_all_is_at_hand(folder: Path, code: int, words: str) -> None:
    """Whatever the command: it does its work, or says what is wrong with its words; no module is missed."""
    runs.need_root()
    folder.chmod(0o755)
    home = folder / "root"
    home.mkdir(mode=0o700)
    shutil.copytree(PACKAGE, home / "rawlab")
    mine = folder / "mine"
    mine.mkdir()
    shutil.copy(PACKAGE.parent / "captures" / "tcp-echo.pcapng", mine / "a.pcapng")
    for path in (mine, mine / "a.pcapng"):
        os.chown(path, USER, USER)
    done = runs.rawlab(*shlex.split(words), folder=mine, environment={"PYTHONPATH": str(home)})
    assert done.code == code, done
    assert "No module" not in done.err
    assert "rawlab's own" not in done.err


def test_what_functions_import() -> None:
    """No function imports a module of others that is not read early."""
    late = {*LATE, *OPTIONAL}
    for file in PACKAGE.rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef):
                late_here = {name for node in ast.walk(function) for name in imported(node)} - late
                assert not late_here, f"{file}: {function.name} imports {late_here}"


def imported(node: ast.AST) -> list[str]:
    """The modules that a statement imports, but for rawlab's, and those that come with what is read early."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return [
        name
        for name in names
        if name.partition(".")[0] not in ("rawlab", "scapy", "pyroute2") and name not in COMMON
    ]


COMMON = frozenset(("contextlib", "dataclasses", "pathlib", "signal"))
"what rawlab.commands.rights, or the command itself, has imported"


def test_one_way() -> None:
    """Commands give up their rights by `commands.rights` alone."""
    for file in (PACKAGE / "cli.py", *(PACKAGE / "commands").glob("*.py")):
        assert ("privilege.drop(" in file.read_text()) == (file.name == "rights.py"), file
