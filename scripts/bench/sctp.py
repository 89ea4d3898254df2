"""Throughput of one SCTP association over a veth pair: ours and usrsctp's, in the same run.

    sudo .venv/bin/python scripts/bench/sctp.py --megabytes 100 --repeat 3

Two hosts, made here; on each one process, pinned to a CPU of its own, speaks raw IP (protocol 132): our sans-IO
endpoint driven by the smallest loop that there can be, or Debian's libusrsctp2. All four pairs take turns. The sender
offers messages of 64,000 octets as fast as they are taken; measured is from the first to the last at the receiver.

What bounds it is told by the CPU: seconds of each process for the seconds that it took, and of ours, how much of it is
the protocol (packets to events, messages to packets) and how much the socket's calls. Nothing is asserted about time.
"""

import argparse
import json
import os
import resource
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from rawlab.endpoints.sctp import Association, Down, Host, Message, Settings  # noqa: E402
from rawlab.model.address import Endpoint  # noqa: E402
from tests.endpoints.sctp.usrsctp import Peer  # noqa: E402

SENDER, RECEIVER, PORT = "10.0.0.1", "10.0.0.2", 7
MESSAGE = bytes(range(256)) * 250
WINDOW = 1 << 20
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
"socket(7): beyond rmem_max, which holds 90 packets"
BATCH = 64
"packets read before anything is sent"

now = time.monotonic_ns
text = lru_cache(socket.inet_ntoa)


class Loop:
    """A raw socket and our endpoint."""

    def __init__(self, address: str) -> None:
        self.host = Host([address], os.urandom, now(), Settings(receive_window=WINDOW, send_buffer=WINDOW))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
        self.socket.setblocking(False)
        for option in (SO_RCVBUFFORCE, SO_SNDBUFFORCE):
            self.socket.setsockopt(socket.SOL_SOCKET, option, 16 << 20)
        self.calls = 0
        "ns in the socket's calls"
        self.waited = 0
        "ns in select"
        self.packets = [0, 0]
        "in, out"

    def turn(self) -> None:
        """What is to go, what came, what is due."""
        self.flush()
        due, start = self.host.deadline_ns, now()
        wait = min(max((due - start) / 1e9, 0), 1) if due is not None else 1
        ready, _, _ = select.select([self.socket], [], [], wait)
        at = now()
        self.waited += at - start
        came = []
        for _ in range(BATCH if ready else 0):
            try:
                came.append(self.socket.recv(65535))
            except BlockingIOError:
                break
        self.calls += now() - at
        self.packets[0] += len(came)
        for octets in came:
            source, destination = text(octets[12:16]), text(octets[16:20])
            self.host.receive(octets[(octets[0] & 15) * 4 :], source, destination, now())
        self.host.wake(now())

    def flush(self) -> None:
        """What is to go."""
        packets = self.host.take()
        at = now()
        for out in packets:
            self.socket.sendto(out.packet, (out.destination, 0))
        self.calls += now() - at
        self.packets[1] += len(packets)

    def told(self, **more: object) -> dict[str, object]:
        """What is known at the end."""
        return {"calls": self.calls / 1e9, "waited": self.waited / 1e9, "packets": self.packets} | more


def ours_send(count: int) -> dict[str, object]:
    """Our endpoint sends."""
    loop = Loop(SENDER)
    association: Association = loop.host.open().associate(Endpoint(RECEIVER, PORT), now())
    while count or not association.is_over:
        while count and association.room >= len(MESSAGE):
            association.send(MESSAGE, now_ns=now())
            count -= 1
            if not count:
                association.shutdown(now())
        loop.turn()
    loop.flush()
    return loop.told()


def ours_take(count: int) -> dict[str, object]:
    """Our endpoint receives."""
    loop = Loop(RECEIVER)
    endpoint = loop.host.open(PORT)
    endpoint.listen()
    print("ready", flush=True)
    first, last, octets = 0, 0, 0
    while True:
        loop.turn()
        while endpoint.events:
            event = endpoint.events.popleft()
            if isinstance(event, Message):
                first, last = first or now(), now()
                octets += len(event.data)
                event.association.consumed(len(event.data), now())
            elif isinstance(event, Down):
                return loop.told(seconds=(last - first) / 1e9, octets=octets - len(MESSAGE))


def usrsctp_send(count: int) -> dict[str, object]:
    """usrsctp sends."""
    client = Peer(WINDOW).socket()
    client.connect(RECEIVER, PORT)
    for _ in range(count):
        client.send(MESSAGE, 0, 0)
    client.lib.usrsctp_shutdown(client.number, socket.SHUT_WR)
    client.receive()
    return {}


def usrsctp_take(count: int) -> dict[str, object]:
    """usrsctp receives."""
    listener = Peer(WINDOW).socket()
    listener.listen(PORT)
    print("ready", flush=True)
    first, last, octets = 0, 0, 0
    for data, _, _ in listener.accept().messages():
        first, last = first or now(), now()
        octets += len(data)
    return {"seconds": (last - first) / 1e9, "octets": octets - len(MESSAGE)}


ROLES: dict[str, Callable[[int], dict[str, object]]] = {
    "ours-send": ours_send, "ours-take": ours_take, "usrsctp-send": usrsctp_send, "usrsctp-take": usrsctp_take,
}  # fmt: skip


def role(name: str, count: int, cpu: int) -> None:
    """One process of a run."""
    os.sched_setaffinity(0, {cpu})
    begun, at = cpu_seconds(), now()
    told = ROLES[name](count)
    print(json.dumps(told | {"cpu": cpu_seconds() - begun, "wall": (now() - at) / 1e9}), flush=True)
    os._exit(0)  # usrsctp's threads have no end


def cpu_seconds() -> float:
    """User and system, of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run(network: object, sender: str, receiver: str, count: int) -> tuple[dict[str, float], dict[str, float]]:
    """One association; what both processes told."""
    cpus = sorted(os.sched_getaffinity(0))
    command = [sys.executable, __file__, "--count", str(count), "--role"]
    with network.inside("server"):  # type: ignore[attr-defined]
        taking = start([*command, f"{receiver}-take", "--cpu", str(cpus[-1])])
    assert taking.stdout
    if taking.stdout.readline() != "ready\n":
        sys.exit(f"{receiver} did not start")
    with network.inside("client"):  # type: ignore[attr-defined]
        sending = start([*command, f"{sender}-send", "--cpu", str(cpus[0])])
    outputs = [process.communicate(timeout=600)[0] for process in (sending, taking)]
    near, far = (json.loads(output.splitlines()[-1]) for output in outputs)
    return near, far


def start(command: list[str]) -> subprocess.Popen[str]:
    """A process whose output is read."""
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="One association's throughput: ours and usrsctp's.")
    parser.add_argument("--megabytes", type=int, default=100, help="in a run (100)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each pair (3)")
    for hidden, kind in (("--role", str), ("--count", int), ("--cpu", int)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        role(options.role, options.count, options.cpu)
    if os.geteuid():
        sys.exit("raw sockets and network namespaces: run as root")
    from rawlab.live.network import Network

    network = Network()
    pairs = [(sender, receiver) for sender in ("usrsctp", "ours") for receiver in ("usrsctp", "ours")]
    rates: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    last: dict[tuple[str, str], tuple[dict[str, float], dict[str, float]]] = {}
    for _ in range(options.repeat):
        for pair in pairs:
            near, far = last[pair] = run(network, *pair, options.megabytes * 1_000_000 // len(MESSAGE))
            rates[pair].append(far["octets"] / far["seconds"] / 1e6)
    cpus = len(os.sched_getaffinity(0))
    print(f"one association, {options.megabytes} MB in messages of {len(MESSAGE):,} octets, MTU 1500, {cpus} CPUs")
    print(f"{'sender':>8} {'receiver':>8} {'MB/s':>7} {'best':>7}   CPU seconds: sender receiver, of the time it took")
    for (sender, receiver), values in rates.items():
        near, far = last[sender, receiver]
        print(f"{sender:>8} {receiver:>8} {statistics.median(values):>7.1f} {max(values):>7.1f}", end="   ")
        shares = f"{near['cpu'] / near['wall']:.0%} {far['cpu'] / near['wall']:.0%}"
        print(f"{near['cpu']:>19.2f} {far['cpu']:>8.2f}   {shares}")
    ours, theirs = rates["ours", "ours"], rates["usrsctp", "usrsctp"]
    print(f"ours / usrsctp: {statistics.median(ours) / statistics.median(theirs):.2f} (medians)", end=", ")
    print(f"{max(ours) / max(theirs):.2f} (best runs)")
    cpu = [sum(one["cpu"] for one in last[name, name]) for name in ("ours", "usrsctp")]
    print(f"CPU of both ends, ours / usrsctp: {cpu[0] / cpu[1]:.2f}")
    near, far = last["ours", "ours"]
    busier = "sender" if near["cpu"] > far["cpu"] else "receiver"
    print(f"ours is bound by the CPU, the {busier}'s first; where that had rests, others had it:")
    for name, told in zip(("sender", "receiver"), (near, far), strict=True):
        share = told["calls"] / told["cpu"]
        packets = sum(told["packets"])  # type: ignore[call-overload]
        each = (told["cpu"] - told["calls"]) / packets * 1e6
        print(
            f"our {name}: {share:.0%} of its CPU in the socket's calls, the rest the protocol, {each:.1f} µs a packet;",
            end=" ",
        )
        print(f"{told['waited'] / told['wall']:.0%} of its time it waited")


if __name__ == "__main__":
    main()
