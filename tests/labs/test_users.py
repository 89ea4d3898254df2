"""Who may run a lab, and where: an ordinary user; root on loopback."""

from __future__ import annotations

import pytest

from rawlab.model.facts import IcmpMessage
from tests.labs import ladder
from tests.labs.runs import IPV6, LOOPBACK, NAMES, Run, Runs, parameters, repetitions

FEW = IPV6 if repetitions() > 1 else ["tcp-echo", "udp-echo", "raw-ping"]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("run", [*parameters(NAMES, user=True), *parameters(FEW, user=True, ipv6=True)], indirect=True)
def test_an_ordinary_user_sees_the_same(run: Run, all_runs: Runs) -> None:
    """No lab needs root: in a user namespace of its own it shows what it shows root."""
    differences = ladder.of_run(run, all_runs)
    assert not differences, f"{run.wanted}\n{differences}"


@pytest.mark.parametrize("run", parameters(LOOPBACK, loopback=True), indirect=True)
def test_a_lab_runs_on_loopback(run: Run) -> None:
    """Among all else that loopback carries; each packet but others' ICMP has its cause there, too."""
    story = run.succeeded().story
    assert story.calls
    pings = any("IPPROTO_ICMP" in str(told.call.args) for told in story.calls)
    mine = [packet for packet in story.packets if pings or not isinstance(packet.facts.transport, IcmpMessage)]
    assert [packet.n for packet in mine if packet.cause.kind == "unknown"] == []
