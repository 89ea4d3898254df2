"""The README says what is so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_picture_is_of_the_capture() -> None:
    """The README's picture is what rawlab draws of the capture beside it."""
    command = [sys.executable, "-P", "-m", "rawlab", "replay", "captures/tcp-echo.pcapng", "--format", "svg"]
    drawn = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert drawn == (ROOT / "captures" / "tcp-echo.svg").read_text()


def test_generated_parts_are_up_to_date() -> None:
    """Every help text, sample output, lab table and listing in the README is what rawlab prints today."""
    command = [sys.executable, str(ROOT / "scripts" / "readme"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
