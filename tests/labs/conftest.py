"""The runs that the tests of labs share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rawlab.model.story import Story
from tests.labs.runs import NAMES, Run, Runs, Wanted
from tests.live import runs as live


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, those that share runs stay in one process; the first to ask waits for many."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("labs"))
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def all_runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """Every run that a test of this session wants, long ones first."""
    wanted = {
        parameter
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        if isinstance(parameter := item.callspec.params.get("run"), Wanted)
    }
    with live.open_folder() as folder:
        folder.chmod(0o777)
        found = Runs(folder, sorted(wanted, key=lambda run: (run.lab != "tcp-filtered", run)))
        yield found
        found.stop()


@pytest.fixture(scope="session")
def stories(all_runs: Runs) -> Mapping[str, Story]:
    """Each lab's story, over IPv4."""
    live.need_networks()
    return {name: all_runs.get(Wanted(lab=name)).succeeded().story for name in NAMES}


@pytest.fixture
def run(request: pytest.FixtureRequest, all_runs: Runs) -> Run:
    """The run that the test is given; skips, with the reason, where this user or system can't make it."""
    wanted: Wanted = request.param
    live.need_networks()
    if wanted.loopback or (wanted.user and not os.geteuid()):
        live.need_root()
    if wanted.strace:
        live.need("strace")
    return all_runs.get(wanted)
