"""What following a TCP connection tells of each segment is what tshark tells: of captures by others, ours, and random.

Where it is not, `EXPLAINED` says why; the test prints it, and each of its entries must occur.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from rawlab.attribution.tcp_analysis import TcpAnalysis
from rawlab.columns.analysis import TCP, Analysis
from rawlab.columns.reading import Reading
from rawlab.model.analysis import Finding, Mark
from tests.attribution.random_tcp import CIRCLE, Row, lossy, pcap, wild

ROOT = Path(__file__).resolve().parent.parent
OURS = ("close", "echo", "filtered", "half-close", "oob", "refused", "reset", "simultaneous-close", "stream", "window")
THEIRS = ROOT.parent / "shared" / "pcaps"
WITHOUT = ("sctp", "udp", "icmp", "frag", "raw-", "sll2", "file-")
"what has no TCP: tshark takes its time to start"
FILES = [
    *(path for name in OURS if (path := ROOT / "captures" / f"tcp-{name}.pcapng").exists()),
    *sorted(path for path in THEIRS.glob("*cap*") if not path.name.startswith(WITHOUT)),
]
NUMBERS = (
    *("frame.number", "tcp.stream", "tcp.seq", "tcp.ack", "tcp.window_size", "tcp.analysis.acks_frame"),
    *("tcp.analysis.duplicate_ack_num", "tcp.analysis.duplicate_ack_frame", "tcp.analysis.bytes_in_flight"),
    *("tcp.analysis.rto_frame", "tcp.analysis.ack_rtt", "tcp.analysis.rto", "tcp.analysis.initial_rtt"),
)
MARKS = {f"tcp.analysis.{str(mark.name).lower()}": mark for mark in Mark}
EXPLAINED: dict[str, tuple[tuple[int, ...], str]] = {
    "fuzz-be-2.pcap": (
        (40, 42, 43),
        "frame 27, a SYN with a TCP header that does not fit into the packet, begins a connection for tshark",
    ),
}
"of a file, the frames with marks that differ, and why"
Frame = dict[str, str]

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def tshark(path: Path) -> list[Frame]:
    """The frames with a whole TCP header: fields that are there, by name."""
    names = [*NUMBERS, *MARKS]
    asked = [word for name in names for word in ("-e", name)]
    command = ["tshark", "-n", "-r", str(path), "-Y", "tcp.len", "-T", "fields", "-E", "occurrence=l", *asked]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    lines = [line.split("\t") for line in run.stdout.splitlines()]
    return [{name: text for name, text in zip(names, line, strict=True) if text} for line in lines]


def marks_of(frame: Frame) -> Mark:
    return Mark(sum(mark for name, mark in MARKS.items() if name in frame))


def ns(text: str) -> int:
    """Seconds, as tshark prints them."""
    seconds, _, fraction = text.removeprefix("-").partition(".")
    found = int(seconds) * 10**9 + int(fraction.ljust(9, "0"))
    return -found if text.startswith("-") else found


def followed(rows: Sequence[Row]) -> Iterator[tuple[Finding, int]]:
    """What we find of each row, and the initial RTT by then."""
    known: dict[int, TcpAnalysis] = {}
    for number, row in enumerate(rows, 1):
        one = known.get(row.connection)
        if one is None or one.begins_anew(row.forward, row.seq, row.flags):
            one = known[row.connection] = TcpAnalysis(reused=one is not None)
        segment = row._asdict()
        del segment["connection"]
        sacked = sum((right - left) % CIRCLE for left, right in segment.pop("sack"))
        yield one.see(number=number, sacked=sacked, **segment), one.initial_rtt_ns


def as_tshark_says_it(number: int, finding: Finding) -> dict[str, str]:
    """Our finding by tshark's names, but for its marks and times."""
    numbers = {
        "frame.number": number,
        "tcp.seq": finding.seq,
        "tcp.ack": finding.ack,
        "tcp.window_size": finding.window,
        "tcp.analysis.acks_frame": finding.acks,
        "tcp.analysis.duplicate_ack_num": finding.duplicate_number or None,
        "tcp.analysis.duplicate_ack_frame": finding.duplicate_of,
        "tcp.analysis.bytes_in_flight": finding.in_flight,
        "tcp.analysis.rto_frame": finding.rto_of if finding.rto_ns else None,
    }
    return {name: str(value) for name, value in numbers.items() if value is not None}


KINDS: dict[str, Callable[[], list[Row]]] = {
    "wild": lambda: wild(Random(1), 500, 20),
    "wild, longer": lambda: wild(Random(2), 120, 120, 0.02),
    "wild, all flags": lambda: wild(Random(3), 500, 12, 0.5),
    "lossy": lambda: lossy(Random(4), 60, 120),
}
"some thousand segments each"


@pytest.mark.parametrize("kind", KINDS)
def test_all_fields_of_random_connections_are_tsharks(kind: str, tmp_path: Path) -> None:
    """Marks, relative numbers, scaled windows, times and the frames that they are counted from; the columns' marks."""
    rows, path = KINDS[kind](), tmp_path / "random.pcap"
    path.write_bytes(pcap(rows))
    frames = tshark(path)
    assert len(frames) == len(rows)
    for number, (frame, (finding, initial)) in enumerate(zip(frames, followed(rows), strict=True), 1):
        times = {
            "tcp.analysis.ack_rtt": finding.rtt_ns or 0,
            "tcp.analysis.rto": finding.rto_ns or 0,
            "tcp.analysis.initial_rtt": initial if "tcp.analysis.initial_rtt" in frame else 0,
        }
        expected = {name: value for name, value in frame.items() if name in NUMBERS and name not in times}
        del expected["tcp.stream"]
        assert as_tshark_says_it(number, finding) == expected
        assert {name: ns(frame.get(name, "0")) for name in times} == times, number
        assert finding.marks == marks_of(frame), number
    assert differences(path.read_bytes(), frames) == {}


def columns(capture: bytes) -> dict[int, tuple[int, int]]:
    """By frame number: the marks that columns have, and the flow."""
    reading = Reading(memoryview(capture))
    analysis, found = Analysis(reading.flows), {}
    for window in reading.windows():
        marks = analysis.marks(window)
        for row in (window.protocol == TCP).nonzero()[0].tolist():
            found[int(window.number[row])] = int(marks[row]), int(window.flow[row])
    return found


def differences(capture: bytes, frames: Sequence[Frame]) -> dict[int, str]:
    """By frame number, where columns say otherwise than tshark: of the marks, or of which frames are one connection."""
    ours = columns(capture)
    streams: dict[int, int] = {}
    flows: dict[int, int] = {}
    differ = {}
    for frame in frames:
        number, stream = int(frame["frame.number"]), int(frame["tcp.stream"])
        marks, flow = ours.get(number, (None, -1))
        if marks != marks_of(frame):
            differ[number] = f"marks {marks}, tshark's {marks_of(frame)}"
        elif streams.setdefault(flow, stream) != stream or flows.setdefault(stream, flow) != flow:
            differ[number] = f"of the connection of stream {streams[flow]}, tshark's stream {stream}"
    return differ


def test_every_frame_of_real_captures_has_tsharks_marks(capsys: pytest.CaptureFixture[str]) -> None:
    """Captures of our labs, and by others where they are: what differs is explained."""
    differ = {}
    for path in FILES:
        octets = path.read_bytes()
        capture = gzip.decompress(octets) if octets.startswith(b"\x1f\x8b") else octets
        differ.update({(path.name, frame): words for frame, words in differences(capture, tshark(path)).items()})
    there = {path.name for path in FILES}
    expected = {(name, frame) for name, (frames, _) in EXPLAINED.items() if name in there for frame in frames}
    with capsys.disabled():
        for name, (frames, why) in EXPLAINED.items():
            print(f"\n{name}, frames {frames}: {why}" * (name in there), end="")
    assert differ.keys() == expected, differ
