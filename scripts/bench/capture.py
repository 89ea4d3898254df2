"""Frames lost and CPU spent by three capturers of the same traffic: tcpdump, rawlab's ring, scapy.

    sudo python scripts/bench/capture.py [--frames 1000000] [--repeat 3]

How: a veth pair in a network namespace of this process alone (so nothing is left behind), a sender of
60-byte UDP frames on one end (flood.py), one capturer at a time on the other, each a process of its own
that writes to its standard output: a file whose pages are in memory already (in /dev/shm where there is
one), since on a virtual machine a fresh page can cost more than all else, by the host's whim. A capturer
is given time to drain before SIGINT. What it caught is what capinfos counts in its file; what it should
have caught is what the interface received.
CPU is the user and system time of the capturer's whole process (wait4), as a median, and once more
less the same capturer's run without any frame: starting Python and numpy is a price paid once, not for
each frame. Nothing is asserted about time. Sender and capturers are kept on different CPUs.
"""

import argparse
import ctypes
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CLONE_NEWNET = 0x40000000
SENDER, RECEIVER = "bench0", "bench1"
SETTLE = 1.3
"""Seconds to drain: tcpdump's read timeout is one second."""
EPB_SIZE = 144
"""Bytes of the ring's file for one frame of 60 bytes."""
RATES = (1_000, 10_000, 100_000, 300_000, 500_000)
SCAPY_RATES = (500, 1_000, 1_500, 2_000, 3_000, 5_000)

CAPTURERS = {
    "tcpdump": ["tcpdump", "-i", RECEIVER, "-w", "-"],
    "ring": [sys.executable, str(HERE / "capture_ring.py"), RECEIVER],
    "scapy": [sys.executable, str(HERE / "capture_scapy.py"), RECEIVER],
}
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
READY = {"tcpdump": "listening on", "ring": "ready", "scapy": "ready"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One capturer against one flood."""

    rate: int
    """frames a second, as sent"""
    received: int
    """frames the interface received"""
    caught: int
    """frames in the file"""
    cpu: float
    """user + system seconds"""

    @property
    def loss(self) -> float:
        """The lost part, 0 to 1."""
        return 1 - self.caught / self.received if self.received else 0.0


def make_network() -> None:
    """A namespace with a veth pair; it goes with this process and its children."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        sys.exit(f"no network namespace: {os.strerror(ctypes.get_errno())}; run as root")
    Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
    for command in (
        f"link add {SENDER} type veth peer name {RECEIVER}",
        f"link set {SENDER} up arp off",
        f"link set {RECEIVER} up arp off",
    ):
        subprocess.run(["ip", *command.split()], check=True)


def received() -> int:
    """Frames that the capturer's interface has received so far."""
    report = subprocess.run(["ip", "-j", "-s", "link", "show", RECEIVER], capture_output=True, check=True)
    return int(json.loads(report.stdout)[0]["stats64"]["rx"]["packets"])


def count(path: Path) -> int:
    """Frames in a capture file."""
    report = subprocess.run(["capinfos", "-TrcM", path], capture_output=True, text=True, check=True)
    return int(report.stdout.split("\t")[1])


def flood(frames: int, rate: int) -> int:
    """Send; the rate reached, in frames a second."""
    command = [sys.executable, str(HERE / "flood.py"), SENDER, str(frames), str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        os.sched_setaffinity(sender.pid, {0})
        output, _ = sender.communicate()
    sent, took = map(int, output.split())
    return sent * 1_000_000_000 // max(took, 1)


def run(name: str, frames: int, rate: int, directory: Path) -> Run:
    """Capture one flood (or silence, if `frames` is 0) with the capturer of this name."""
    path = directory / "capture"
    path.write_bytes(bytes(frames * EPB_SIZE))
    with path.open("r+b", buffering=0) as file:
        capturer = subprocess.Popen(CAPTURERS[name], stdout=file, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        os.sched_setaffinity(capturer.pid, {1})
        assert capturer.stderr
        if not any(READY[name] in line for line in capturer.stderr):
            sys.exit(f"{name} did not start")
        before = received()
        reached = flood(frames, rate) if frames else 0
        time.sleep(SETTLE)
        arrived = received() - before
        capturer.send_signal(signal.SIGINT)
        capturer.stderr.read()
        _pid, status, usage = os.wait4(capturer.pid, 0)
        capturer.returncode = os.waitstatus_to_exitcode(status)
        file.truncate(file.tell())
    return Run(rate=reached, received=arrived, caught=count(path), cpu=usage.ru_utime + usage.ru_stime)


def loss_table(directory: Path) -> tuple[int, int]:
    """Print losses by rate; the ring's highest rate without any, scapy's lowest with some (or 0)."""
    print(f"{'capturer':>10} {'rate, pps':>10} {'received':>10} {'in the file':>11} {'lost':>8}", flush=True)
    best, scapy_lost = 0, 0
    for name, rates in (("tcpdump", (*RATES, 0)), ("ring", (*RATES, 0)), ("scapy", SCAPY_RATES)):
        for rate in rates:
            result = run(name, min(500_000, rate * 2) or 500_000, rate, directory)
            print(f"{name:>10} {result.rate:>10,} {result.received:>10,}", end="", flush=True)
            print(f" {result.caught:>11,} {result.loss:>8.2%}", flush=True)
            if name == "ring" and not result.loss:
                best = max(best, result.rate)
            if name == "scapy" and result.loss:
                scapy_lost = result.rate
                break
    return best, scapy_lost


def cpu_table(directory: Path, frames: int, repeat: int) -> None:
    """Print tcpdump's and the ring's CPU for the same flood, taking turns, and the ratios."""
    whole: dict[str, list[float]] = {"tcpdump": [], "ring": []}
    idle: dict[str, list[float]] = {"tcpdump": [], "ring": []}
    for _ in range(repeat):
        for name in whole:
            whole[name].append(run(name, frames, 0, directory).cpu)
            idle[name].append(run(name, 0, 0, directory).cpu)
    print(f"medians of {repeat}, {frames:,} frames:")
    print(f"{'capturer':>10} {'CPU, s':>8} {'idle, s':>8} {'CPU - idle':>10}")
    medians = {name: (statistics.median(whole[name]), statistics.median(idle[name])) for name in whole}
    for name, (busy, silent) in medians.items():
        print(f"{name:>10} {busy:>8.3f} {silent:>8.3f} {busy - silent:>10.3f}   runs: {spread(whole[name])}")
    (peer, peer_idle), (ring, ring_idle) = medians["tcpdump"], medians["ring"]
    without = (ring - ring_idle) / (peer - peer_idle)
    print(f"CPU ring / tcpdump: {ring / peer:.2f}, without start-up {without:.2f}")


def spread(seconds: Sequence[float]) -> str:
    """All values, smallest first."""
    return " ".join(f"{value:.2f}" for value in sorted(seconds))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Losses and CPU of tcpdump, rawlab's ring and scapy.")
    parser.add_argument("--frames", type=int, default=1_000_000, help="frames in a run for CPU (1,000,000)")
    parser.add_argument("--repeat", type=int, default=3, help="runs for CPU of each (3)")
    options = parser.parse_args()
    make_network()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        best, scapy_lost = loss_table(Path(name))
        cpu_table(Path(name), options.frames, options.repeat)
    ratio = f"{best / scapy_lost:,.0f}" if scapy_lost else "unknown"
    print(f"ring loses nothing at {best:,} pps; scapy begins to lose at {scapy_lost:,}: ratio {ratio}")


if __name__ == "__main__":
    main()
