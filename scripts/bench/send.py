"""Packets a second onto a veth: rawlab's flood, scapy, tcpreplay, trafgen, and a loop of C.

    sudo .venv/bin/python scripts/bench/send.py --seconds 1 --repeat 5

Two hosts of a lab, made here, a veth pair between them. Each sender is a process of its own on the client's, and sends
the same frame without end (60 octets, 64 with their checksum: UDP/IPv4, for a MAC address that the server has not, so
that its kernel does nothing more with it than to count it). It is counted where it arrives: the server's interface's
packets, read each 5 ms, from the first that came until so many seconds later, when the sender is ended. So no start-up
is measured, of none. All take turns; told are medians, all runs, and the ratios of this run. Nothing is asserted.
Where others use the machine as well, a second of the clock is what the scheduler makes of it: the same packets are told
by the second of CPU that the sender's processes got, the kernel's work in their name included.

    C             sendmmsg, 256 a call, PACKET_QDISC_BYPASS, compiled here with cc -O2: that call's limit
    rawlab        rawlab.live.flood (PACKET_TX_RING), one packet again and again
    rawlab varied the same, with source port and identification counting up, and the checksums with them
    trafgen       its packets from a configuration, on one CPU
    tcpreplay     --topspeed; and with -K, which reads the file (1,000 packets) into memory before
    scapy         sendp of a list of 1,000 packets that were built before

Then, packets built a second, the checksums right: a matrix of a template's, one by one, and scapy's, from
bytes(Ether()/IP()/TCP(sport=n)).
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

INTERFACE = "client"
FRAME = bytes.fromhex(
    "02000000000b 02000000000a 0800"
    "4500002e 00000000 4011 66bd 0a000001 0a000002"
    "04d2 0009 001a 0000"
    "72 61 77 6c 61 62 72 61 77 6c 61 62 72 61 77 6c 61 62"
)
LISTED = 1000
"packets in a list or in a file"
C_LOOP = r"""
#define _GNU_SOURCE
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
int main(int argc, char **argv) {
    static unsigned char frame[] = {%s};
    static struct iovec vector = {frame, sizeof frame};
    static struct mmsghdr messages[256];
    int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(argv[1])};
    setsockopt(fd, SOL_PACKET, 20 /* PACKET_QDISC_BYPASS */, &on, sizeof on);
    if (bind(fd, (void *)&to, sizeof to)) return 1;
    for (int i = 0; i < 256; i++) messages[i].msg_hdr.msg_iov = &vector, messages[i].msg_hdr.msg_iovlen = 1;
    for (;;) if (sendmmsg(fd, messages, 256, 0) < 0) return 1;
}
"""


def rawlab(*varied: str) -> None:
    """Floods until it is ended."""
    from rawlab.live import flood
    from rawlab.wire import vary

    template = vary.template(FRAME, 1, [vary.parse_vary(text) for text in varied])
    with flood.open_socket(INTERFACE) as opened:
        flood.send(opened, [template], flood.Counts.shared(), 1 << 60, 1e6)


def scapy() -> None:
    """Sends a list until it is ended."""
    from scapy.all import Ether, sendp

    packets = [Ether(FRAME) for _ in range(LISTED)]
    while True:
        sendp(packets, iface=INTERFACE, verbose=0)


ROLES: dict[str, Callable[[], None]] = {
    "rawlab": rawlab,
    "rawlab varied": lambda: rawlab("udp.sport", "ip.id"),
    "scapy": scapy,
}


def commands(folder: Path) -> dict[str, list[str]]:
    """What there is here to be measured."""
    own = {role: [sys.executable, __file__, "--role", role] for role in ROLES}
    found = {"rawlab": own["rawlab"], "rawlab varied": own["rawlab varied"]}
    if compiler := shutil.which("cc"):
        source = folder / "loop.c"
        source.write_text(C_LOOP % ",".join(map(str, FRAME)))
        subprocess.run([compiler, "-O2", "-o", folder / "loop", source], check=True)
        found = {"C": [str(folder / "loop"), INTERFACE], **found}
    if trafgen := shutil.which("trafgen"):
        (folder / "frame.cfg").write_text(f"{{ {', '.join(f'0x{octet:02x}' for octet in FRAME)} }}\n")
        found["trafgen"] = [trafgen, "--dev", INTERFACE, "--conf", str(folder / "frame.cfg"), "--cpus", "1"]
    if tcpreplay := shutil.which("tcpreplay"):
        record = struct.pack("=IIII", 0, 0, len(FRAME), len(FRAME)) + FRAME
        head = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
        (folder / "frames.pcap").write_bytes(head + record * LISTED)
        replay = [tcpreplay, "-i", INTERFACE, "--topspeed", "--loop", "100000000", str(folder / "frames.pcap")]
        found |= {"tcpreplay": replay, "tcpreplay -K": [replay[0], "-K", *replay[1:]]}
    return {**found, "scapy": own["scapy"]}


def measure(network: object, command: list[str], seconds: float) -> tuple[float, float]:
    """Packets that arrived, by the second and by the second of CPU."""
    with network.inside("server"):  # type: ignore[attr-defined]
        counter = os.open("/proc/thread-self/net/dev", os.O_RDONLY)
    idle = arrived(counter)
    with network.inside("client"):  # type: ignore[attr-defined]
        nothing = subprocess.DEVNULL
        sender = subprocess.Popen(command, stdout=nothing, stderr=nothing, start_new_session=True)
    try:
        given_up = time.monotonic() + 30
        while (first := arrived(counter)) == idle:
            if sender.poll() is not None or time.monotonic() > given_up:
                sys.exit(f"{command[0]}: no packet of it arrived")
            time.sleep(0.005)
        first, used, begun = arrived(counter), cpu(sender.pid), time.monotonic()
        time.sleep(seconds)
        last, spent, ended = arrived(counter), cpu(sender.pid), time.monotonic()
    finally:
        os.killpg(sender.pid, signal.SIGKILL)  # trafgen's worker is a child of its own
        sender.wait()
        os.close(counter)
    return (last - first) / (ended - begun), (last - first) / (spent - used)


def cpu(session: int) -> float:
    """Seconds that the processes of a session have run so far (proc_pid_schedstat(5))."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and is_of(int(entry.name), session):
            total += int((entry / "schedstat").read_text().split()[0])
    return total / 1e9


def is_of(pid: int, session: int) -> bool:
    """Whether a process is one of the session's."""
    try:
        return os.getsid(pid) == session
    except ProcessLookupError:
        return False


def arrived(counter: int) -> int:
    """Packets that the server's interface received, by its kernel's count (proc_pid_net(5))."""
    rows = (line.partition(":") for line in os.pread(counter, 65536, 0).decode().splitlines())
    return next(int(counts.split()[1]) for name, _, counts in rows if name.strip() == "server")


def show_sending(seconds: float, repeat: int) -> None:
    """The senders in turns."""
    from rawlab.live.network import Network

    network = Network()
    with tempfile.TemporaryDirectory() as folder:
        found = commands(Path(folder))
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
        for _ in range(repeat):
            for name, command in found.items():
                runs[name].append(measure(network, command, seconds))
    print(f"packets that arrived, frames of {len(FRAME)} octets, medians of {repeat} runs of {seconds:g} s")
    for index, per in enumerate(("a second", "a second of CPU")):
        print(f"{per:>15}")
        middle = {name: statistics.median(run[index] for run in each) for name, each in runs.items()}
        for name, each in runs.items():
            values = " ".join(f"{run[index]:,.0f}" for run in sorted(each, key=lambda run: run[index]))
            print(f"{name:>15} {middle[name]:>10,.0f}   all runs {values}")
        for name in [name for name in middle if not name.startswith("rawlab")]:
            print(f"{'rawlab / ' + name:>24} {middle['rawlab'] / middle[name]:>8.2f}", end="      ")
            print(f"{'varied / ' + name:>24} {middle['rawlab varied'] / middle[name]:>8.2f}")


def a_second(build: Callable[[int], object], at_once: int = 1) -> float:
    """Packets built a second: the median of five fifths of a second."""
    rates = []
    for _ in range(5):
        built, begun = 0, time.perf_counter()
        while (took := time.perf_counter() - begun) < 0.2:
            build(built)
            built += at_once
        rates.append(built / took)
    return statistics.median(rates)


def show_building() -> None:
    """Templates and scapy."""
    from scapy.all import IP, TCP, Ether

    from rawlab.wire import vary

    first = bytes(Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01") / IP(src="10.0.0.1", dst="10.0.0.2") / TCP())
    template = vary.template(first, 1, [vary.parse_vary("tcp.sport")])
    both = vary.template(first, 1, [vary.parse_vary(text) for text in ("tcp.sport", "ip.src", "tcp.seq")])
    matrix, room = template.packets(0, 1024), both.packets(0, 1024)
    link = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")

    def by_scapy(n: int) -> bytes:
        return bytes(link / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=n & 0xFFFF))

    rates = {
        "scapy, each built anew": a_second(by_scapy),
        "template, one by one": a_second(template.packet),
        "template, a matrix of 1,024": a_second(lambda n: template.refill(matrix, n), 1024),
        "the same, three fields vary": a_second(lambda n: both.refill(room, n), 1024),
    }
    print("packets built a second, TCP over IPv4 in Ethernet, source port and checksum differ, medians of 5")
    for name, rate in rates.items():
        print(f"{name:>28} {rate:>12,.0f}   {rate / rates['scapy, each built anew']:>8,.0f} × scapy")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Packets a second: rawlab's flood, and others.")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run (1)")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each (5)")
    parser.add_argument("--role", choices=ROLES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        ROLES[options.role]()
        return
    if os.geteuid():
        sys.exit("network namespaces and packet sockets: run as root")
    show_sending(options.seconds, options.repeat)
    show_building()


if __name__ == "__main__":
    main()
