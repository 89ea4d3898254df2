"""What seldom happens between our endpoint and a kernel's SCTP; the cases themselves are in tests/sctp/cases.py."""

from __future__ import annotations

import json
import sys

import pytest

from tests.sctp.cases import CASES
from tests.sctp.conftest import Inside


@pytest.fixture(scope="module")
def told(inside: Inside) -> dict[str, str]:
    """What became of each; all run in one kernel."""
    done = inside(f"{sys.executable} -m tests.sctp.cases")
    assert done.returncode == 0, done.stderr
    became: dict[str, str] = json.loads(done.stdout)
    return became


@pytest.mark.parametrize("name", CASES)
def test_with_the_kernel(told: dict[str, str], name: str) -> None:
    """Each case's docstring says what must come of it."""
    assert told[name] == "ok"
