"""The rooms of rawlab and what each may import, held to the code: every import of every file is looked at,
also those inside functions and under TYPE_CHECKING. Then a few lints that no tool has.

ROOMS is the table. Where building shows a better cut, change the code and this table together, and say why
in the commit.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "rawlab"

# The kernel, files, the clock, chance, other processes; and importlib, which hides an import from this test.
IMPURE = (
    "asyncio ctypes fcntl glob http importlib mmap multiprocessing os pathlib pty random resource secrets "
    "select selectors shutil signal socket socketserver ssl subprocess tempfile termios threading time tty "
    "urllib uuid"
)


@dataclass(frozen=True, kw_only=True)
class Room:
    """What the files of one room may import."""

    rawlab: str = ""
    "prefixes of modules, after `rawlab.`; a room may always import itself"
    pypi: str = ""
    "from PyPI"
    stdlib: str | None = None
    "None: all of the standard library but IMPURE"
    impure: bool = False
    "IMPURE as well"
    lazy: bool = False
    "rawlab's modules inside functions only, or under TYPE_CHECKING"


ALL = "__version__ topics api attribution columns endpoints errors labs live model store views wire"

ROOMS = {
    "errors": Room(),
    "model": Room(),
    "labs": Room(
        rawlab="model.address model.calls model.constants model.faults model.lab model.sctp",
        stdlib="__future__",
    ),
    "wire": Room(rawlab="model errors"),
    "attribution": Room(rawlab="model"),
    "endpoints": Room(rawlab="model wire errors"),
    "views": Room(rawlab="__version__ topics model wire errors", pypi="tabulate wcwidth"),  # topics: words
    "live": Room(rawlab="__version__ model wire endpoints labs errors", pypi="numpy pyroute2", impure=True),
    "store": Room(rawlab="__version__ model wire errors", impure=True),
    "api": Room(rawlab=ALL, impure=True),
    "topics": Room(),
    "arguments": Room(rawlab="__version__ errors"),
    "columns": Room(rawlab="attribution model wire errors", pypi="numpy"),  # a capture of any size, as columns
    "commands": Room(rawlab=ALL, pypi="shtab tabulate", impure=True),
    "cli": Room(rawlab=f"arguments commands {ALL}", pypi="tabulate wcwidth", impure=True),
    "__main__": Room(rawlab="cli", impure=True),
    "__init__": Room(rawlab="api", stdlib="__future__ typing", lazy=True),
}

# One file's leave to import what its room may not.
LEAVE = {
    "labs/__init__.py": "importlib",
    "views/__init__.py": "importlib",
    "views/page/__init__.py": "importlib",  # its style and scripts, files beside it
    "topics/__init__.py": "importlib",
    "store/unpacking.py": "zstandard",
    "views/picture.py": "typst",
    "wire/checks.py": "crc32c",
    "wire/craft.py": "scapy",
    "wire/fields.py": "scapy",
    "wire/sctp.py": "crc32c",
    "wire/sctp_build.py": "crc32c",
    "wire/template.py": "numpy",
    "live/supersocket.py": "scapy",
    "columns/export_parquet.py": "pyarrow",
}


@dataclass(frozen=True)
class Import:
    """One imported module, by its full name, and where."""

    module: str
    line: int
    lazy: bool


@dataclass
class Walk(ast.NodeVisitor):
    """Collects a file's imports, relative ones resolved, `from a import b` as a.b where b is a module."""

    package: Path
    file: Path
    found: list[Import] = field(default_factory=list)
    lazy: bool = False

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [Import(alias.name, node.lineno, self.lazy) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = (node.module or "").split(".") if node.module else []
        if node.level:
            here = [self.package.name, *self.file.relative_to(self.package).parent.parts]
            base = here[: len(here) - node.level + 1] + base
        for alias in node.names:
            full = [*base, alias.name]
            module = full if self.is_module(full) or base == [self.package.name] else base
            self.found.append(Import(".".join(module), node.lineno, self.lazy))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.If) -> None:
        outer, self.lazy = self.lazy, True
        self.generic_visit(node)
        self.lazy = outer

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self.visit_FunctionDef(node)
        else:
            self.generic_visit(node)

    def is_module(self, names: list[str]) -> bool:
        path = self.package.parent.joinpath(*names)
        return names[0] == self.package.name and (path.is_dir() or path.with_suffix(".py").is_file())


def imports(package: Path, file: Path) -> list[Import]:
    """Every import of one file of a package."""
    walk = Walk(package, file)
    walk.visit(ast.parse(file.read_text(), filename=str(file)))
    return walk.found


def under(module: str, prefixes: str) -> bool:
    """Whether a dotted name is one of the prefixes, or below one."""
    return any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes.split())


def objection(room: str, table: Room, leave: str, it: Import) -> str | None:
    """Why this import is against the table, or None."""
    top, _, inside = it.module.partition(".")
    if under(it.module, leave) or top == "_typeshed":
        return None
    if top == "rawlab":
        allowed = f"{room} {table.rawlab}"
        if not under(inside, allowed):
            return f"of rawlab, {room} may import only {listed(allowed)}"
        if table.lazy and not it.lazy:
            return f"{room} imports rawlab's modules inside functions only, so that `import rawlab` is quick"
        return None
    if top not in sys.stdlib_module_names:
        if under(top, table.pypi):
            return None
        return f"of PyPI's packages, {room} may import {listed(table.pypi) or 'none'}"
    if table.stdlib is not None and not under(top, table.stdlib):
        return f"of the standard library, {room} may import only {listed(table.stdlib)}"
    if table.stdlib is None and under(top, IMPURE) and not table.impure:
        pure = listed(" ".join(name for name in ROOMS if ROOMS[name].impure))
        return f"{room} is pure: the kernel, files, the clock and processes belong to {pure}"
    return None


def listed(words: str) -> str:
    """`a b c` as a sentence has it: a, b and c."""
    *most, last = words.split() or [""]
    return f"{', '.join(most)} and {last}" if most else last


def offences(package: Path) -> Iterator[str]:
    """A sentence for each import that breaks the table."""
    for file in sorted(package.rglob("*.py")):
        name = file.relative_to(package).as_posix()
        room = name.split("/")[0].removesuffix(".py")
        if room not in ROOMS:
            yield f"rawlab/{name} stands in no room: give {room!r} a line in ROOMS, or move it."
            continue
        for it in imports(package, file):
            if why := objection(room, ROOMS[room], LEAVE.get(name, ""), it):
                yield f"rawlab/{name} imports {it.module} (line {it.line}), but {why}."


def test_every_import_is_in_the_table() -> None:
    """No file of rawlab imports what its room may not."""
    broken = list(offences(PACKAGE))
    assert not broken, "\n" + "\n".join(broken)


KERNEL = "is pure: the kernel, files, the clock and processes belong to live, store, api, commands, cli and __main__."


@pytest.mark.parametrize(
    ("name", "code", "sentence"),
    [
        ("wire/ip.py", "import socket", f"imports socket (line 1), but wire {KERNEL}"),
        ("model/a.py", "from time import monotonic_ns", f"imports time (line 1), but model {KERNEL}"),
        ("attribution/tcp.py", "def f():\n    import os.path", f"os.path (line 2), but attribution {KERNEL}"),
        ("views/a.py", "if TYPE_CHECKING:\n    import ctypes", f"ctypes (line 2), but views {KERNEL}"),
        ("wire/a.py", "import importlib", f"imports importlib (line 1), but wire {KERNEL}"),
        ("wire/a.py", "from ..live import ring", "imports rawlab.live.ring (line 1), but of rawlab, wire"),
        ("wire/a.py", "from rawlab import live", "imports rawlab.live (line 1), but of rawlab, wire may"),
        ("views/a.py", "import rawlab.live.ring as r", "rawlab, views may import only views, __version__,"),
        ("attribution/a.py", "from rawlab.wire import ip", "may import only attribution and model."),
        ("store.py", "from rawlab.live import ring", "rawlab, store may import only store, __version__,"),
        ("errors.py", "import rawlab.model.event", "of rawlab, errors may import only errors."),
        ("live/a.py", "import rawlab.cli", "imports rawlab.cli (line 1), but of rawlab, live may"),
        ("labs/a.py", "import struct", "of the standard library, labs may import only __future__."),
        ("labs/a.py", "import rawlab.model.event", "rawlab.model.event (line 1), but of rawlab, labs"),
        ("wire/a.py", "import scapy.all", "of PyPI's packages, wire may import none."),
        ("live/a.py", "from scapy import all", "of PyPI's packages, live may import numpy and pyroute2."),
        ("__init__.py", "from rawlab import api", "__init__ imports rawlab's modules inside functions only"),
        ("wire/a.py", "from rawlab import __version__", "imports rawlab.__version__ (line 1), but of rawlab"),
        ("__init__.py", "def f():\n    import rawlab.live", "__init__ may import only __init__ and api."),
        ("utils/a.py", "", "rawlab/utils/a.py stands in no room: give 'utils' a line in ROOMS, or move it."),
    ],
)
def test_an_import_against_the_table_is_told_in_a_sentence(
    tmp_path: Path, name: str, code: str, sentence: str
) -> None:
    """The sentence names the file, what it imports, the line, and the law."""
    (told,) = offences(tree(tmp_path, {name: code}))
    assert told.startswith(f"rawlab/{name} ")
    assert sentence in told


def test_the_imports_that_the_table_allows_are_not_told(tmp_path: Path) -> None:
    """Scapy in wire/fields.py, sockets in live, rawlab.api inside __init__'s functions."""
    allowed = {
        "wire/fields.py": "import scapy.packet\nfrom . import ip\nfrom ..errors import FormatError",
        "live/ring.py": "import socket, ctypes, numpy\nfrom rawlab.wire import ip\nimport rawlab.labs",
        "labs/__init__.py": "from importlib import import_module\nfrom rawlab.model.lab import Lab",
        "__init__.py": "from typing import Any\ndef __getattr__(name):\n    from rawlab import api",
    }
    assert list(offences(tree(tmp_path, allowed))) == []


def tree(folder: Path, files: dict[str, str]) -> Path:
    """A package `rawlab` of the given files, beside two that others import."""
    for name, code in ({"wire/ip.py": "", "live/ring.py": "", "api.py": ""} | files).items():
        path = folder / "rawlab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    return folder / "rawlab"


def test_every_module_has_a_docstring() -> None:
    """It says what lives there, how it works, and what doesn't belong."""
    modules = [file for file in sorted(PACKAGE.rglob("*.py")) if file.stat().st_size]
    mute = [file.relative_to(ROOT) for file in modules if not ast.get_docstring(ast.parse(file.read_text()))]
    assert not mute, f"These modules don't say what lives in them: {listed(' '.join(map(str, mute)))}."


@pytest.mark.parametrize(("pattern", "most"), [("labs/[a-z]*_*.py", 40), ("**/*.py", 400)])
def test_no_file_is_too_long(pattern: str, most: int) -> None:
    """A lab is read on one screen; a module has one subject."""
    lengths = {file.relative_to(ROOT): len(file.read_text().splitlines()) for file in PACKAGE.glob(pattern)}
    long = [f"{name} has {n} lines, {most} at the most." for name, n in lengths.items() if n > most]
    assert not long, "\n" + "\n".join(sorted(long))


# Spelt in pieces, for this file is one of those looked at.
FOREIGN = {
    "a folder of one developer's machine": ["/" + "work/", "/" + "root/"],
    "a package registry": [".".join(host) for host in (("pypi", "org"), ("pythonhosted", "org"))],
}


def test_no_file_names_one_machine_or_a_registry() -> None:
    """What is in the repository means the same on every machine; where packages come from is pip's affair."""
    if not (shutil.which("git") and (ROOT / ".git").exists()):
        pytest.skip("needs git and a clone, to know which files are the repository's")
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT)]
    listing = [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, check=True, capture_output=True).stdout.decode().split("\0")
    told = [
        f"{name} names {what}: {word}"
        for name in names
        if (file := ROOT / name).is_file()
        for what, words in FOREIGN.items()
        for word in words
        if word.encode() in file.read_bytes()
    ]
    assert not told, "\n" + "\n".join(told)
