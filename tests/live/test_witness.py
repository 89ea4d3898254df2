"""strace as a second witness: what the table says of the lab's processes is what the kernel was asked, in order, with
the same results, and those processes ask for nothing else on Internet sockets."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.live import runs
from tests.live.traces import STRACE, traced

INTERNET = ("AF_INET", "<TCP", "<UDP", "<RAW", "<PING", "<SCTP", "<PACKET", "AF_PACKET")


def seen_of(host: str, trace: Path) -> list[tuple[str, int | None, str | None]]:
    """The host's calls that concern Internet sockets: name, result, errno."""
    calls = traced(trace, host)
    return [(call.name, call.result, call.errno) for call in calls if any(word in call.text for word in INTERNET)]


def told_of(host: str, story: dict[str, Any]) -> list[tuple[str, int | None, str | None]]:
    """The table's calls of that host."""
    return [(call["call"], call["result"], call["errno"]) for call in story["calls"] if call["host"] == host]


@pytest.mark.parametrize(
    "shape",
    [(), ("--ipv6",), ("--message", "a", "--size", "100000", "--clients", "2")],
    ids=["one message", "IPv6", "many segments"],
)
def test_strace_agrees(folder: Path, shape: tuple[str, ...]) -> None:
    """The client's and the server's calls on Internet sockets, by strace, are the table's: all of them, no others."""
    runs.need("strace")
    runs.need_networks()
    trace = folder / "strace"
    story = runs.capture(folder, *shape, before=[*STRACE, str(trace)])
    for host in ("client", "server"):
        told = told_of(host, story)
        assert len(told) >= 5
        assert seen_of(host, trace) == told


def test_strace_agrees_on_errors(folder: Path) -> None:
    """A call that fails: the same errno by both."""
    runs.need("strace")
    runs.need_root()
    trace = folder / "strace"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = ("capture", "tcp-echo", "--lo", "--port", str(taken.getsockname()[1]), "--format", "json")
        started = runs.start(*words, folder=folder, before=[*STRACE, str(trace)])
        connection, _ = taken.accept()
        connection.close()
        done = started.wait()
    told = told_of("server", done.story)
    assert ("bind", -1, "EADDRINUSE") in told
    assert seen_of("server", trace)[:3] == told[:3]
    assert not runs.leftovers(started.mark)
