"""A capture at its own times, and as fast as it goes: rawlab's replay and tcpreplay, on the same wire, in the same run.

    sudo .venv/bin/python scripts/bench/replay.py --repeat 3

Two hosts of a lab, made here, a veth pair between them. Each sender is a process of its own on the client's.

At its times: a capture of 10,000 packets over 5 s, the gaps between them exponential, is sent; tcpdump writes what
comes in at the server's interface, with the kernel's nanosecond stamps. Told are, in microseconds, by how much the gap
before a packet was off, by how much its time since the first packet was, each the median and what 99 in 100 stay below,
and the CPU time of the sender (and of all processes of a whole `rawlab replay FILE --to lab`, start-up, capture and
comparison included).

As fast as it goes: a capture of 200,000 packets is sent several times over, by rawlab and by tcpreplay --topspeed -K
(which reads the file into memory before; so does rawlab, what leads to each packet). The clock is the server's
interface's count of packets, from the first to the last; by CPU time is told as well, since where others use the
machine, a second of the clock is what the scheduler makes of it. "turns" is a capture in which each packet is of the
other side than the one before it: rawlab sends it on two interfaces, tcpreplay on one.

All take turns; told are medians, all runs, and the ratios of this run. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

PACKETS, SECONDS = 10_000, 5.0
FAST_PACKETS, LOOPS = 200_000, 3
HEAD = bytes.fromhex("02000000000b02000000000a0800" "4500002e000000004011" "66bd0a0000010a000002" "04d20009001a0000")
AT = len(HEAD)
"where a packet's number stands in it"
QUIET_SECONDS = 1.5
"for what tcpdump has not written yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """How far one sender was off, in nanoseconds."""

    gaps: list[int]
    schedule: list[int]
    cpu: float
    "seconds"


def write(path: Path, times: list[int]) -> None:
    """A capture of packets at these nanoseconds, each with its number in it."""
    with path.open("wb") as file:
        file.write(struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65_535, 1))
        for number, at in enumerate(times):
            frame = HEAD + struct.pack("!I", number) + bytes(14)
            when = (1_700_000_000 + at // 10**9, at % 10**9)
            file.write(struct.pack("=IIII", *when, len(frame), len(frame)) + frame)


def read(path: Path) -> dict[int, int]:
    """When each packet came, by its number."""
    data, at, found = path.read_bytes(), 24, {}
    while at + 16 <= len(data):
        seconds, nanoseconds, captured, _ = struct.unpack_from("=IIII", data, at)
        if captured >= AT + 4 and data[at + 16 : at + 16 + AT] == HEAD:
            found[struct.unpack_from("!I", data, at + 16 + AT)[0]] = seconds * 10**9 + nanoseconds
        at += 16 + captured
    return found


def exponential(count: int, seconds: float) -> list[int]:
    """Times of so many packets, in nanoseconds."""
    chance = random.Random(1)
    gaps = [chance.expovariate(1) for _ in range(count - 1)]
    by = seconds * 1e9 / sum(gaps)
    return [int(at * by) for at in itertools.accumulate(gaps, initial=0.0)]


# ---------------------------------------------------------------------------------------- rawlab's sender


def send(path: str, *, topspeed: bool, loops: int, turns: bool) -> None:
    """What the stage's sender does, on the present network: both sides' packets on the interfaces that are there."""
    import numpy as np

    from rawlab.live.replay_sender import ROW_TYPE, Counts, Plan, Sender, open_socket

    raw = Path(path).read_bytes()
    size = 16 + AT + 18
    records = np.frombuffer(raw[24:], np.dtype([("s", "=u4"), ("ns", "=u4"), ("rest", f"V{size - 8}")]))
    rows = np.zeros(records.size, ROW_TYPE)
    at_ns = records["s"].astype(np.int64) * 10**9 + records["ns"]
    rows["due_ns"], rows["length"] = at_ns - at_ns[0], size - 16
    rows["offset"] = 24 + 16 + np.arange(records.size) * size
    rows["side"] = np.arange(records.size) % 2 if turns else 0
    end = np.zeros(1, ROW_TYPE)
    end["end"] = 1
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        with open(writer, "wb") as pipe:
            for _ in range(loops):
                pipe.write(rows.tobytes())
            pipe.write(end.tobytes())
        os._exit(0)
    os.close(writer)
    counts = Counts.shared()
    sockets = [open_socket(name, bypass=True) for name in ("client", "client2" if turns else "client")]
    sender = Sender(sockets, os.open(path, os.O_RDONLY), counts, topspeed=topspeed)
    before = cpu()
    sender.send(Plan(reader))
    print(sum(counts.sent), cpu() - before, (counts.ended_ns - counts.began_ns) / 1e9)


def cpu() -> float:
    """Seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# ------------------------------------------------------------------------------------------- at its times


def timed(network: object, command: list[str], path: Path, times: list[int], folder: Path) -> Timed:
    """One sender, looked at where its packets come in."""
    out = folder / "seen.pcap"
    words = ["tcpdump", "-i", "server", "-w", str(out), "--time-stamp-precision=nano", "-B", "65536", "-Z", "root"]
    with network.inside("server"):  # type: ignore[attr-defined]
        witness = subprocess.Popen(words, stderr=subprocess.PIPE)
    assert witness.stderr
    witness.stderr.readline()
    time.sleep(0.3)
    with network.inside("client"):  # type: ignore[attr-defined]
        sender = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(sender.pid, 0)
    time.sleep(QUIET_SECONDS)
    witness.terminate()
    witness.communicate()
    seen = read(out)
    if status or len(seen) != len(times):
        print(f"    {command[0]}: status {status}, {len(seen)} of {len(times)} packets seen", file=sys.stderr)
    pairs = [number for number in range(1, len(times)) if number in seen and number - 1 in seen and 0 in seen]
    gaps = [abs(seen[n] - seen[n - 1] - (times[n] - times[n - 1])) for n in pairs]
    schedule = [abs(seen[n] - seen[0] - (times[n] - times[0])) for n in pairs]
    return Timed(gaps=sorted(gaps), schedule=sorted(schedule), cpu=used.ru_utime + used.ru_stime)


def at(ordered: list[int], share: float) -> float:
    """Microseconds that this share stays below."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] / 1000 if ordered else float("nan")


def compare_times(network: object, folder: Path, repeat: int) -> None:
    """rawlab, tcpreplay and tcpreplay -T nano, in turns."""
    times = exponential(PACKETS, SECONDS)
    path = folder / "timed.pcap"
    write(path, times)
    tcpreplay = shutil.which("tcpreplay") or "tcpreplay"
    commands = {
        "tcpreplay": [tcpreplay, "-i", "client", str(path)],
        "tcpreplay -T nano": [tcpreplay, "-T", "nano", "-i", "client", str(path)],
        "rawlab": [sys.executable, __file__, "--role", "timed", str(path)],
    }
    found: dict[str, list[Timed]] = {name: [] for name in commands}
    whole = []
    for _ in range(repeat):
        for name, command in commands.items():
            found[name].append(timed(network, command, path, times, folder))
        words = [sys.executable, "-P", "-m", "rawlab", "replay", str(path), "--to", "lab"]
        command_ = subprocess.Popen(words, stdout=subprocess.DEVNULL, cwd=ROOT)
        _, _, used = os.wait4(command_.pid, 0)
        whole.append(used.ru_utime + used.ru_stime)
    print(f"{PACKETS:,} packets over {SECONDS:g} s; in µs; the median of {repeat}\n")
    print(f"{'':<20}{'gap, median':>12}{'99 %':>10}{'schedule, median':>18}{'99 %':>12}{'CPU s':>8}   each run's gaps")
    sums = {}
    for name, runs in found.items():
        columns = [
            statistics.median(at(values, share) for values in lists)
            for lists in ([run.gaps for run in runs], [run.schedule for run in runs])
            for share in (0.5, 0.99)
        ]
        sums[name] = [*columns, statistics.median(run.cpu for run in runs)]
        each = ", ".join(f"{at(run.gaps, 0.5):.1f}/{at(run.gaps, 0.99):.0f}" for run in runs)
        a, b, c, d, e = sums[name]
        print(f"{name:<20}{a:>12.2f}{b:>10.1f}{c:>18.1f}{d:>12.1f}{e:>8.2f}   {each}")
    ratios = [ours / theirs for ours, theirs in zip(sums["rawlab"], sums["tcpreplay"], strict=True)]
    print(f"{'rawlab / tcpreplay':<20}{ratios[0]:>12.2f}{ratios[1]:>10.2f}{ratios[2]:>18.4f}{ratios[3]:>12.4f}", end="")
    print(f"{ratios[4]:>8.2f}")
    print(f"a whole `rawlab replay FILE --to lab`: {statistics.median(whole):.2f} s of CPU\n")


# --------------------------------------------------------------------------------------- as fast as it goes


def fast(network: object, command: list[str], total: int) -> tuple[float, float]:
    """Packets that came in, by the second and by the second of CPU."""
    counters = []
    for host in ("server", "client"):
        with network.inside(host):  # type: ignore[attr-defined]
            counters.append(os.open("/proc/thread-self/net/dev", os.O_RDONLY))
    idle = arrived(counters)
    with network.inside("client"):  # type: ignore[attr-defined]
        sender = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    began = ended = 0.0
    last = idle
    given_up = time.monotonic() + 60
    while sender.poll() is None or arrived(counters) != last:
        now, count = time.monotonic(), arrived(counters)
        if count != last:
            began, ended, last = began or now, now, count
        if now > given_up:
            sender.kill()
            raise SystemExit(f"{command[0]}: sends for more than a minute")
        time.sleep(0.001)
    out, _ = sender.communicate()
    for counter in counters:
        os.close(counter)
    if last - idle != total:
        print(f"    {command[0]}: {last - idle:,} of {total:,} packets came in", file=sys.stderr)
    words = out.split()
    used = float(words[1]) if len(words) == 3 else float("nan")
    return (last - idle) / (ended - began), (last - idle) / used


def arrived(counters: list[int]) -> int:
    """Packets that the servers' ends have received; the client's second end is one of them."""
    total = 0
    for counter in counters:
        for line in os.pread(counter, 65_536, 0).decode().splitlines():
            name, _, counts = line.partition(":")
            if name.strip() in ("server", "server2"):
                total += int(counts.split()[1])
    return total


def compare_speeds(network: object, folder: Path, repeat: int) -> None:
    """rawlab and tcpreplay -K, in turns."""
    path = folder / "fast.pcap"
    write(path, [number * 1000 for number in range(FAST_PACKETS)])
    loop = ["--topspeed", "--loop", str(LOOPS), str(path)]
    tcpreplay = shutil.which("tcpreplay") or "tcpreplay"
    own = [sys.executable, __file__, "--role"]
    commands = {
        "tcpreplay -K": [tcpreplay, "-i", "client", "-K", *loop],
        "rawlab": [*own, "fast", str(path)],
        "rawlab, turns": [*own, "turns", str(path)],
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(repeat):
        for name, command in commands.items():
            found[name].append(fast(network, command, FAST_PACKETS * LOOPS))
    print(f"{FAST_PACKETS * LOOPS:,} packets of {AT + 18} octets, as fast as it goes; the median of {repeat}\n")
    base = statistics.median(speed for speed, _ in found["tcpreplay -K"])
    for name, runs in found.items():
        speed = statistics.median(speed for speed, _ in runs)
        of_cpu = statistics.median(by_cpu for _, by_cpu in runs)
        each = ", ".join(f"{one / 1000:,.0f}" for one, _ in runs)
        print(f"{name:<16}{speed:>12,.0f} a second{speed / base:>8.2f}   by CPU {of_cpu:>10,.0f}   thousands: {each}")


def main() -> None:
    options = argparse.ArgumentParser(description="replay's times and speed, against tcpreplay's")
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--only", choices=("times", "speeds"))
    options.add_argument("--role", choices=("timed", "fast", "turns"), help=argparse.SUPPRESS)
    options.add_argument("path", nargs="?", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.role:
        quick = asked.role != "timed"
        send(asked.path, topspeed=quick, loops=LOOPS if quick else 1, turns=asked.role == "turns")
        return
    if os.geteuid() or not shutil.which("tcpreplay") or not shutil.which("tcpdump"):
        raise SystemExit("replay.py: needs root, tcpreplay and tcpdump")
    from rawlab.live.network import Network
    from rawlab.model.lab import Wire

    network = Network(Wire(paths=2))
    with tempfile.TemporaryDirectory() as name:
        if asked.only != "speeds":
            compare_times(network, Path(name), asked.repeat)
        if asked.only != "times":
            compare_speeds(network, Path(name), asked.repeat)


if __name__ == "__main__":
    main()
