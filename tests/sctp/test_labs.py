"""The same labs on a kernel's SCTP: the ladders that hold our own endpoint's runs (tests/labs) hold the kernel's."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from rawlab import labs
from rawlab.api import Story, load
from rawlab.model.states import SctpState
from tests.labs import ladder
from tests.sctp.conftest import Inside

LADDERS = Path(__file__).parent.parent / "labs" / "ladders"
LABS = [name for name in labs.NAMES if name.startswith("sctp-")]
# There the kernel's server goes on to acknowledge by the path that is cut, and its client to send again, for a while.
ITS_OWN_WAY = "sctp-multihome"


@pytest.fixture(scope="module")
def kernels(inside: Inside, outputs: Path) -> Path:
    """Captures on a kernel's SCTP: each lab between two hosts, and one on loopback."""
    folder = shlex.quote(str(outputs))
    captures = [f"capture {lab} -o {folder}/{lab}.pcapng" for lab in LABS]
    captures.append(f"capture sctp-echo --lo -o {folder}/lo.pcapng")
    commands = [f"{sys.executable} -m rawlab {one} --stack kernel --format json >/dev/null" for one in captures]
    done = inside(" && ".join(commands), seconds=300)
    assert done.returncode == 0, done.stderr
    return outputs


def told(path: Path) -> Story:
    """The capture's story, whose SCTP is the kernel's."""
    story = load(path)
    assert story.timeline.damaged_at is None
    assert story.timeline.run.stack == "kernel"
    assert not story.endpoint_calls
    return story


@pytest.mark.timeout(400)
@pytest.mark.parametrize("lab", [lab for lab in LABS if lab != ITS_OWN_WAY])
def test_a_lab_tells_the_same_story_on_a_kernel_s_sctp(kernels: Path, lab: str) -> None:
    """Calls, chunks, causes, waits and states are the ladder's; no cause is unknown."""
    story = told(kernels / f"{lab}.pcapng")
    differences = ladder.differences((LADDERS / f"{lab}.ladder").read_text(), story)
    assert not differences, f"{lab}\n{differences}"
    assert [packet.n for packet in story.packets if packet.cause.kind == "unknown"] == []


@pytest.mark.timeout(400)
def test_a_kernel_fails_over_to_the_second_path(kernels: Path) -> None:
    """What was sent by the path that is cut comes by the other; the last message goes there at once."""
    story = told(kernels / f"{ITS_OWN_WAY}.pcapng")
    reads = [call for call in story.calls if call.call.name == "read" and call.call.result]
    ways = [{_way(story, n) for n in read.waited_for} for read in reads]
    assert ways == [{"10.0.0.2"}, {"10.0.1.2"}, {"10.0.1.2"}]


def _way(story: Story, n: int) -> str:
    ip = story.packets[n - 1].facts.ip
    assert ip is not None
    return ip.destination


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", [*LABS, "lo"])
def test_the_states_told_are_the_kernel_s_own(kernels: Path, name: str) -> None:
    """SCTP_STATUS, asked for after a call, says what the packets say; while these move it, it may be ahead."""
    story = told(kernels / f"{name}.pcapng")
    states = {str(state) for state in SctpState}
    wrong = []
    for each in story.calls:
        call = each.call
        if call.state not in states or call.state_ns is None or call.returned_ns is None:
            continue
        moving = [p for p in story.packets if call.returned_ns - 10**7 <= p.at_ns <= call.state_ns + 10**7]
        ours = dict(each.states_after).get(call.host)
        if ours is not None and ours != call.state and not moving:
            wrong.append((each.n, call.name, ours, call.state))
    assert not wrong
