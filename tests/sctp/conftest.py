"""The kernel with SCTP in which these tests run what they look at: user-mode Linux, started by scripts/uml."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.runs import REPOSITORY

UML = REPOSITORY / "scripts" / "uml"
SECONDS = 110
Inside = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, those of a file stay in one process: a kernel is booted for all of them."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group(item.path.name))


@pytest.fixture(scope="session")
def inside() -> Inside:
    """Runs a shell's words inside, in the repository, and gives its end; skips where there is no such kernel."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if missing := [tool for tool in ("linux.uml", "modprobe", "ip", "tc") if shutil.which(tool, path=path) is None]:
        pytest.skip(f"not installed: {', '.join(missing)} (user-mode-linux, kmod, iproute2)")

    def run(words: str, seconds: int = SECONDS, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(UML), "bash", "-c", words],
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if done.returncode == 125:
            pytest.skip(f"user-mode Linux does not run here: {done.stderr.strip()}")
        return done

    return run


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that both kernels see."""
    return tmp_path_factory.mktemp("sctp")
