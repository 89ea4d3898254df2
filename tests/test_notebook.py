"""A story in a notebook: it shows itself as its ladder, and the notebook in scripts/ runs from first cell to last."""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from rawlab import api
from rawlab.views import svg
from tests.views.stories import HOSTILE, hostile

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "scripts" / "lecture.ipynb"


def shown(html: str) -> str:
    """The picture within."""
    found = re.fullmatch(r'<img alt="([^"]*)" style="[^"]*" src="data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)">', html)
    assert found
    return base64.b64decode(found[2]).decode()


def test_a_story_shows_itself_as_its_ladder() -> None:
    """As a picture within the page, which fetches nothing and whose style touches nothing else."""
    story = api.load(ROOT / "captures" / "tcp-echo.pcapng")
    assert story._repr_svg_() == svg.render(story)
    assert shown(story._repr_html_()) == svg.render(story)
    assert repr(story).startswith("<Story of tcp-echo: 14 calls, 12 packets")


@pytest.mark.parametrize("word", HOSTILE)
def test_nothing_of_a_capture_becomes_markup(word: str) -> None:
    """Neither in the picture nor beside it."""
    told = hostile(word)
    story = api.Story(timeline=told.timeline, calls=told.calls, packets=told.packets)
    ET.fromstring(shown(story._repr_html_()))


def run(source: str, names: dict[str, Any]) -> object:
    """A cell, as Jupyter runs it: what its last line is."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None


def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cell, in its folder; the first shows the ladder, accept sends nothing, and SYN's options are explained."""
    monkeypatch.chdir(NOTEBOOK.parent)
    book = json.loads(NOTEBOOK.read_text())
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    cells = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in book["cells"])
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        values = [run(source, names) for source in cells]
    assert isinstance(values[0], api.Story)
    assert shown(values[0]._repr_html_()).startswith("<svg")
    (sent, why) = values[2] if isinstance(values[2], tuple) else ((None,), "")
    assert sent == ()
    assert "nothing is sent" in why
    assert "mss 1460: it takes up to 1460 octets a segment" in printed.getvalue()
