"""What is counted of flows, held against tshark: every conversation, its frames and octets, and each frame's fields."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from rawlab import store
from rawlab.columns.flow_table import FlowTable
from rawlab.columns.frames import Frames
from rawlab.columns.survey import Survey
from tests import many

ROOT = Path(__file__).parents[2]
PCAPS = ROOT.parent / "shared" / "pcaps"
FILES = sorted(PCAPS.glob("*.*cap*")) if PCAPS.is_dir() else []
pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not here")

PROTOCOLS = ("tcp", "udp", "sctp")
# (file, protocol): why tshark's conversations are others.
DIFFERENT = {
    ("frag4-udp.pcap", "udp"): "of a datagram in fragments tshark counts the one that makes it whole",
    ("frag6-dns.pcap", "udp"): "of a datagram in fragments tshark counts the one that makes it whole",
    ("tcp-snaplen-short.pcap", "tcp"): "tshark does not count a segment whose header is cut in the sequence number",
    ("fuzz-be-2.pcap", "tcp"): "tshark begins a connection anew at a SYN that comes after its SYN-ACK",
}
_LINE = re.compile(
    r"(\S+)\s+<->\s+(\S+)\s+(\d+) (\d+) (bytes|kB|MB)\s+(\d+) (\d+) (bytes|kB|MB)\s+(\d+) (\d+) (bytes|kB|MB)\s"
)
_UNITS = {"bytes": 1, "kB": 1000, "MB": 1_000_000}
Conversation = tuple[frozenset[tuple[str, int, int]], int]
"both ends, each with the frames and octets that it sent; all frames"


def surveyed(octets: bytes) -> FlowTable:
    return Survey(memoryview(octets)).run().table()


def whole(numbers: tuple[int, str]) -> int:
    return numbers[0] * _UNITS[numbers[1]]


def tsharks(path: Path) -> dict[str, Counter[Conversation]]:
    """Conversations by `tshark -z conv`, protocol by protocol."""
    words = ["tshark", "-r", str(path), "-q", *(word for of in PROTOCOLS for word in ("-z", f"conv,{of}"))]
    said = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60).stdout
    found: dict[str, Counter[Conversation]] = {of: Counter() for of in PROTOCOLS}
    for part in said.split("Conversations\n")[:0:-1]:
        of = said[: said.index(part)].removesuffix(" Conversations\n").rpartition("\n")[2].lower()
        for a, b, *counts in _LINE.findall(part):
            back, back_octets, unit, there, octets, there_unit, frames, _, _ = counts
            ends = {(a, int(there), whole((int(octets), there_unit))), (b, int(back), whole((int(back_octets), unit)))}
            found[of][frozenset(ends), int(frames)] += 1
    return found


def ours(table: FlowTable, protocol: str) -> Counter[Conversation]:
    names = ("protocol", "source", "source_port", "destination", "destination_port")
    counts = ("packets_out", "bytes_out", "packets_in", "bytes_in", "packets")
    found: Counter[Conversation] = Counter()
    rows = table.lists((*names, *counts))
    for of, a, a_port, b, b_port, out, out_octets, back, back_octets, frames in zip(*rows.values(), strict=True):
        if of == protocol and a_port is not None:
            ends = {(f"{a}:{a_port}", out, out_octets), (f"{b}:{b_port}", back, back_octets)}
            found[frozenset(ends), frames] += 1
    return found


def rounded(found: Counter[Conversation]) -> Counter[Conversation]:
    """As tshark writes amounts: from 10,000 octets on in kB."""
    return Counter(
        {
            (frozenset((end, frames, octets if octets < 10_000 else -1) for end, frames, octets in ends), all_frames): n
            for (ends, all_frames), n in found.items()
        }
    )


@pytest.mark.skipif(not FILES, reason="shared/pcaps is not here")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_conversations_are_tsharks(path: Path) -> None:
    """Of each capture by others: the same conversations, frames and octets, or the difference is a known one."""
    table, theirs = surveyed(bytes(store.opened(str(path)).octets)), tsharks(path)
    for protocol in PROTOCOLS:
        same = rounded(ours(table, protocol)) == rounded(theirs[protocol])
        assert same == ((path.name, protocol) not in DIFFERENT), (protocol, DIFFERENT.get((path.name, protocol)))


def test_conversations_of_a_built_capture_are_tsharks(tmp_path: Path) -> None:
    """Many connections side by side, their frames interleaved over several windows' worth of rows."""
    lanes = [many.conversation(number, [b"x" * 700] * 8) for number in range(300)]
    frames = [lane[index] for index in range(len(lanes[0])) for lane in lanes] + many.mixed()
    path = tmp_path / "many.pcap"
    path.write_bytes(many.pcap(frames))
    table, theirs = surveyed(path.read_bytes()), tsharks(path)
    assert theirs["tcp"].total() == 302
    for protocol in PROTOCOLS:
        assert ours(table, protocol) == theirs[protocol]
    assert int(table.values("packets").sum()) == len(frames)
    assert int(table.values("bytes").sum()) == sum(map(len, frames))


def test_how_flows_open_and_end_is_told() -> None:
    """A whole connection, a refused one, one that nobody answers; what opens nothing tells nothing."""
    table = surveyed(many.pcap(many.mixed()))
    told = table.lists(("protocol", "opened", "ended", "icmp_errors", "tcp_retransmissions"))
    assert list(zip(*told.values(), strict=True)) == [
        ("arp", None, None, 0, 0),
        ("tcp", "handshake", "FIN both", 0, 0),
        ("tcp", "refused", "RST by B", 0, 0),
        ("tcp", "SYN only", None, 0, 1),
        ("udp", None, None, 1, 0),
        ("icmp", None, None, 0, 0),
    ]


def test_the_round_trip_of_the_handshake_is_tsharks(tmp_path: Path) -> None:
    """From the SYN to the ACK that completes it, whoever came first in the file."""
    path = tmp_path / "one.pcap"
    path.write_bytes(many.pcap(many.conversation(1), step_us=1234))
    words = ["tshark", "-r", str(path), "-T", "fields", "-e", "tcp.analysis.initial_rtt"]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert {f"{surveyed(path.read_bytes()).values('handshake_rtt_ns')[0] / 1e9:.9f}"} == set(said)


def test_joined_in_the_middle_is_said() -> None:
    """No SYN: joined; a SYN-ACK alone tells who opened it."""
    frames = many.conversation(1)
    joined, partial = surveyed(many.pcap(frames[3:])), surveyed(many.pcap(frames[1:]))
    assert joined.values("opened").tolist() == ["joined"]
    assert partial.values("opened").tolist() == ["partial"]
    assert " – " in joined.values("ends")[0]
    assert partial.values("ends")[0] == "10.2.0.1:80 ← 10.1.0.1:20001"


def test_a_short_snap_length_is_counted() -> None:
    """Each frame of which octets are missing."""
    frames = many.conversation(1, [b"x" * 500] * 3)
    assert surveyed(many.pcap(frames, snaplen=100)).values("cut").tolist() == [3]


@pytest.mark.skipif(not FILES, reason="shared/pcaps is not here")
def test_round_trips_are_told_where_they_are_asked_for() -> None:
    """tshark's `tcp.analysis.ack_rtt` of a handshake and its data; without `rtts` nothing is looked for."""
    ends = (many.conversation(number, [b"x" * 300, b"y" * 200]) for number in range(2))
    octets = many.pcap([frame for frames in ends for frame in frames])
    words = ["tshark", "-r", "-", "-T", "fields", "-e", "tcp.analysis.ack_rtt"]
    said = subprocess.run(words, input=octets, capture_output=True, check=True, timeout=60).stdout.decode()
    expected = [round(float(line) * 1e9) if line else -1 for line in said.splitlines()]
    survey = Survey(memoryview(octets), rtts=True)
    assert [rtt for _ in survey.windows() for rtt in survey.rtt_ns.tolist()] == expected
    assert max(expected) > 0
    assert not len((plain := Survey(memoryview(octets)).run()).rtt_ns)
    assert plain.totals.frames == len(expected)


@pytest.mark.parametrize("name", ["tcp-sack.cap", "tcp-wscale.pcapng", "tcp-missing-syn.pcap"])
def test_relative_numbers_are_tsharks(name: str) -> None:
    """Sequence and acknowledgment numbers, lengths and windows, frame by frame."""
    fields = ("frame.number", "tcp.seq", "tcp.ack", "tcp.len", "tcp.window_size_value", "frame.len", "tcp.flags")
    words = ["tshark", "-r", str(PCAPS / name), "-Y", "tcp", "-T", "fields", *(w for f in fields for w in ("-e", f))]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    expected = [[int(cell, 0) for cell in line.split("\t")] for line in said.splitlines()]
    survey = Survey(store.opened(str(PCAPS / name)).octets)
    frames, got = Frames(survey.names), list[list[int]]()
    for window, marks in survey.windows():
        batch = frames.batch(window, marks)
        columns = [batch[each] for each in ("number", "seq", "ack", "payload", "window", "length")]
        got += [list(row) for row in zip(*(column.tolist() for column in (*columns, window.flags)), strict=True)]
    assert [[max(cell, 0) for cell in row] for row in got] == expected
