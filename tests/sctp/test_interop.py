"""Our endpoint against a kernel's SCTP, in both roles; RAWLAB_TEST_RUNS=1000 for the full numbers (some minutes)."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live import runs
from tests.sctp.conftest import Inside
from tests.sctp.wire import OURS

pytestmark = pytest.mark.timeout(3600)
RUNS = runs.repetitions(50)
"""So many associations, and three times as many messages; ten times with 1000 or more."""
COUNTS = {"associations": RUNS, "messages": RUNS * (10 if RUNS >= 1000 else 3)}
CASES = [(what, role) for what in COUNTS for role in ("client", "server")]


@pytest.fixture(scope="module")
def reports(inside: Inside, outputs: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What each run says of itself; all run in one kernel."""
    numbers = f"{COUNTS['associations']} {COUNTS['messages']} {runs.seed()}"
    words = f"{sys.executable} -m tests.sctp.interop {numbers} {shlex.quote(str(outputs))}"
    done = inside(words, seconds=100 if RUNS < 1000 else 3000)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    print(done.stdout)
    return {(one["what"], one["role"]): one for one in told}


@pytest.mark.parametrize("role", ["client", "server"])
def test_association_after_association(reports: dict[tuple[str, str], dict[str, Any]], role: str) -> None:
    """Each is set up, carries a message and its echo, and is shut down in good order by either side in turn."""
    report = reports["associations", role]
    assert report["wrong"] == []
    assert report["ended"] == COUNTS["associations"]


@pytest.mark.parametrize("role", ["client", "server"])
def test_messages_over_a_bad_wire(reports: dict[tuple[str, str], dict[str, Any]], role: str) -> None:
    """Of 1 octet to 200 KB over 8 streams: all come, once, in order where asked for, every octet right."""
    report = reports["messages", role]
    assert report["wrong"] == []
    assert report["ended"] == 1
    assert min(report["lost"], report["late"], report["doubled"]) > 0
    assert report["octets"] > COUNTS["messages"] * 1000


@pytest.mark.parametrize(("what", "role"), CASES)
def test_tshark_objects_to_nothing(
    reports: dict[tuple[str, str], dict[str, Any]], outputs: Path, what: str, role: str
) -> None:
    """No malformed chunk, no bad checksum, no expert's error in what we sent."""
    if shutil.which("tshark") is None:
        pytest.skip("not installed: tshark")
    file = outputs / f"{what}-{role}.pcap"
    options = ("-o", "sctp.checksum:CRC 32c", "-o", "sctp.ulp_dissection:FALSE")  # a port may be another protocol's
    ours = f"ip.src == {OURS}"
    bad = f"{ours} && (_ws.malformed || sctp.checksum.status != 1 || _ws.expert.severity >= 8388608)"
    assert runs.tshark(file, *options, "-Y", bad) == []
    assert len(runs.tshark(file, *options, "-Y", f"{ours} && sctp.checksum.status == 1")) > RUNS
