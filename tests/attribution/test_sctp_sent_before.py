"""A TSN that was sent before is found, as tshark finds it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rawlab import store
from rawlab.attribution.sctp_sent_before import SentBefore
from rawlab.model.sctp import SctpPacket
from rawlab.wire.decode import decode

CAPTURES = Path(__file__).parents[2] / "captures"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("name", ["echo-kernel", "messages", "multihome", "refused", "shutdown"])
def test_tsns_sent_before_are_tsharks_retransmissions(name: str) -> None:
    """The frames, and the frame that had each TSN first."""
    path = CAPTURES / f"sctp-{name}.pcapng"
    timeline, seen, found = store.load(path), SentBefore(), []
    for frame in sorted(timeline.frames, key=lambda frame: frame.number):
        facts = decode(frame.data, timeline.points[frame.point].linktype)
        if isinstance(facts.transport, SctpPacket):
            found += [(frame.number, first) for _, first in seen.see(frame.number, facts.transport)]
    fields = ["-T", "fields", "-e", "frame.number", "-e", "sctp.retransmission", "-E", "aggregator= "]
    run = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-Y", "sctp.retransmission", *fields],
        capture_output=True, text=True, check=False, timeout=60,
    )
    lines = [line.split("\t") for line in run.stdout.splitlines()]
    assert found == [(int(number), int(first)) for number, firsts in lines for first in firsts.split()]
    assert bool(found) == (name != "refused")
