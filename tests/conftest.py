"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes, or its making, is the machine's affair: no test asserts a time.
settings.register_profile("rawlab", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rawlab")

TESTS = Path(__file__).parent
TOGETHER = ("test_scripts.py", "live/test_outside.py", "live/test_own_address.py", "endpoints/tcp/test_kernel.py")
"files whose tests share what takes long to make, an environment or a network; labs, sctp and browser say it themselves"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, those that share something stay in one process, and it is made once."""
    for item in items:
        for place in TOGETHER:
            if item.path.is_relative_to(TESTS / place):
                item.add_marker(pytest.mark.xdist_group(place))
