"""`rawlab check`: a folder of submissions becomes a table; what is damaged is told in a line, the rest is graded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rawlab.api import load
from rawlab.views import quiz
from rawlab.views.page.markup import lines

CAPTURE = Path(__file__).resolve().parents[1] / "captures" / "tcp-echo.pcapng"


def rawlab(*words: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`rawlab WORDS`, a process of its own: it gives up privileges."""
    command = [sys.executable, "-P", "-m", "rawlab", *map(str, words)]
    mine = {key: value for key, value in os.environ.items() if not key.startswith("SUDO_")}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=folder, env=mine)


def submit(folder: Path, called: str, **changes: Any) -> Path:
    """A file of answers, all right but for the changes."""
    story = load(CAPTURE)
    asked = quiz.questions(story, lines(story), quiz.KINDS, 7)
    whole = {
        "rawlab quiz": 1,
        "capture": quiz.fingerprint(story),
        "hide": list(quiz.KINDS),
        "seed": 7,
        "rows": None,
        "name": called,
        "attempt": 1,
        "answers": {one.id: one.answers[0] for one in asked},
    }
    path = folder / f"{called or 'nameless'}.json"
    path.write_text(json.dumps(whole | changes))
    return path


def table(text: str) -> dict[str, list[str]]:
    """The cells of tsv tables, by the first."""
    cells = [[cell.strip() for cell in line.split("\t")] for line in text.splitlines() if line]
    return {row[0]: row[1:] for row in cells}


def test_a_folder_becomes_a_table(tmp_path: Path) -> None:
    """Right, wrong and missing answers counted, for each student and each question."""
    asked = next(iter(json.loads(submit(tmp_path, "Ada").read_text())["answers"]))
    submit(tmp_path, "Bob", answers={asked: "99"}, attempt=3)
    submit(tmp_path, "", answers={})
    done = rawlab("check", tmp_path, CAPTURE, "--format", "tsv")
    assert (done.returncode, done.stderr) == (0, "")
    told = table(done.stdout)
    of = told["Ada"][4]
    assert told["Ada"][:5] == ["1", of, "0", "0", of]
    assert told["Bob"][0] == "3"
    assert told["Bob"][1:4] == ["0", "1", str(int(of) - 1)]
    assert told["nameless"][3] == of
    assert told["Ada"][-1] == "–"
    assert asked in told["Bob"][-1]
    assert told[asked][:3] == ["1", "1", "1"]


def test_damaged_answers_are_told_and_the_others_graded(tmp_path: Path) -> None:
    """One line each, on standard error, and an exit code that says so."""
    submit(tmp_path, "Ada")
    (tmp_path / "broken.json").write_text('{"rawlab quiz": 1')
    submit(tmp_path, "Eve", capture="0" * 16)
    missing = tmp_path / "missing.json"
    done = rawlab("check", tmp_path, missing, CAPTURE)
    assert done.returncode == 4
    assert "Ada" in done.stdout
    assert len(done.stderr.splitlines()) == 3
    for name in ("broken.json", "Eve.json", "missing.json"):
        assert name in done.stderr


def test_a_hostile_name_is_a_word(tmp_path: Path) -> None:
    """No escape reaches the terminal, no cell of a sheet begins a formula."""
    submit(tmp_path, "x", name="\x1b[31m=1+1")
    submit(tmp_path, "y", name="=cmd()")
    for kind in ("simple", "tsv", "html"):
        done = rawlab("check", tmp_path, CAPTURE, "--format", kind)
        assert done.returncode == 0
        assert "\x1b" not in done.stdout
        assert kind != "tsv" or "'=cmd()" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{folder}", "{capture}"], "no .json file in this folder"),
        (["{capture}", "{folder}/none.pcapng"], "No such file"),
        (["{capture}", "{capture}", "--format", "nonsense"], "no such format"),
    ],
)
def test_what_can_t_be_graded_is_told_in_a_line(tmp_path: Path, words: list[str], told: str) -> None:
    """What, and what to do."""
    done = rawlab("check", *(word.format(folder=tmp_path, capture=CAPTURE) for word in words))
    assert done.returncode
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_page_and_a_quiz_are_made(tmp_path: Path) -> None:
    """By their ending; --hide makes it a quiz."""
    made = tmp_path / "x.html"
    assert rawlab("annotate", CAPTURE, "-o", made).returncode == 0
    assert 'id="ladder"' in made.read_text()
    assert rawlab("annotate", CAPTURE, "-o", made, "--force", "--hide", "seq", "--seed", "3").returncode == 0
    assert 'class="quiz"' in made.read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-o", "x.html", "--hide", "all"], "seq,ack,state,cause"),
        (["-o", "x.html", "--seed", "-1"], "--seed"),
        (["-o", "x.svg", "--hide", "seq"], "--hide"),
    ],
)
def test_quiz_options_that_are_off_are_told(tmp_path: Path, words: list[str], told: str) -> None:
    """In one line, exit code 2, nothing written."""
    done = rawlab("annotate", CAPTURE, *words, folder=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
