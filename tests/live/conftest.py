"""What the tests against the real kernel share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import runs


@pytest.fixture(autouse=True)
def _no_run_outlives_its_test() -> Iterator[None]:
    before = runs.started()
    yield
    runs.end_all(but=before)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A fresh folder of this user's that others can come to."""
    with runs.open_folder() as path:
        yield path
