"""Whole commands that read a capture of a million packets: ours, tshark, tcptrace and scapy, in one run.

    python scripts/bench/reading.py [--packets 1000000] [--rounds 3] [--quick]

Makes two captures (`conversations`): 20,000 TCP conversations, and a single one; into a temporary folder, and removes
them. Each command runs so many rounds, all commands in turn; the round with the median CPU time counts. Printed are the
time, the CPU time (user and system), the memory beyond the mapped file (RssAnon and RssShmem of proc(5), at the most,
looked at while the command runs) and how many times as much as the first line each takes. scapy reads a 50th of the
packets, and its times are multiplied by 50. `--quick` leaves the slow ones out (tshark's fields, scapy).
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import conversations

OURS = (sys.executable, "-m", "rawlab")
FIELDS = ("frame.number", "frame.time_epoch", "ip.src", "tcp.stream", "tcp.seq", "tcp.len", "tcp.flags")
SCAPY = "import sys; from scapy.utils import PcapReader; [None for packet in PcapReader(sys.argv[1])]"
READING = """
import mmap, sys
from rawlab.columns.reading import Reading
with open(sys.argv[1], "rb") as source:
    octets = memoryview(mmap.mmap(source.fileno(), 0, prot=mmap.PROT_READ))
for window in Reading(octets).windows(): pass
"""
_PART = 50


@dataclass(frozen=True, kw_only=True)
class Took:
    """What one run of a command took."""

    wall_s: float
    cpu_s: float
    memory_mib: int
    "at the most, beyond the mapped file"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="without tshark's fields and scapy")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, number in (("conversations", chosen.packets // 50), ("bulk", 1)):
            file, part = Path(folder, f"{name}.pcap"), Path(folder, "part.pcap")
            conversations.write(file, chosen.packets, number)
            conversations.write(part, chosen.packets // _PART, max(1, number // _PART))
            print(f"\n{name}: {chosen.packets:,} packets, {number:,} TCP conversations, {file.stat().st_size:,} octets")
            measure(commands(file, part, quick=chosen.quick), chosen.rounds)
            file.unlink()


def commands(file: Path, part: Path, *, quick: bool) -> dict[str, list[str]]:
    """What is run, by its name in the table."""
    fields = [word for field in (*FIELDS, "tcp.analysis.flags") for word in ("-e", field)]
    every = {
        "rawlab replay": [*OURS, "replay", str(file)],
        "  its reading alone": [sys.executable, "-c", READING, str(file)],
        "rawlab replay --format tsv": [*OURS, "replay", str(file), "--format", "tsv"],
        "rawlab replay --flow 1": [*OURS, "replay", str(file), "--flow", "1"],
        "tshark -z conv,tcp": ["tshark", "-n", "-q", "-z", "conv,tcp", "-r", str(file)],
        "tshark -T fields": ["tshark", "-n", "-r", str(file), "-T", "fields", *fields],
        "tcptrace -n": ["tcptrace", "-n", str(file)],
        "scapy PcapReader": [sys.executable, "-c", SCAPY, str(part)],
    }
    slow = ("tshark -T fields", "scapy PcapReader", "rawlab replay --flow 1") if quick else ()
    return {name: words for name, words in every.items() if name not in slow}


def measure(table: dict[str, list[str]], rounds: int) -> None:
    """Runs all of them in turn, and prints a line each."""
    took: dict[str, list[Took]] = {name: [] for name in table}
    for name, words in [item for _ in range(rounds) for item in table.items()]:
        if shutil.which(words[0]) and (one := run(words)) is not None:
            took[name].append(one)
    first = next((runs for runs in took.values() if runs), None)
    print(f"{'':28}{'time':>9}{'CPU':>9}{'memory':>10}{'time, times':>13}{'CPU, times':>12}")
    for name, runs in took.items():
        if not runs or first is None:
            print(f"{name:28} not there, or failed")
            continue
        factor = _PART if name.startswith("scapy") else 1
        wall, cpu = (factor * statistics.median(getattr(one, key) for one in runs) for key in ("wall_s", "cpu_s"))
        base = (statistics.median(getattr(one, key) for one in first) for key in ("wall_s", "cpu_s"))
        ratios = "".join(f"{of / one:>12.1f}" for of, one in zip((wall, cpu), base, strict=True))
        print(f"{name:28}{wall:>8.2f}s{cpu:>8.2f}s{max(one.memory_mib for one in runs):>6} MiB {ratios}")


def run(words: list[str]) -> Took | None:
    """One command, its output thrown away; None if it failed."""
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    most_kib = 0
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most_kib = max(most_kib, anonymous_kib(process.pid))
            time.sleep(0.01)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        return None
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(wall_s=wall, cpu_s=cpu, memory_mib=most_kib // 1024)


def anonymous_kib(process: int) -> int:
    """What it holds now that is no file's page."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem")))


if __name__ == "__main__":
    main()
