"""Labs that run, found among the processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlab.live.labs_running import RunningLab, labs_running
from tests.live import runs


def lab(words: str) -> RunningLab:
    return RunningLab(pid=1, stage=2, words=words, user=0)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("capture tcp-echo -o a.pcapng", "tcp-echo"),
        ("craft IP() --against udp-echo", "udp-echo"),
        ("craft IP() --against=udp-echo", "udp-echo"),
        ("craft IP()", None),
        ("capture.py", None),
    ],
)
def test_what_a_lab_is_is_read_from_its_words(words: str, name: str | None) -> None:
    """None where they do not say it: a program that imports rawlab, or packets made by hand."""
    found = lab(words).lab
    assert (found.name if found else None) == name


def test_interfaces_stand_in_pairs() -> None:
    """Each two in order are the ends of one link."""
    assert lab("craft IP()").interfaces == ["client", "server"]
    assert lab("capture sctp-multihome").interfaces == ["client", "server", "client2", "server2"]


def test_a_lab_that_runs_is_found_and_no_other(folder: Path) -> None:
    """By rawlab's pid, with what it was asked; gone when it has ended."""
    runs.need_networks()
    words = ("craft", 'IP()/UDP(dport=9)/"x"', "--count", "1000", "--rate", "20")
    started = runs.start(*words, folder=folder, silent=True)
    started.named("client")
    (found,) = [lab for lab in labs_running() if lab.pid == started.process.pid]
    assert found.words == " ".join(words)
    assert started.named("stage") == found.stage
    started.kill()
    assert not runs.leftovers(started.mark)
    assert started.process.pid not in [lab.pid for lab in labs_running()]
