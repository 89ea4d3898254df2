"""Frames lost and CPU spent by three capturers of the same traffic: tcpdump, rawlab's ring, scapy.

    sudo python scripts/bench/capture.py [--frames 3000000] [--repeat 5]

How: a veth pair in a network namespace of this process alone (so nothing is left behind), a sender of
60-byte UDP frames on one end (flood.py), one capturer at a time on the other, each a process of its own
that writes to its standard output: a file whose pages are in memory already (in /dev/shm where there is
one), since on a virtual machine a fresh page can cost more than all else, by the host's whim. A capturer
is given time to drain before SIGINT. What it caught is what capinfos counts in its file; what it should
have caught is what the interface received. Sender and capturers are kept on different CPUs.

CPU is user and system time, as the median of runs in turns, by two measures that are the same for all:
of the whole process (wait4), with its start and end; and of the capture itself, from when the capturer
says that it listens until it has drained (schedstat): starting Python and numpy is a price paid once, not
for each frame. Both are printed. Nothing is asserted about time.
"""

import argparse
import ctypes
import fcntl
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CLONE_NEWNET = 0x40000000
SIOCETHTOOL, ETHTOOL_SGRO = 0x8946, 0x2C
SENDER, RECEIVER = "bench0", "bench1"
SETTLE = 1.3
"""Seconds to drain: tcpdump's read timeout is one second."""
EPB_SIZE = 144
"""Bytes of the ring's file for one frame of 60 bytes."""
RATES = (1_000, 10_000, 100_000, 300_000, 500_000, 0)
"""Frames a second; 0 is as fast as the sender can."""
SCAPY_RATES = (500, 1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 7_000, 10_000)
SECONDS = 2
"""How long a flood at one of these rates lasts."""

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
    """user + system seconds of the whole process"""
    capturing: float
    """of these, seconds between its start and its end"""

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
    # A veth takes the frames of flood.py's fastest way only with GRO on at its peer: ethtool -K RECEIVER gro on.
    value = ctypes.create_string_buffer(struct.pack("=II", ETHTOOL_SGRO, 1))
    request = struct.pack("16sP16x", RECEIVER.encode(), ctypes.addressof(value))
    with socket.socket(type=socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, request)


def received() -> int:
    """Frames that the capturer's interface has received so far."""
    report = subprocess.run(["ip", "-j", "-s", "link", "show", RECEIVER], capture_output=True, check=True)
    return int(json.loads(report.stdout)[0]["stats64"]["rx"]["packets"])


def count(path: Path) -> int:
    """Frames in a capture file."""
    report = subprocess.run(["capinfos", "-TrcM", path], capture_output=True, text=True, check=True)
    return int(report.stdout.split("\t")[1])


def cpu(pid: int) -> float:
    """Seconds that all threads of a process have run so far (proc_pid_schedstat(5))."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def flood(frames: int, rate: int) -> int:
    """Send; the rate reached, in frames a second."""
    command = [sys.executable, str(HERE / "flood.py"), SENDER, str(frames), str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        os.sched_setaffinity(sender.pid, {0})
        output, _ = sender.communicate()
    sent, took = map(int, output.split())
    return sent * 1_000_000_000 // max(took, 1)


def run(name: str, frames: int, rate: int, directory: Path) -> Run:
    """Capture one flood with the capturer of this name."""
    path = directory / "capture"
    path.write_bytes(bytes(frames * EPB_SIZE))
    with path.open("r+b", buffering=0) as file:
        capturer = subprocess.Popen(CAPTURERS[name], stdout=file, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        os.sched_setaffinity(capturer.pid, {1})
        assert capturer.stderr
        if not any(READY[name] in line for line in capturer.stderr):
            sys.exit(f"{name} did not start")
        before, idle = received(), cpu(capturer.pid)
        reached = flood(frames, rate)
        time.sleep(SETTLE)
        arrived, capturing = received() - before, cpu(capturer.pid) - idle
        capturer.send_signal(signal.SIGINT)
        capturer.stderr.read()
        _pid, status, usage = os.wait4(capturer.pid, 0)
        capturer.returncode = os.waitstatus_to_exitcode(status)
        file.truncate(file.tell())
    whole = usage.ru_utime + usage.ru_stime
    return Run(rate=reached, received=arrived, caught=count(path), cpu=whole, capturing=capturing)


def show(name: str, result: Run) -> None:
    """Print a line of the loss table."""
    print(f"{name:>10} {result.rate:>10,} {result.received:>10,}", end="")
    print(f" {result.caught:>11,} {result.loss:>8.2%}", flush=True)


def loss_table(directory: Path, most: int) -> tuple[int, int]:
    """Print losses by rate; the ring's highest rate without any, scapy's lowest with some (or 0)."""
    print(f"{'capturer':>10} {'rate, pps':>10} {'received':>10} {'in the file':>11} {'lost':>8}", flush=True)
    best, scapy_lost = 0, 0
    for name, rates in (("tcpdump", RATES), ("ring", RATES), ("scapy", SCAPY_RATES)):
        for rate in rates:
            result = run(name, rate * SECONDS or most, rate, directory)
            show(name, result)
            if name == "ring" and not result.loss:
                best = max(best, result.rate)
            if name == "scapy" and result.loss:
                scapy_lost = result.rate
                break
    return best, scapy_lost


def cpu_table(directory: Path, frames: int, repeat: int) -> None:
    """Print tcpdump's and the ring's CPU for the same flood, taking turns, and the ratios."""
    runs: dict[str, list[Run]] = {"tcpdump": [], "ring": []}
    for _ in range(repeat):
        for name, done in runs.items():
            done.append(run(name, frames, 0, directory))
    print(f"CPU for {frames:,} frames as fast as the sender can, medians of {repeat}, seconds:")
    print(f"{'capturer':>10} {'whole':>7} {'capture':>7} {'rate, pps':>10} {'lost':>7}   whole, all runs")
    whole, capture = {}, {}
    for name, done in runs.items():
        whole[name] = statistics.median(one.cpu for one in done)
        capture[name] = statistics.median(one.capturing for one in done)
        rate = statistics.median(one.rate for one in done)
        lost = statistics.median(one.loss for one in done)
        print(f"{name:>10} {whole[name]:>7.3f} {capture[name]:>7.3f} {rate:>10,.0f} {lost:>7.2%}", end="   ")
        print(spread([one.cpu for one in done]))
    print(f"CPU ring / tcpdump: whole process {whole['ring'] / whole['tcpdump']:.2f}", end=", ")
    print(f"the capture itself {capture['ring'] / capture['tcpdump']:.2f}")


def spread(seconds: Sequence[float]) -> str:
    """All values, smallest first."""
    return " ".join(f"{value:.2f}" for value in sorted(seconds))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Losses and CPU of tcpdump, rawlab's ring and scapy.")
    parser.add_argument("--frames", type=int, default=3_000_000, help="frames in a run at full speed (3,000,000)")
    parser.add_argument("--repeat", type=int, default=5, help="runs for CPU of each (5)")
    options = parser.parse_args()
    make_network()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        best, scapy_lost = loss_table(Path(name), options.frames)
        cpu_table(Path(name), options.frames, options.repeat)
    ratio = f"{best / scapy_lost:,.0f}" if scapy_lost else "unknown"
    print(f"ring loses nothing at {best:,} pps; scapy begins to lose at {scapy_lost:,}: ratio {ratio}")


if __name__ == "__main__":
    main()
