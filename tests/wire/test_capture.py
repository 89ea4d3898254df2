"""A timeline as a file's octets, and back; and that other programs read the same in them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from rawlab.model.event import Call, Frame
from rawlab.model.timeline import Host, Point, Run, Timeline
from rawlab.wire import capture
from tests.attribution.ladder import read as ladder
from tests.attribution.test_unproven import ECHO
from tests.by_hand import block, enhanced, interface, section, simple
from tests.wire.frames import scapy, tool
from tests.wire.timelines import timelines

TIMELINE = ladder(ECHO)


def octets(timeline: Timeline) -> bytes:
    return b"".join(capture.blocks_of(timeline))


def read(data: bytes) -> Timeline:
    timeline = capture.read(data)
    assert timeline is not None
    return timeline


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(timelines())
def test_a_timeline_comes_back_as_the_file_orders_it(timeline: Timeline) -> None:
    """The law: load(save(t)) == in_order(t), for calls of every kind and frames of any octets."""
    assert read(octets(timeline)) == capture.in_order(timeline)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(timelines())
def test_a_file_read_and_written_again_is_the_same_file(timeline: Timeline) -> None:
    """Octet for octet: nothing is lost, and the order is settled."""
    once = octets(timeline)
    assert octets(read(once)) == once


def test_frames_stand_in_order_of_time_and_are_numbered_with_the_calls() -> None:
    """At one instant a call's entry goes first, then frames, then its return; each is one record."""
    call = Call(host="client", pid=1, name="close", args=(("fd", 3),), result=0, entered_ns=5, returned_ns=5)
    frames = tuple(
        Frame(number=0, at_ns=at_ns, point=0, outgoing=True, data=data, length=1)
        for at_ns, data in ((9, b"c"), (5, b"a"), (5, b"b"))
    )
    point = Point(name="client", linktype=1, host="client", captured=3, dropped=0)
    timeline = Timeline(
        run=Run(rawlab="0"), hosts=(Host(name="client"),), points=(point,), calls=(call,), frames=frames
    )
    ordered = capture.in_order(timeline)
    assert [(frame.number, frame.data) for frame in ordered.frames] == [(2, b"a"), (3, b"b"), (5, b"c")]
    assert read(octets(timeline)) == ordered


def test_the_second_interface_of_a_host_is_that_hosts() -> None:
    """'client2' is the client's; an interface of another name is nobody's."""
    points = tuple(Point(name=name, linktype=1, host=host) for name, host in (("client2", "client"), ("eth2", None)))
    timeline = Timeline(run=Run(rawlab="0"), hosts=(Host(name="client"),), points=points, calls=(), frames=())
    assert read(octets(timeline)).points == points


def test_in_order_is_settled_after_once() -> None:
    """What is in order stays as it is."""
    once = capture.in_order(TIMELINE)
    assert capture.in_order(once) == once


def test_a_call_without_its_return_is_unfinished() -> None:
    """A run that was killed: the entry's block alone."""
    unfinished = replace(TIMELINE.calls[0], result=None, returned_ns=None)
    timeline = replace(TIMELINE, calls=(unfinished,), frames=())
    (found,) = read(octets(timeline)).calls
    assert found == unfinished


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic lab in a file."""
    path = tmp_path_factory.mktemp("capture") / "echo.pcapng"
    path.write_bytes(octets(TIMELINE))
    return path


def tshark(path: Path, *fields: str) -> list[list[str]]:
    command = [
        tool("tshark"),
        "-n",
        "-r",
        str(path),
        "-T",
        "fields",
        *(part for name in fields for part in ("-e", name)),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in run.stdout.splitlines()]


def test_tshark_numbers_and_times_the_frames_as_we_do(saved: Path) -> None:
    """frame.number counts packets and calls alike, and is what a packet's `frames` says; times to the nanosecond."""
    rows = tshark(saved, "frame.number", "frame.time_epoch", "frame.len", "frame.interface_name", "eth.src")
    packets = {int(row[0]): row for row in rows if row[4]}
    frames = capture.in_order(TIMELINE).frames
    assert [(number, row[1], int(row[2]), row[3]) for number, row in packets.items()] == [
        (
            frame.number,
            f"{frame.at_ns // 10**9}.{frame.at_ns % 10**9:09d}",
            frame.length,
            TIMELINE.points[frame.point].name,
        )
        for frame in frames
    ]
    returns = sum(call.returned_ns is not None for call in TIMELINE.calls)
    assert len(rows) == len(frames) + len(TIMELINE.calls) + returns


def test_tshark_shows_the_calls_as_rows(saved: Path) -> None:
    """Each in strace's words, at its entry and at its return."""
    rows = tshark(saved, "_ws.col.Info")
    text = "\n".join(row[0] for row in rows)
    assert "connect(3, 10.0.0.2:7 <unfinished ...>" in text
    assert "connect(3, 10.0.0.2:7) = 0" in text


def test_capinfos_finds_nothing_wrong(saved: Path) -> None:
    """Nanosecond stamps, two interfaces, and in order of time."""
    run = subprocess.run([tool("capinfos"), str(saved)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    told = " ".join(run.stdout.split())
    assert "File type: Wireshark/... - pcapng" in told
    assert "Strict time order: True" in told
    assert "Number of interfaces in file: 2" in told
    assert "Time precision = nanoseconds (9)" in told


def test_tcpdump_reads_the_packets(saved: Path) -> None:
    """One line a frame, with its time; the calls are passed over."""
    command = [tool("tcpdump"), "-n", "-tt", "--time-stamp-precision=nano", "-r", str(saved)]
    run = subprocess.run(command, capture_output=True, text=True)
    frames = capture.in_order(TIMELINE).frames
    times = [line.split()[0] for line in run.stdout.splitlines()]
    assert times == [f"{frame.at_ns // 10**9}.{frame.at_ns % 10**9:09d}" for frame in frames], run.stderr


def test_scapy_reads_the_packets(saved: Path) -> None:
    """The same octets in the same order."""
    reader: Any = scapy().utils.RawPcapNgReader(str(saved))
    with reader:
        found = [data for data, _ in reader]
    assert found == [bytes(frame.data) for frame in capture.in_order(TIMELINE).frames]


def test_every_checksum_is_right(saved: Path) -> None:
    """The ladders' frames are wire-true: tshark finds no bad IP or TCP checksum."""
    command = [tool("tshark"), "-n", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-r", str(saved)]
    bad = ["-Y", "tcp.checksum.status == 0 || ip.checksum.status == 0"]
    assert subprocess.run([*command, *bad], capture_output=True, text=True, check=True).stdout == ""


def test_a_packet_without_a_time_has_that_of_the_one_before() -> None:
    """And those before the first that has one, its; how many there are is told."""
    data = section() + interface() + simple(data=b"a") + simple(data=b"b")
    data += enhanced(ticks=5, data=b"c") + simple(data=b"d") + enhanced(ticks=7, data=b"e")
    found = capture.read(data)
    assert found is not None
    assert [(bytes(frame.data), frame.at_ns) for frame in found.frames] == [
        (b"a", 5_000),
        (b"b", 5_000),
        (b"c", 5_000),
        (b"d", 5_000),
        (b"e", 7_000),
    ]
    assert found.untimed == 3
    alone = capture.read(section() + interface() + simple(data=b"a"))
    assert alone is not None
    assert [frame.at_ns for frame in alone.frames] == [0]


def test_records_are_numbered_as_wireshark_numbers_them() -> None:
    """Custom blocks and sysdig's events have numbers, name records and what is not known have none."""
    blocks = [block(kind, bytes(8)) for kind in (4, 0x0BAD, 0x4000_0BAD, 0x204, 0x12345, 0x221)]
    found = capture.read(section() + interface() + enhanced(data=b"a") + b"".join(blocks) + enhanced(data=b"b"))
    assert found is not None
    assert [frame.number for frame in found.frames] == [1, 6]


def test_an_interface_is_its_section_s_own() -> None:
    """Counted through all sections; one of another section is none of this."""
    two = section() + interface() + interface() + section(">") + interface(">")
    found = capture.read(two + enhanced(">", data=b"a") + enhanced(">", point=1, data=b"b"))
    assert found is not None
    assert [frame.point for frame in found.frames] == [2]
    assert found.damage == "an interface below 1 expected, 1 came"
