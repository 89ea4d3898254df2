"""`rawlab capture tcp-echo` against the real kernel: every packet has its cause, every octet its call, and the
states that are derived are those that the kernel tells."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rawlab import store
from rawlab.attribution import tcp
from rawlab.attribution.pairing import pair
from rawlab.attribution.sockets import Sockets
from rawlab.model.event import Call
from rawlab.model.timeline import Timeline
from rawlab.wire.decode import decode
from tests.live import runs

SHAPES = {
    "one message": (),
    "IPv6": ("--ipv6",),
    "two messages, three clients": ("--message", "a", "--message", "bb", "--clients", "3"),
    "many segments": ("--size", "100000"),
    "many segments, IPv6": ("--size", "40000", "--size", "1", "--ipv6"),
    "more than the file keeps": ("--size", "3000", "--keep", "100"),
    "nothing": ("--size", "0"),
    "another port": ("--port", "65535"),
}


def run_as_root(folder: Path, *arguments: str) -> dict[str, Any]:
    runs.need_root()
    return runs.capture(folder, *arguments)


def run_as_user(folder: Path, *arguments: str) -> dict[str, Any]:
    """By an ordinary user, in a user namespace: the one who runs the tests or, if that is root, another."""
    runs.need_networks()
    if os.geteuid():
        return runs.capture(folder, *arguments)
    runs.need_root()
    os.chown(folder, runs.NOBODY, runs.NOBODY)
    return runs.capture(folder, *arguments, user=runs.NOBODY)


def free_port() -> str:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return str(asked.getsockname()[1])


def captured(folder: Path) -> Timeline:
    return store.load(folder / "tcp-echo.pcapng")


def check_causes(story: dict[str, Any]) -> None:
    """Every packet has a cause; every segment with data is a call's, exactly, and its octets are that call's."""
    for packet in story["packets"]:
        cause = packet["cause"]
        assert cause["kind"] != "unknown", packet["text"]
        assert packet["lost"] is False
        if packet["protocol"] == "tcp" and packet["length"]:
            again = cause["kind"] == "kernel" and " again" in cause["reason"]  # a slow machine's kernel probes
            assert cause["kind"] == "call" or again, packet["text"]
            assert cause["confidence"] == "exact"
            assert sum(end - first for _, first, end in cause["bytes"]) == packet["length"]
    causes = [packet["cause"] for packet in story["packets"]]
    carried = [part for cause in causes if cause["kind"] == "call" for part in cause["bytes"]]
    written = {call["n"]: call["result"] for call in story["calls"] if call["call"] == "write"}
    for n, result in written.items():
        assert sum(end - first for call, first, end in carried if call == n) == result
    assert sum(end - first for _, first, end in carried) == sum(written.values())


def check_losses(story: dict[str, Any], timeline: Timeline) -> None:
    """Nothing was dropped, and the kernel captured as many frames as the file holds."""
    assert timeline.complete
    for index, loss in enumerate(story["losses"]):
        assert loss["dropped"] == 0
        assert loss["captured"] == sum(frame.point == index for frame in timeline.frames)


def lanes(timeline: Timeline) -> Iterator[tuple[Call, set[str]]]:
    """Each call at which the kernel told a state, with the states that the socket had, by RFC 9293's table and the
    packets, between the call's return and the moment after the kernel was asked."""
    hosts = [host.name for host in timeline.hosts]
    connections = tcp.attribute(pair(timeline, decode), Sockets(timeline.calls), hosts)
    ends = {(end.host, end.socket.inode): end for found in connections for end in found.ends if end.socket}
    listening = {(call.host, call.socket) for call in timeline.calls if call.name == "listen" and call.result == 0}
    for call in timeline.calls:
        if call.state is None or call.state_ns is None or call.returned_ns is None:
            continue
        key = call.host, call.socket if call.new_socket is None else call.new_socket
        assert key[1] is not None
        if call.name in ("socket", "bind"):
            yield call, {"CLOSED"}
        elif key in listening:
            yield call, {"LISTEN"}
        else:
            lane = ends[(call.host, key[1])].lane
            passed = {new.value for at, _, new in lane.transitions() if call.returned_ns < at <= call.state_ns}
            yield call, passed | {lane.at(call.returned_ns).value}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_as_root(folder: Path, shape: tuple[str, ...]) -> None:
    """Every packet has its cause, every octet written its segment, nothing is dropped, and the kernel's word on each
    socket's state is what the packets say."""
    check(run_as_root(folder, *shape), folder)


@pytest.mark.parametrize("shape", ["one message", "IPv6", "two messages, three clients", "many segments"])
def test_as_ordinary_user(folder: Path, shape: str) -> None:
    """The same without any privilege, in a user namespace."""
    check(run_as_user(folder, *SHAPES[shape]), folder)


def check(story: dict[str, Any], folder: Path) -> None:
    timeline = captured(folder)
    check_causes(story)
    check_losses(story, timeline)
    told = list(lanes(timeline))
    assert len(told) >= 7
    for call, states in told:
        assert call.state in states, call


@pytest.mark.parametrize("family", [(), ("--ipv6",)], ids=["IPv4", "IPv6"])
def test_loopback(folder: Path, family: tuple[str, ...]) -> None:
    """On loopback too, where each packet is seen once."""
    runs.need_root()
    story = runs.capture(folder, "--lo", "--port", free_port(), "--message", "a", "--clients", "2", *family)
    check_causes(story)
    check_losses(story, captured(folder))
    assert all(len(packet["frames"]) == 1 for packet in story["packets"])
    for call, states in lanes(captured(folder)):
        assert call.state in states, call


@pytest.mark.parametrize("family", [(), ("--ipv6",)], ids=["IPv4", "IPv6"])
def test_wire_true_frames(folder: Path, family: tuple[str, ...]) -> None:
    """Offloads are off: no frame is larger than the link carries, and each checksum is valid."""
    runs.need("tshark")
    runs.need_networks()
    runs.capture(folder, "--size", "100000", *family)
    fields = ("frame.len", "ip.checksum.status", "tcp.checksum.status")
    lines = runs.tshark(
        folder / "tcp-echo.pcapng",
        *("-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y", "tcp", "-T", "fields"),
        *(word for field in fields for word in ("-e", field)),
    )
    assert len(lines) > 2 * 2 * 100_000 / 1500
    for length, network, transport in (line.split("\t") for line in lines):
        assert int(length) <= 14 + 1500
        assert (network, transport) == ("" if family else "1", "1")  # 1: good


def test_runs_beside_each_other(folder: Path) -> None:
    """Two runs at a time in one folder write two files, each whole."""
    runs.need_networks()
    both = [runs.start("capture", "tcp-echo", "--format", "json", folder=folder) for _ in range(2)]
    for started in both:
        done = started.wait()
        assert done.code == 0, done.err
        check_causes(done.story)
    assert {path.name for path in folder.iterdir()} == {"tcp-echo.pcapng", "tcp-echo-2.pcapng"}


def test_api(folder: Path) -> None:
    """`rawlab.capture` runs a lab from Python, and gives the story that its file holds."""
    runs.need_networks()
    from rawlab import api

    story = api.capture("tcp-echo", messages=[b"one", b"two"], output=folder / "echo.pcapng")
    assert [call.call.result for call in story.calls if call.call.name == "write"] == [3, 3, 3, 3]
    assert str(story) == str(api.load(folder / "echo.pcapng"))
