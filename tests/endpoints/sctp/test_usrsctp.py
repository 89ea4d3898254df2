"""Our endpoint against usrsctp over raw IP, each on a host of its own, in both roles; tshark reads what we sent.

The runs are processes of their own (`interop`, which runs `usrsctp`), since making hosts moves a process elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.endpoints.sctp import usrsctp

ROOT = Path(__file__).parents[3]
SEND, TAKE = 73_050_542, 73_050_542


@pytest.fixture(autouse=True, scope="module")
def _needs() -> None:
    if os.geteuid():
        pytest.skip("needs root, for raw sockets and network namespaces")
    try:
        usrsctp.library()
    except OSError:
        pytest.skip(f"needs {usrsctp.LIBRARY}: sudo apt-get install -y --no-install-recommends libusrsctp2")


def run(role: str, count: int, *more: str) -> dict[str, Any]:
    """What both saw; `role` is ours."""
    command = [sys.executable, "-m", "tests.endpoints.sctp.interop", role, "--count", str(count), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.timeout(240)
def test_a_thousand_associations_that_usrsctp_begins() -> None:
    """We serve: each message comes back as it was, each end is graceful at both."""
    told = run("serve", 1000)
    assert told["ours"] == {"ended": 1000, "others": []}
    assert told["theirs"] == {"wrong": 0}


@pytest.mark.timeout(240)
def test_a_thousand_associations_that_we_begin() -> None:
    """usrsctp serves: the same."""
    told = run("ask", 1000)
    assert told["ours"] == {"good": 1000, "ended": 1000}
    assert told["theirs"] == {"messages": 1000}


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("role", ["serve", "ask"])
def test_associations_over_a_bad_wire(role: str) -> None:
    """5 % of all packets lost, doubled, late: those of the beginning and the end, too; every message comes back.

    An end may be ECONNRESET once in a while: SHUTDOWN COMPLETE was lost, and then a late SACK of ours met nobody.
    """
    told = run(role, 60, "--share", "0.05")
    resets = told["ours"].get("others", [])
    assert told["ours"]["ended"] + len(resets) == 60
    assert len(resets) <= 3
    assert set(resets) <= {"ECONNRESET"}
    assert told["theirs"] == ({"wrong": 0} if role == "serve" else {"messages": 60})
    assert told["ours"].get("good", 60) == 60


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("role", ["send", "take"])
def test_ten_thousand_messages_over_a_bad_wire(role: str) -> None:
    """1 octet to 200 KB on 8 streams, 5 % of the packets lost, doubled, late: every octet, in order."""
    told = run(role, 10_000, "--share", "0.05")
    sender, receiver = ("ours", "theirs") if role == "send" else ("theirs", "ours")
    assert told[receiver]["wrong"] == 0
    assert told[receiver]["messages"] == 10_000
    assert told[receiver]["octets"] == told[sender]["octets"] > 50_000_000
    assert told[sender]["ended"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("role", "count", "share"), [("send", 300, 0.05), ("take", 300, 0.05), ("ask", 50, 0.0)])
def test_tshark_finds_nothing_wrong_with_what_we_send(tmp_path: Path, role: str, count: int, share: float) -> None:
    """No malformed chunk, no bad checksum, in any packet of ours."""
    for tool in ("tshark", "tcpdump"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}: sudo apt-get install -y --no-install-recommends {tool}")
    file = tmp_path / "capture.pcap"
    run(role, count, "--share", str(share), "--capture", str(file))
    # TRUE, as tshark's manual has it, would leave checksums unverified in some of its versions.
    command = [
        "tshark", "-r", str(file), "-o", "sctp.checksum:CRC-32C", "-Y", "ip.src == 10.0.0.1", "-T", "fields",
        "-e", "sctp.checksum.status", "-e", "_ws.malformed", "-e", "_ws.expert.message",
    ]  # fmt: skip
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(rows) > count // 2
    assert {row.split("\t")[0] for row in rows} == {"1"}, "1: good"
    assert {row.split("\t")[1] for row in rows} == {""}
    told = {row.split("\t")[2] for row in rows}
    assert not [one for one in told if "alform" in one or "checksum" in one.lower()]
