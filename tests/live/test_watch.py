"""`rawlab capture --live`, and --interactive: rows while the run goes on, and messages typed into it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live import runs
from tests.terminal import heard

ROOT = Path(__file__).parents[2]


def labels(table: str) -> list[str]:
    """The rows' labels, in order."""
    first = [line.split(" ")[0] for line in table.splitlines()]
    return [word for word in first if word[:1] in ("c", "p") and word[1:].isdecimal()]


@pytest.mark.parametrize("lab", ["tcp-echo", "tcp-window", "udp-echo"])
def test_the_rows_shown_are_those_of_the_capture(folder: Path, lab: str) -> None:
    """Each packet once, in the saved timeline's order; each call with its return."""
    runs.need_networks()
    done = runs.rawlab("capture", lab, "--live", "--width", "150", folder=folder)
    assert done.code == 0, done.err
    shown = labels(done.out.partition("known only later:")[0])
    saved = labels(runs.rawlab("replay", f"{lab}.pcapng", "--table", "timeline", "--width", "150", folder=folder).out)
    assert [label for label in shown if label[0] == "p"] == [label for label in saved if label[0] == "p"] != []
    assert set(shown) == set(saved)


def test_a_row_is_shown_before_the_run_has_ended(folder: Path) -> None:
    """The SYN that nobody answers, while connect still waits for seconds."""
    runs.need_networks()
    started = runs.start("capture", "tcp-filtered", "--live", "--width", "150", folder=folder)
    assert started.process.stdout is not None
    text = ""
    while "sends SYN" not in text:
        line = started.process.stdout.readline()
        assert line, text
        text += line
    assert started.process.poll() is None
    done = started.wait()
    assert done.code == 0, done.err
    assert done.out.count("[S] seq 0") >= 2


def typed_into(lab: str, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """An interactive run of the lab, and where what it shows can be read."""
    reader, writer = os.pipe()
    words = [sys.executable, "-P", "-m", "rawlab", "capture", lab, "--interactive", "--width", "200"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE, stdout=writer, stderr=writer, env=environment)
    os.close(writer)
    return run, reader


@pytest.mark.parametrize("lab", ["tcp-echo", "udp-echo", "sctp-echo"])
def test_what_is_typed_is_sent_and_shown(folder: Path, lab: str) -> None:
    """Each line as it is typed: the first one's rows are there before the second is; the end of input ends the run."""
    runs.need_networks()
    run, shown = typed_into(lab, folder)
    assert run.stdin is not None
    try:
        heard(shown, "Enter data:")
        run.stdin.write(b"first words\n")
        run.stdin.flush()
        heard(shown, '"first words"')
        time.sleep(1)  # a lecturer takes time
        assert run.poll() is None
        run.stdin.write(b"\nlast words")
        run.stdin.close()
        heard(shown, "an empty line sends nothing", '"last words"', "the capture is in")
        assert run.wait(60) == 0
    finally:
        run.kill()
        run.wait()
        os.close(shown)


def test_a_pause_longer_than_any_patience_ends_nothing(folder: Path) -> None:
    """Who types may think for as long as it takes: neither is the run given up, nor is anything said."""
    runs.need_networks()
    run, shown = typed_into("tcp-echo", folder)
    assert run.stdin is not None
    try:
        heard(shown, "accept(3")
        time.sleep(7)
        assert run.poll() is None
        assert not select.select([shown], [], [], 0)[0] or b"waited" not in os.read(shown, 65536)
        run.stdin.close()
        heard(shown, "the capture is in")
        assert run.wait(60) == 0
    finally:
        run.kill()
        run.wait()
        os.close(shown)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["tcp-echo", "--live", "--format", "json"], "leave --format out"),
        (["tcp-echo", "--live", "-o", "-"], "name a file"),
        (["--all", "--live"], "goes with one lab"),
        (["tcp-echo", "--interactive", "--message", "x"], "leave --message"),
        (["tcp-reset", "--interactive"], "--interactive goes with tcp-echo, udp-echo, sctp-echo"),
    ],
)
def test_what_does_not_go_together_is_said_in_a_line(folder: Path, words: list[str], what: str) -> None:
    """And nothing is run."""
    done = runs.rawlab("capture", *words, folder=folder)
    assert done.code == 2
    assert what in done.says_one_line()
    assert list(folder.iterdir()) == []
