"""The kernel's TCP at the other end: `python -m tests.endpoints.tcp.kernel ROLE …`, on a host of its own.

    serve COUNT         accepts so many connections and echoes each
    ask HOST COUNT      makes so many, eight at a time: sends a message, half-closes, compares the echo
    meet HOST SIZE SEED connects; sends so many octets while it receives as many, both half-close
    wait SIZE SEED      the same, and listens
    oob HOST            urgent data (MSG_OOB) both ways

What it saw is told as a line of JSON.
"""

from __future__ import annotations

import hashlib
import json
import select
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

PORT = 7
PATIENCE = 120


def message(number: int) -> bytes:
    """What the client of connection `number` says: 1 octet to 9 KB."""
    random = Random(number)
    return random.randbytes(random.choice((1, 100, 3000, random.randint(1, 9000))))


def stream(size: int, seed: int) -> bytes:
    """What goes one way."""
    return Random(seed).randbytes(size)


def listen(host: str = "::") -> socket.socket:
    """At all addresses of both versions."""
    listener = socket.create_server((host, PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)
    print("ready", flush=True)
    return listener


def read_all(connection: socket.socket) -> bytes:
    """To the end."""
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def echo(connection: socket.socket) -> None:
    """All of it, then the end."""
    with connection:
        connection.settimeout(PATIENCE)
        while part := connection.recv(1 << 16):
            connection.sendall(part)


def serve(count: int) -> dict[str, object]:
    """Echoes."""
    listener = listen()
    with ThreadPoolExecutor(32) as pool:
        done = [pool.submit(echo, listener.accept()[0]) for _ in range(count)]
    return {"echoed": sum(one.exception() is None for one in done)}


def ask(host: str, count: int) -> dict[str, object]:
    """Compares."""

    def one(number: int) -> bool:
        with socket.create_connection((host, PORT), timeout=PATIENCE) as connection:
            connection.sendall(message(number))
            connection.shutdown(socket.SHUT_WR)
            return read_all(connection) == message(number)

    with ThreadPoolExecutor(8) as pool:
        return {"right": sum(pool.map(one, range(count)))}


def both(connection: socket.socket, size: int, seed: int) -> dict[str, object]:
    """Sends `stream(size, seed)`, receives."""
    connection.settimeout(PATIENCE)

    def send() -> None:
        connection.sendall(stream(size, seed))
        connection.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    came = read_all(connection)
    sender.join()
    connection.close()
    return {"octets": len(came), "sha256": hashlib.sha256(came).hexdigest()}


def oob(host: str) -> dict[str, object]:
    """Sends urgent data, and reads the peer's."""
    with socket.create_connection((host, PORT), timeout=PATIENCE) as connection:
        connection.send(b"abc")
        connection.send(b"!", socket.MSG_OOB)
        connection.send(b"def")
        connection.shutdown(socket.SHUT_WR)
        select.select([], [], [connection], PATIENCE)
        urgent = connection.recv(1, socket.MSG_OOB)
        normal = read_all(connection)
    return {"normal": normal.decode(), "urgent": urgent.decode()}


def main() -> None:
    """One role."""
    role, *rest = sys.argv[1:]
    match role:
        case "serve":
            told = serve(int(rest[0]))
        case "ask":
            told = ask(rest[0], int(rest[1]))
        case "meet":
            told = both(socket.create_connection((rest[0], PORT), timeout=PATIENCE), int(rest[1]), int(rest[2]))
        case "wait":
            told = both(listen().accept()[0], int(rest[0]), int(rest[1]))
        case "oob":
            told = oob(rest[0])
        case _:
            raise SystemExit(f"{role}: what role?")
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
