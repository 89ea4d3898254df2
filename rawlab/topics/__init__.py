"""What each call, flag and notion is, in short: one text a topic, beside this file."""

from __future__ import annotations

import difflib
import re
from functools import cache
from importlib.resources import files

_FILES = {entry.name.removesuffix(".txt"): entry for entry in files(__name__).iterdir() if entry.name.endswith(".txt")}
NAMES = tuple(sorted(_FILES, key=str.lower))
_STATES = "states"
_STATE = re.compile(r"^([A-Z][A-Z0-9-]+(?: [A-Z]+)?) {2,}", re.MULTILINE)


@cache
def topic(name: str) -> str:
    """The text of that topic. Raises KeyError."""
    return _FILES[name].read_text(encoding="utf-8")


def find(word: str) -> str | None:
    """The topic that a word leads to, in capitals or not: its name, for `states` also each state's; LISTEN is one."""
    known = _known()
    return known.get(word, known.get(word.lower()))


def near(word: str) -> list[str]:
    """The topics whose words are nearest; none where none is near."""
    found = difflib.get_close_matches(word.lower(), _known(), 3, 0.6)
    return list(dict.fromkeys(_known()[one] for one in found))


@cache
def _known() -> dict[str, str]:
    states = _STATE.findall(topic(_STATES))
    names = {name.lower(): name for name in NAMES}
    return dict.fromkeys(states, _STATES) | dict.fromkeys(map(str.lower, states), _STATES) | names
