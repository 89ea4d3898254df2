"""How a command gives up every privilege: first what it may still need of Python is read, then `live.privilege` drops.

Python imports a module when it is first asked for. Where root's Python or rawlab lies in a folder that the user may
not enter, as /root, that would be too late: there, and there only, all of rawlab is imported before.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import stat
import sys
from pathlib import Path

from rawlab.live import privilege

LATE = (
    *("base64", "difflib", "encodings.idna", "fcntl", "html", "importlib.readers", "ipaddress", "json"),
    *("numpy", "select", "shlex", "shtab", "shutil", "socket", "subprocess", "tabulate", "tempfile", "termios"),
    *("traceback", "tty", "wcwidth", "zstandard"),
)
"What functions of rawlab, and of what it uses, import themselves"

OPTIONAL = ("pyarrow", "pyarrow.compute", "pyarrow.parquet")
"The same, where they are there"

_PACKAGE = Path(__file__).parents[1]


def give_up(folder: str | os.PathLike[str] = ".") -> None:
    """Becomes the user who asked, as `privilege.drop`, with all at hand that rawlab is made of. Raises OSError."""
    if os.geteuid() == 0:
        uid, gid = privilege.asked(folder)
        places = [Path(place) for place in (*sys.path, str(_PACKAGE)) if os.path.isdir(place)]
        if uid and not all(_is_open(place, uid, gid) for place in places):
            _read_all()
    privilege.drop(folder)


def _is_open(folder: Path, uid: int, gid: int) -> bool:
    """Whether that user may read the folder, and enter all above it; of access by further groups nothing is known."""
    wanted = stat.S_IROTH | stat.S_IXOTH
    for each in (folder.resolve(), *folder.resolve().parents):
        status = each.stat()
        shift = 6 if status.st_uid == uid else 3 if status.st_gid == gid else 0
        if status.st_mode >> shift & wanted != wanted:
            return False
        wanted = stat.S_IXOTH
    return True


def _read_all() -> None:
    from rawlab import topics
    from rawlab.views import page
    from rawlab.wire.fields import load_scapy

    load_scapy()
    modules = [file.relative_to(_PACKAGE.parent).with_suffix("") for file in _PACKAGE.rglob("[!_]*.py")]
    for name in (*LATE, *(".".join(module.parts) for module in modules)):
        importlib.import_module(name)
    for name in OPTIONAL:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for topic in topics.NAMES:
        topics.topic(topic)
    for file in Path(page.__file__).parent.iterdir():
        if file.suffix in (".css", ".html", ".js"):
            page.file(file.name)
