"""A capture file is everyone's: stock readers open it and agree with rawlab on every frame, and `replay` prints what
`capture` printed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rawlab import store
from rawlab.model.timeline import Timeline
from rawlab.views.rendering import FORMATS
from tests.live import runs

LETTERS = ((0x01, "F"), (0x02, "S"), (0x04, "R"), (0x08, "P"), (0x10, "."), (0x20, "U"), (0x40, "E"), (0x80, "W"))


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Path, dict[str, Any]]]:
    """A capture with connections, segments and messages of several sizes: the file and the story."""
    runs.need_networks()
    with runs.open_folder() as folder:
        story = runs.capture(folder, "--message", "hello", "--size", "5000", "--clients", "2")
        yield folder / "tcp-echo.pcapng", story


@pytest.fixture
def path(made: tuple[Path, dict[str, Any]]) -> Path:
    return made[0]


@pytest.fixture
def story(made: tuple[Path, dict[str, Any]]) -> dict[str, Any]:
    return made[1]


def fields(path: Path, *names: str) -> list[list[str]]:
    """tshark's fields of every row."""
    words = (word for name in names for word in ("-e", name))
    return [line.split("\t") for line in runs.tshark(path, "-T", "fields", *words)]


def output(*command: str) -> str:
    """What a tool prints; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=runs.SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tshark_agrees(path: Path, story: dict[str, Any]) -> None:
    """Flags, relative numbers and length of each packet are tshark's for each of its frames, by frame.number."""
    runs.need("tshark")
    names = ("frame.number", "tcp.flags", "tcp.seq", "tcp.ack", "tcp.len", "tcp.seq_raw", "ip.src", "tcp.srcport")
    rows = {int(row[0]): row[1:] for row in fields(path, *names) if row[1]}
    compared = 0
    for packet in story["packets"]:
        for number in packet["frames"] if packet["protocol"] == "tcp" else ():
            flags, seq, ack, length, absolute, source, port = rows.pop(number)
            assert set(packet["flags"]) == {letter for bit, letter in LETTERS if int(flags, 16) & bit}
            assert (packet["seq"], packet["length"]) == (int(seq), int(length))
            assert packet["ack"] == (int(ack) if "." in packet["flags"] else None)
            assert packet["seq_absolute"] == int(absolute)
            assert packet["source"] == f"{source}:{port}"
            compared += 1
    assert not rows
    assert compared > 50


def test_tshark_shows_calls(path: Path, story: dict[str, Any]) -> None:
    """Each call is a row at its entry and one at its return, between the packets, in the order of time."""
    runs.need("tshark")
    rows = [line.split("systemd Journal ")[1] for line in runs.tshark(path) if "systemd Journal " in line]
    told = [row.partition(" ")[2] for row in rows]
    assert len(told) == 2 * len(story["calls"])
    for call in story["calls"]:
        assert call["text"] in told
    stamps = [int(stamp.replace(".", "")) for (stamp,) in fields(path, "frame.time_epoch")]
    # A journal's clock counts microseconds, cut off: a call's row may show up to one less than is true.
    assert all(later > earlier - 1000 for earlier, later in pairwise(stamps))
    frames = [frame.at_ns for frame in store.load(path).frames]
    assert frames == sorted(frames)


def test_direction_flags(path: Path) -> None:
    """Each frame tells whether its host sent it or got it, and where it was seen."""
    runs.need("tshark")
    sender = {"10.0.0.1": "client", "10.0.0.2": "server"}
    rows = fields(path, "frame.interface_name", "frame.packet_flags_direction", "ip.src")
    seen = [row for row in rows if row[2]]
    assert len(seen) > 50
    for interface, direction, source in seen:
        outbound, inbound = "0x00000002", "0x00000001"
        assert direction == (outbound if sender[source] == interface else inbound)


def test_drop_counts(path: Path) -> None:
    """The statistics blocks hold, for each interface, how many frames were captured and how many were dropped."""
    data = path.read_bytes()
    counts = [(5, captured, 0) for captured in captured_by_point(store.load(path))]
    found = []
    at = 0
    while at < len(data):
        kind, length = (int.from_bytes(data[at + k : at + k + 4], sys.byteorder) for k in (0, 4))
        if kind == 5:
            options = data[at + 20 : at + length - 4]
            found.append((kind, option(options, 4), option(options, 5)))
        at += length
    assert found == counts


def captured_by_point(timeline: Timeline) -> list[int]:
    return [sum(frame.point == index for frame in timeline.frames) for index in range(len(timeline.points))]


def option(area: bytes, wanted: int) -> int | None:
    """A 64-bit option of a block: isb_ifrecv is 4, isb_ifdrop 5."""
    at = 0
    while at < len(area):
        code, length = (int.from_bytes(area[at + k : at + k + 2], sys.byteorder) for k in (0, 2))
        if code == wanted:
            return int.from_bytes(area[at + 4 : at + 4 + length], sys.byteorder)
        at += 4 + (length + 3 & ~3)
    return None


def test_tcpdump(path: Path, story: dict[str, Any]) -> None:
    """tcpdump reads every frame, and names the same flags."""
    runs.need("tcpdump")
    lines = output("tcpdump", "-nnr", str(path)).splitlines()
    by_frame = {number: packet for packet in story["packets"] for number in packet["frames"]}
    assert len(lines) == len(by_frame)
    for line, (_, packet) in zip(lines, sorted(by_frame.items()), strict=True):
        flags = re.search(r"Flags \[(\S+)\]", line)
        assert (flags.group(1) if flags else None) == packet["flags"]


def test_capinfos(path: Path) -> None:
    """capinfos counts the frames of each point, and finds them in the order of time."""
    runs.need("capinfos")
    told = output("capinfos", str(path))
    assert re.search(r"Strict time order: +True", told)
    assert re.findall(r"Number of packets = (\d+)", told) == [str(n) for n in captured_by_point(store.load(path))]


def test_scapy(path: Path) -> None:
    """scapy's reader gets every frame, octet for octet."""
    program = "import sys; from scapy.utils import RawPcapNgReader as R; print([d.hex() for d, _ in R(sys.argv[1])])"
    read = json.loads(output(sys.executable, "-P", "-c", program, str(path)).replace("'", '"'))
    assert read == [bytes(frame.data).hex() for frame in store.load(path).frames]


def test_tcpreplay(path: Path) -> None:
    """tcpprep splits it, and tcpreplay sends every frame, here into a network of its own."""
    runs.need("tcpreplay", "tcpprep", "ip")
    cache = path.with_suffix(".cache")
    output("tcpprep", "--port", f"--pcap={path}", f"--cachefile={cache}")
    steps = "ip link add one type veth peer name other; ip link set one up; ip link set other up"
    send = f"tcpreplay -q -t -i one -I other -c '{cache}' '{path}'"
    told = output("unshare", "-rn", "sh", "-ec", f"{steps}; {send}")
    frames = len(store.load(path).frames)
    assert f"Actual: {frames} packets" in told
    assert re.search(r"Failed packets: +0", told)


def test_replay_repeats_capture(folder: Path) -> None:
    """The law: for each format, what `replay` prints is byte for byte what `capture` printed."""
    runs.need_networks()
    for arguments in (("--format", "json"), ("--format", "html"), ("--width", "100", "--table", "calls")):
        done = runs.rawlab("capture", "tcp-echo", "-o", "a.pcapng", "--force", *arguments, folder=folder)
        assert runs.rawlab("replay", "a.pcapng", *arguments, folder=folder) == runs.Done(code=0, out=done.out, err="")
        assert len(done.out) > 1000


def test_replay_in_every_format(folder: Path) -> None:
    """The law again, for each of the formats there are, in one process a side."""
    runs.need_networks()
    from rawlab import api
    from rawlab.views.rendering import render

    story = api.capture("tcp-echo", output=folder / "a.pcapng")
    loaded = api.load(folder / "a.pcapng")
    for format in FORMATS:
        assert render(loaded, format=format) == render(story, format=format)


def test_standard_output(folder: Path) -> None:
    """`-o -` sends the file down a pipe, in the order of time, and prints nothing else; tshark reads it there."""
    runs.need("tshark")
    runs.need_networks()
    command = f"{sys.executable} -P -m rawlab capture tcp-echo -o - | tshark -n -r - -T fields -e frame.number"
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, timeout=runs.SECONDS)
    assert done.returncode == 0
    assert "rawlab" not in done.stderr
    assert "cut short" not in done.stderr
    assert [int(number) for number in done.stdout.split()] == list(range(1, len(done.stdout.split()) + 1))
    assert len(done.stdout.split()) > 40
    assert not list(folder.iterdir())
