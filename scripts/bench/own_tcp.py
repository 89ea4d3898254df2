"""Goodput of one TCP connection over a veth pair: our own TCP and the kernel's, in the same run.

    sudo .venv/bin/python scripts/bench/own_tcp.py --megabytes 50 --repeat 3

Two hosts, made here; on each one process, pinned to a CPU of its own, is the sender or the receiver: the kernel's TCP
behind a plain socket, or ours on a packet socket, at an address that no kernel has. All four pairs take turns. Offloads
are off, as in the lab: each segment is a packet of 1500 octets, for the kernel, too. Measured is from the first octet
to the last at the receiver.

What bounds it is told by the CPU: seconds of each process for the seconds that it took, and of ours, how much of it is
the protocol and how much the socket's calls. Nothing is asserted about time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from rawlab.endpoints.tcp import Data, Host, PeerClosed, Settings  # noqa: E402
from rawlab.model.address import Endpoint  # noqa: E402
from tests.endpoints.tcp.wire import Wire  # noqa: E402

ADDRESSES = {("kernel", "client"): "10.0.0.1", ("kernel", "server"): "10.0.0.2"}
ADDRESSES |= {("ours", "client"): "10.0.0.9", ("ours", "server"): "10.0.0.8"}
PORT = 7
PIECE = bytes(range(256)) * 256
SETTINGS = Settings(window_events=False, receive_buffer=4 << 20, send_buffer=1 << 20)

now = time.monotonic_ns


def ours_send(wire: Wire, octets: int, peer: str) -> None:
    """We connect and send."""
    connection = wire.host.open().connect(Endpoint(peer, PORT), now())
    while not connection.is_over:
        while octets and connection.room >= len(PIECE):
            octets -= connection.send(memoryview(PIECE)[:octets], now())
            if not octets:
                connection.shutdown(now())
        if connection.inbound.is_finished:
            break
        wire.turn()


def ours_take(wire: Wire) -> dict[str, object]:
    """We accept and receive; half-closes when the peer does."""
    endpoint = wire.host.open(PORT)
    endpoint.listen()
    print("ready", flush=True)
    first, octets = 0, 0
    while (connection := endpoint.accept()) is None:
        wire.turn()
    while True:
        while connection.events:
            event = connection.events.popleft()
            if isinstance(event, Data):
                first = first or now()
                octets += len(event.data)
                connection.consumed(len(event.data), now())
            elif isinstance(event, PeerClosed):
                last = now()
                connection.shutdown(last)
                while not connection.is_over:
                    wire.turn()
                return {"seconds": (last - first) / 1e9, "octets": octets}
        wire.turn()


def ours(role: str, host: str, peer: str, octets: int) -> dict[str, object]:
    """Our end."""
    address = ADDRESSES["ours", host]
    wire = Wire(Host([address], os.urandom, now(), SETTINGS), host)
    result = ours_take(wire) if role == "take" else ours_send(wire, octets, peer) or {}
    return result | {"calls": wire.calls / 1e9, "waited": wire.waited / 1e9, "packets": wire.packets}


def kernel(role: str, host: str, peer: str, octets: int) -> dict[str, object]:
    """The kernel's end."""
    if role == "send":
        with socket.create_connection((peer, PORT)) as connection:
            while octets:
                octets -= connection.send(memoryview(PIECE)[:octets])
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
        return {}
    listener = socket.create_server((ADDRESSES["kernel", host], PORT))
    print("ready", flush=True)
    connection, _ = listener.accept()
    first = 0
    room = memoryview(bytearray(1 << 18))
    while came := connection.recv_into(room):
        first = first or now()
        octets += came
    last = now()
    connection.close()
    return {"seconds": (last - first) / 1e9, "octets": octets}


def role(options: argparse.Namespace) -> None:
    """One process of a run."""
    os.sched_setaffinity(0, {options.cpu})
    begun, at = cpu_seconds(), now()
    kind, what, host = options.role.split("-")
    run_ = {"ours": ours, "kernel": kernel}[kind]
    told = run_(what, host, options.peer, options.octets)
    print(json.dumps(told | {"cpu": cpu_seconds() - begun, "wall": (now() - at) / 1e9}), flush=True)


def cpu_seconds() -> float:
    """User and system, of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run(network: object, sender: str, receiver: str, octets: int) -> tuple[dict[str, float], dict[str, float]]:
    """One connection; what both processes told."""
    cpus = sorted(os.sched_getaffinity(0))
    near, far = ADDRESSES[sender, "client"], ADDRESSES[receiver, "server"]
    command = [sys.executable, __file__, "--octets"]
    with network.inside("server"):  # type: ignore[attr-defined]
        taking = start([*command, "0", "--role", f"{receiver}-take-server", "--peer", near, "--cpu", str(cpus[-1])])
    assert taking.stdout
    if taking.stdout.readline() != "ready\n":
        sys.exit(f"{receiver} did not start")
    with network.inside("client"):  # type: ignore[attr-defined]
        words = ["--role", f"{sender}-send-client", "--peer", far, "--cpu", str(cpus[0])]
        sending = start([*command, str(octets), *words])
    outputs = [process.communicate(timeout=600)[0] for process in (sending, taking)]
    sent, taken = (json.loads(output.splitlines()[-1]) for output in outputs)
    return sent, taken


def start(command: list[str]) -> subprocess.Popen[str]:
    """A process whose output is read."""
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="One connection's goodput: our own TCP and the kernel's.")
    parser.add_argument("--megabytes", type=int, default=50, help="in a run (50)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each pair (3)")
    for hidden, kind in (("--role", str), ("--peer", str), ("--octets", int), ("--cpu", int)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        role(options)
        return
    if os.geteuid():
        sys.exit("packet sockets and network namespaces: run as root")
    from rawlab.live.network import Network

    network = Network()
    pairs = [(sender, receiver) for sender in ("kernel", "ours") for receiver in ("kernel", "ours")]
    rates: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    last: dict[tuple[str, str], tuple[dict[str, float], dict[str, float]]] = {}
    for _ in range(options.repeat):
        for pair in pairs:
            near, far = last[pair] = run(network, *pair, options.megabytes * 1_000_000)
            rates[pair].append(far["octets"] / far["seconds"] / 1e6)
    print(f"one connection, {options.megabytes} MB, MTU 1500, no offloads, {len(os.sched_getaffinity(0))} CPUs")
    print(f"{'sender':>8} {'receiver':>8} {'MB/s':>7}   all runs             CPU: sender receiver, of the time it took")
    for (sender, receiver), values in rates.items():
        near, far = last[sender, receiver]
        print(f"{sender:>8} {receiver:>8} {statistics.median(values):>7.1f}", end="   ")
        print(f"{' '.join(f'{value:.1f}' for value in sorted(values)):<20}", end=" ")
        print(f"{near['cpu'] / near['wall']:>11.0%} {far['cpu'] / near['wall']:>8.0%}")
    best = statistics.median(rates["kernel", "kernel"])
    for pair in pairs[1:]:
        print(f"{pair[0]} to {pair[1]} / kernel to kernel: {statistics.median(rates[pair]) / best:.3f}")
    for name, told in (("sender", last["ours", "kernel"][0]), ("receiver", last["kernel", "ours"][1])):
        packets = sum(told["packets"])  # type: ignore[call-overload]
        each = (told["cpu"] - told["calls"]) / packets * 1e6
        print(f"our {name}: {told['calls'] / told['cpu']:.0%} of its CPU in the socket's calls,", end=" ")
        waited = told["waited"] / told["wall"]
        print(f"the rest the protocol, {each:.1f} µs a packet; {waited:.0%} of its time it waited")


if __name__ == "__main__":
    main()
