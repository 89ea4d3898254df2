"""Whole commands against their peers, in turn in one run: scripts/bench/startup.py [RUNS]

    rawlab --version             against  python -c pass
    rawlab replay FILE           against  tshark -r FILE
    rawlab capture tcp-echo      against  nothing: its own wall time

Prints medians and the median of the ratios taken pair by pair; it asserts nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RAWLAB = str(ROOT / "scripts" / "rawlab")
PYTHON = str(ROOT / ".venv" / "bin" / "python")
FILE = str(ROOT / "captures" / "tcp-echo.pcapng")


def seconds(command: list[str], folder: str) -> float:
    """One run's wall time, from start to end."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def compare(name: str, ours: list[str], peer: list[str], runs: int, folder: str) -> None:
    """Both in turn, ratios pair by pair."""
    pairs = [(seconds(ours, folder), seconds(peer, folder)) for _ in range(runs + 1)][1:]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"{name:<28}{mine * 1000:8.0f} ms   {Path(peer[0]).name:<10}{theirs * 1000:8.0f} ms   ratio {ratio:.2f}")


def main() -> None:
    """The three lines."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as folder:
        compare("rawlab --version", [RAWLAB, "--version"], [PYTHON, "-c", "pass"], runs, folder)
        compare("rawlab replay", [RAWLAB, "replay", FILE], ["tshark", "-r", FILE], runs, folder)
        took = [seconds([RAWLAB, "capture", "tcp-echo"], folder) for _ in range(runs)]
        print(f"{'rawlab capture tcp-echo':<28}{statistics.median(took) * 1000:8.0f} ms")


if __name__ == "__main__":
    main()
