"""`rawlab replay` of a stranger's capture: one conversation is told, many are listed, each can be told."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import many

ROOT = Path(__file__).parents[1]
RAWLAB = [sys.executable, "-P", "-m", "rawlab"]
ENVIRONMENT = os.environ | {"NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
OWN = ROOT / "captures" / "tcp-echo.pcapng"


def rawlab(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """What the command says."""
    said = [*RAWLAB, *map(str, words)]
    return subprocess.run(said, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=100)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six flows: see `many.mixed`."""
    path = tmp_path_factory.mktemp("captures") / "mixed.pcap"
    path.write_bytes(many.pcap(many.mixed()))
    return path


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One conversation, and ARP before it."""
    path = tmp_path_factory.mktemp("captures") / "one.pcap"
    path.write_bytes(many.pcap([many.arp(), *many.conversation(1)]))
    return path


def test_many_flows_are_listed(mixed: Path) -> None:
    """A line each, a summary, and how to see one."""
    lines = rawlab("replay", mixed).stdout.splitlines()
    assert len(lines) == 2 + 6 + 1 + 2
    assert lines[3].split()[:5] == ["2", "tcp", "10.1.0.1:20001", "→", "10.2.0.1:80"]
    assert "handshake" in lines[3]
    assert "FIN both" in lines[3]
    assert "refused" in lines[4]
    assert "ICMP error about it 1×" in lines[6]
    assert lines[-2].startswith("6 flows (tcp 3, arp 1, udp 1, icmp 1), 17 frames in 0.016 s")
    assert lines[-1].endswith("--flow 2 tells one of them")


def test_a_row_that_is_not_there(one: Path) -> None:
    """What rows there are is said; where no calls were recorded, there are none."""
    done = rawlab("explain", f"{one}:p99")
    assert done.returncode == 2
    assert "p99: no such row; " in done.stderr
    assert " has p1 to p" in done.stderr


def test_one_conversation_is_told_at_once(one: Path) -> None:
    """ARP beside it makes no list of it."""
    told = rawlab("replay", one).stdout
    assert "[S]" in told
    assert "packets" in told.splitlines()[-1] or "packet" in told
    assert "--flow" not in told


def test_one_conversation_is_listed_if_asked(one: Path) -> None:
    """`--table flows`."""
    assert "2 flows (arp 1, tcp 1)" in rawlab("replay", one, "--table", "flows").stdout


def test_a_flow_is_told_with_what_quotes_it(mixed: Path) -> None:
    """Its frames keep their numbers; the ICMP error about it is told with it."""
    story = json.loads(rawlab("replay", mixed, "--flow", "5", "--format", "json").stdout)
    assert [packet["frames"] for packet in story["packets"]] == [[16], [17]]
    assert [packet["protocol"] for packet in story["packets"]] == ["udp", "icmp"]


@pytest.mark.parametrize("more", [["--ladder"], ["--over", "0.01"], ["--notes"], ["--table", "calls"]])
def test_a_flow_is_told_in_all_ways(mixed: Path, more: list[str]) -> None:
    """With replay's other options."""
    done = rawlab("replay", mixed, "--flow", "2", *more)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_all_as_one_story_if_asked(mixed: Path) -> None:
    """`--format json` is the story of all flows."""
    assert len(json.loads(rawlab("replay", mixed, "--format", "json").stdout)["packets"]) == 17


def test_flows_are_sorted_and_chosen(mixed: Path) -> None:
    """By any column, upwards or downwards; --where leaves some, and the summary says how many are left out."""
    words = ["--table", "flows", "--format", "json", "--sort=protocol,-packets", "--where", "protocol in (tcp, udp)"]
    flows = json.loads(rawlab("replay", mixed, *words).stdout)
    assert [(flow["protocol"], flow["packets"]) for flow in flows] == [("tcp", 10), ("tcp", 2), ("tcp", 2), ("udp", 1)]
    assert "--where leaves out 5 flows" in rawlab("replay", mixed, "--where", "opened == refused").stdout


def test_every_frame_in_a_line(mixed: Path) -> None:
    """`--format tsv` of many flows; a header names the columns."""
    header, *lines = rawlab("replay", mixed, "--format", "tsv").stdout.splitlines()
    assert header.split("\t")[:6] == ["number", "time", "flow", "source", "destination", "protocol"]
    assert len(lines) == 17
    ends = "10.1.0.1:20001\t10.2.0.1:80\ttcp"
    assert lines[1] == f"2\t0.001000000\t2\t{ends}\t54\tS\t0\t\t1000\t0\t"
    assert lines[4] == f"5\t0.004000000\t2\t{ends}\t59\tP.\t1\t1\t1000\t5\t"


@pytest.mark.parametrize("format", ["simple", "json", "github", "tsv"])
def test_frames_of_the_chosen_flows(mixed: Path, format: str) -> None:
    """--where chooses flows, --table frames shows theirs, in each format."""
    said = rawlab("replay", mixed, "--table", "frames", "--where", "opened == refused", "--format", format).stdout
    assert said.count("10.0.0.1:4000") == 2
    assert "10.1.0.1" not in said


def test_a_recording_of_ours_is_told_as_ever() -> None:
    """And its flows are listed if asked; what is seen where it leaves and where it arrives was not sent twice."""
    assert "c1 " in rawlab("replay", OWN).stdout
    flows = json.loads(rawlab("replay", OWN, "--table", "flows", "--format", "json").stdout)
    assert [flow["protocol"] for flow in flows] == ["arp", "tcp"]
    assert [flow["tcp_retransmissions"] for flow in flows] == [0, 0]
    story = json.loads(rawlab("replay", OWN, "--flow", "2", "--format", "json").stdout)
    assert {packet["protocol"] for packet in story["packets"]} == {"tcp"}
    assert {call["call"] for call in story["calls"]} >= {"socket", "listen", "connect", "accept", "close"}
    assert all(packet["cause"]["kind"] != "unknown" for packet in story["packets"])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--flow", "7"], 2, "--flow 7: no such flow; there are 1 to 6"),
        (["--flow", "1", "--where", "packets"], 2, "--flow tells one flow: leave --where out"),
        (["--where", "packts > 1"], 2, "nearest: packets"),
        (["--sort", "packts"], 2, "nearest: packets"),
        (["--sort", "packets", "--ladder"], 2, "--sort is of the list of flows, --ladder of a story"),
        (["--table", "frames", "--sort", "packets"], 2, "frames come in the order of the file"),
        (["--table", "flows", "--format", "svg"], 2, "a list is no picture"),
        (["--flow", "0"], 2, "a number from 1"),
    ],
)
def test_what_does_not_go_is_said_in_a_line(mixed: Path, words: list[str], code: int, says: str) -> None:
    """And nothing else is."""
    done = rawlab("replay", mixed, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert says in done.stderr


def test_help_lists_the_columns() -> None:
    """One table, for both."""
    said = rawlab("replay", OWN, "--where", "help").stdout
    assert said == rawlab("replay", OWN, "--sort", "help").stdout
    assert "tcp.retransmissions" in said
    assert "opened" in said


def test_damage_is_told_after_what_is_whole(tmp_path: Path) -> None:
    """The list, then one line with the place; exit code 5."""
    octets = many.pcap(many.mixed())
    (tmp_path / "cut.pcap").write_bytes(octets[:-10])
    for words in ([], ["--format", "tsv"], ["--flow", "2"], ["--table", "flows", "--format", "json"]):
        done = rawlab("replay", tmp_path / "cut.pcap", *words)
        assert done.returncode == 5
        assert "16 packets read, damaged at byte" in done.stderr
        assert done.stderr.count("\n") == 1
        assert "10.1.0.1" in done.stdout


def test_no_packet_is_said(tmp_path: Path) -> None:
    """An empty capture is no error."""
    (tmp_path / "none.pcap").write_bytes(many.pcap([]))
    done = rawlab("replay", tmp_path / "none.pcap")
    assert (done.returncode, done.stdout, done.stderr) == (0, "no packet\n", "")


def test_an_unknown_link_type_is_listed_by_its_name(tmp_path: Path) -> None:
    """Its frames are opaque; two of them are one flow, since nothing tells them apart."""
    (tmp_path / "opaque.pcap").write_bytes(many.pcap([b"12345678"] * 3, linktype=195))
    said = rawlab("replay", tmp_path / "opaque.pcap", "--table", "flows").stdout
    assert "1 flow (IEEE802_15_4 1), 3 frames" in said
    assert "3 frames not decoded (IEEE802_15_4 3)" in said


def test_a_large_conversation_is_listed(tmp_path: Path) -> None:
    """More than 10,000 packets are no story unless it is asked for."""
    (tmp_path / "large.pcap").write_bytes(many.pcap(many.conversation(1, [b"x"] * 6000)))
    said = rawlab("replay", tmp_path / "large.pcap").stdout
    assert "12006 frames" in said
    assert "--flow 1 tells" in said


def on_terminal(*words: str | Path) -> tuple[str, int]:
    """What it writes to a terminal, and its exit code."""
    ours, theirs = pty.openpty()
    command = [*RAWLAB, *map(str, words)]
    told = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=ENVIRONMENT | {"TERM": "xterm"})
    os.close(theirs)
    said = b""
    try:
        with contextlib.suppress(OSError):  # the terminal's other end is closed: it ended
            while piece := os.read(ours, 65536):
                said += piece
        return said.decode(), told.wait(100)
    finally:
        told.kill()
        told.wait()
        os.close(ours)


def test_a_terminal_shows_a_thousand_rows(tmp_path: Path) -> None:
    """The middle of more is left out, and a row says how many."""
    lanes = [many.conversation(number) for number in range(1200)]
    (tmp_path / "many.pcap").write_bytes(many.pcap(frame for lane in lanes for frame in lane[:1]))
    said, code = on_terminal("replay", tmp_path / "many.pcap", "--width", "200")
    assert code == 0
    assert "200 rows left out" in said
    frames, code = on_terminal("replay", tmp_path / "many.pcap", "--table", "frames", "--width", "200")
    assert "200 rows left out; --full shows them" in frames


def test_interrupted_it_ends_without_a_word(tmp_path: Path) -> None:
    """^C while a long capture is read: 130, no traceback."""
    ours, theirs = os.pipe()
    command = [*RAWLAB, "replay", "-", "--table", "flows"]
    told = subprocess.Popen(command, stdin=ours, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)
    os.close(ours)
    try:
        os.write(theirs, many.pcap(many.mixed()))
        os.write(theirs, b"\0" * 60_000)  # it reads, and waits for more
        for _ in range(60):  # one that comes while Python starts may be lost
            told.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                told.wait(1)
                break
        _, said = told.communicate(timeout=10)
        assert told.returncode in (130, -signal.SIGINT)  # Python itself was still starting
        assert b"Traceback" not in said or told.returncode == -signal.SIGINT
    finally:
        os.close(theirs)
        told.kill()
        told.wait()


_HEAVY = ("numpy", "tabulate", "wcwidth", "scapy", "pyroute2", "rawlab.attribution.connection", "rawlab.model.story")
_LOADED = """
import sys
from rawlab import cli
assert cli.main(sys.argv[2:]) == 0
print("loaded:", *(name for name in sys.argv[1].split() if name in sys.modules))
"""


def loaded(*words: str | Path) -> list[str]:
    """Which of _HEAVY a command imports."""
    said = [sys.executable, "-P", "-c", _LOADED, " ".join(_HEAVY), *map(str, words)]
    done = subprocess.run(said, env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=100)
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize("more", [[], ["--width", "100", "--where", "port"]])
def test_a_list_needs_nothing_that_tells_a_story(more: list[str], tmp_path: Path) -> None:
    """No tabulate, wcwidth, scapy, and none of attribution but the numbers that `columns.analysis` shares with it."""
    bare = tmp_path / "bare.pcap"  # the errors that quote a flow are decoded one at a time, by what decodes for stories
    bare.write_bytes(many.pcap([*many.conversation(1), *many.conversation(2)]))
    assert loaded("replay", bare, *more) == ["numpy"]


def test_a_small_capture_of_ours_is_told_without_numpy() -> None:
    """Nor scapy, nor what makes the lab."""
    assert not {"numpy", "scapy", "pyroute2"} & {*loaded("replay", OWN)}


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More packets than a story has room for, in two flows."""
    path = tmp_path_factory.mktemp("captures") / "huge.pcap"
    few, one = many.conversation(1), many.tcp(("10.0.0.8", 1), ("10.0.0.9", 2), 16, 1)
    path.write_bytes(many.pcap([*[one] * 100_001, *few]))
    return path


def test_too_many_packets_for_a_story_is_said_in_a_line(huge: Path, tmp_path: Path) -> None:
    """By `explain`, and by `annotate` unless one flow is taken: by the number that the list has for it."""
    annotated: list[str | Path] = [huge, "-o", tmp_path / "all.txt"]
    words: dict[str, list[str | Path]] = {"explain": [f"{huge}:p100000"], "annotate": annotated}
    for command, more in words.items():
        done = rawlab(command, *more)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "100,009 packets are too many for one story (most: 100,000)" in done.stderr
    drawn = rawlab("annotate", huge, "--flow", "2", "-o", "-", "--format", "json")
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert drawn.stdout == rawlab("replay", huge, "--flow", "2", "--format", "json").stdout


def test_a_flow_has_one_number(mixed: Path) -> None:
    """Of a stranger's capture that may be told as a whole, too."""
    drawn = rawlab("annotate", mixed, "--flow", "5", "-o", "-", "--format", "json").stdout
    assert [packet["frames"] for packet in json.loads(drawn)["packets"]] == [[16], [17]]
    refused = rawlab("annotate", mixed, "--flow", "7", "-o", "-", "--format", "txt").stderr
    assert "no such flow; there are 1 to 6" in refused


def test_no_calls_is_a_sentence(mixed: Path) -> None:
    """An empty table would tell nothing."""
    said = rawlab("replay", mixed, "--flow", "2", "--table", "calls").stdout
    assert said.startswith("no calls: the capture holds packets only; --strace LOG adds them\n")


def test_a_file_out_of_order_is_said(tmp_path: Path) -> None:
    """The list keeps the order of the file, where a story has that of time."""
    octets = many.pcap(many.conversation(1))
    size = 16 + 54
    turned = octets[:24] + octets[24 + size : 24 + 2 * size] + octets[24 : 24 + size] + octets[24 + 2 * size :]
    (tmp_path / "turned.pcap").write_bytes(turned)
    said = rawlab("replay", tmp_path / "turned.pcap", "--table", "flows").stdout
    assert "not in order of time (a frame is older than the one before): listed in the order of the file" in said


def test_a_link_type_without_a_name_is_named_by_its_number(tmp_path: Path) -> None:
    """A flow without ends says what carried it."""
    (tmp_path / "opaque.pcap").write_bytes(many.pcap([b"12345678"] * 3, linktype=9999))
    said = rawlab("replay", tmp_path / "opaque.pcap", "--table", "flows").stdout
    assert "link:9999  link type 9999  " in said
    assert "→  " not in said.splitlines()[2]


def test_marks_have_one_name_everywhere(tmp_path: Path) -> None:
    """In the story, in the frames' lines, in the list."""
    frames = many.conversation(1, [b"x" * 100] * 3)
    del frames[3:5]
    (tmp_path / "gap.pcap").write_bytes(many.pcap([*frames[:3], *frames[3:], frames[3]]))
    word = "previous segment not captured"
    assert f"[{word}]" in rawlab("replay", tmp_path / "gap.pcap").stdout
    assert f"\t{word}\n" in rawlab("replay", tmp_path / "gap.pcap", "--table", "frames", "--format", "tsv").stdout
    assert "spurious retransmission 1×" in rawlab("replay", tmp_path / "gap.pcap", "--table", "flows").stdout
