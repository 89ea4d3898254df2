"""`rawlab replay` row by row: the same rows as at once, at the pace that was asked for, or one a key."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.terminal import heard

ROOT = Path(__file__).parents[1]
PLAIN = os.environ | {"NO_COLOR": "1"}
REPLAY = [sys.executable, "-P", "-m", "rawlab", "replay", "captures/tcp-echo.pcapng", "--width", "150"]


def said(*words: str) -> subprocess.CompletedProcess[str]:
    """What `rawlab replay` with these words says."""
    return subprocess.run([*REPLAY, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("pace", [["--live"], ["--speed", "10"], ["--over", "0.2s"]])
def test_the_rows_are_those_of_the_table(pace: list[str]) -> None:
    """Whatever the pace."""
    assert said(*pace).stdout == said("--table", "timeline").stdout != ""


def test_no_row_comes_before_its_time() -> None:
    """The last row of a run spread over a second comes a second after the first, or later."""
    with subprocess.Popen([*REPLAY, "--over", "1"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as told:
        assert told.stdout is not None
        times = {line[:3].strip(): time.monotonic() for line in told.stdout}
    assert times["c14"] - times["c1"] > 0.8


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--step"], "--step waits for keys: run it in a terminal"),
        (["--speed", "2", "--over", "3"], "one of them at a time"),
        (["--speed", "0"], "a number above 0"),
        (["--over", "-1"], "seconds above 0"),
        (["--live", "--format", "json"], "leave --format"),
    ],
)
def test_what_does_not_go_together_is_said_in_a_line(words: list[str], what: str) -> None:
    """Nothing is printed but that line."""
    done = said(*words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert what in done.stderr


def test_a_key_brings_a_row() -> None:
    """The first row comes by itself, each key brings one more, q ends it; the terminal is left as it was."""
    ours, theirs = pty.openpty()
    told = subprocess.Popen([*REPLAY, "--step"], cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=PLAIN)
    os.close(theirs)
    try:
        assert heard(ours, "c1 ", "q: the end").count("c2 ") == 0
        os.write(ours, b" ")
        assert heard(ours, "c2 ").count("c3 ") == 0
        os.write(ours, b"n")
        heard(ours, "c3 ")
        os.write(ours, b"q")
        assert told.wait(30) == 0
    finally:
        told.kill()
        told.wait()
        os.close(ours)
