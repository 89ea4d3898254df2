"""What comes to an address that no kernel owns: which of it is answered, and which is passed over."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.live import runs

ADDRESS, OTHER = "0a00000b", "0a000002"


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    """For each frame what it brought."""
    runs.need_networks()
    command = [sys.executable, "-m", "tests.live.frames_to_own"]
    done = subprocess.run(command, cwd=runs.REPOSITORY, capture_output=True, text=True, timeout=runs.SECONDS)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_who_asks_is_answered(answers: dict[str, Any]) -> None:
    """By ARP (RFC 826), and by a neighbour advertisement with flags S and O (RFC 4861 section 7.2.4), to the asker."""
    (reply,) = answers["ARP request"]
    assert reply == f"08060001080006040002020000000111{ADDRESS}020000000002{OTHER}"
    (advertisement,) = answers["solicitation"]
    assert advertisement[16:20] == "3aff"  # ICMPv6, hop limit 255
    assert advertisement[84:86] == "88"
    assert advertisement[92:94] == "60"
    assert advertisement.endswith("0201020000000111")


def test_who_would_have_the_address_too_is_told(answers: dict[str, Any]) -> None:
    """Duplicate address detection: all nodes get an advertisement, with flag O alone."""
    (advertisement,) = answers["duplicate address detection"]
    assert advertisement[52:84] == "ff02" + 26 * "0" + "01"
    assert (advertisement[84:86], advertisement[92:94]) == ("88", "20")


@pytest.mark.parametrize(
    "name",
    [
        *("for another address", "ARP reply", "of another hardware", "cut ARP"),
        *("from another network", "cut solicitation"),
        *("segment for the kernel", "segment for another station", "cut segment", "header alone"),
    ],
)
def test_what_is_not_for_us_is_passed_over(answers: dict[str, Any], name: str) -> None:
    """Nothing is answered, nothing arrives, nothing breaks."""
    assert answers[name] == []


def test_a_segment_arrives(answers: dict[str, Any]) -> None:
    """With both its addresses."""
    assert answers["segment"] == ["10.0.0.2", "10.0.0.11"]
