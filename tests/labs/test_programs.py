"""How a lab reads: short, one call a line, with words on what it shows."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module

import pytest

from rawlab import labs


def source(name: str) -> str:
    """The lab's program text."""
    return inspect.getsource(import_module(f"rawlab.labs.{name.replace('-', '_')}"))


@pytest.mark.parametrize("name", labs.NAMES)
def test_a_lab_is_read_on_one_screen(name: str) -> None:
    """At most 40 lines."""
    assert len(source(name).splitlines()) <= 40


@pytest.mark.parametrize("name", labs.NAMES)
def test_a_lab_says_what_it_shows_and_what_to_look_at(name: str) -> None:
    """Its docstring is two sentences or more."""
    lab = labs.lab(name)
    assert lab.shows.endswith(".")
    assert lab.look_at.endswith(".")
    assert len(lab.look_at.split()) > 4


@pytest.mark.parametrize("name", labs.NAMES)
def test_a_lab_makes_one_call_a_line(name: str) -> None:
    """But for a call whose result another takes at once: c.write(fd, c.read(fd, 9)); nothing is caught or checked."""
    calls: dict[int, list[ast.Call]] = {}
    for node in ast.walk(tree := ast.parse(source(name))):
        if isinstance(node, ast.Call) and isinstance(on := node.func, ast.Attribute) and ast.unparse(on.value) == "c":
            calls.setdefault(node.lineno, []).append(node)
    for line, found in calls.items():
        nested = [inner for inner in ast.walk(found[0]) if inner in found]
        assert nested == found, f"line {line}: {len(found)} calls"
    assert not any(isinstance(node, ast.Try | ast.Raise | ast.Assert) for node in ast.walk(tree))
