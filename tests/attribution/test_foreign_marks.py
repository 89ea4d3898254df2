"""What each TCP segment of captures by others turns out to be: our marks are tshark's, and our sentences say the same.

Where a sentence says otherwise than tshark's mark, `EXPLAINED` says why; it is printed, and each of it must occur.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from rawlab import store
from rawlab.attribution.telling import tell
from rawlab.errors import RawlabError
from rawlab.model.analysis import WORDS as MARK_WORDS
from rawlab.model.analysis import Mark, words
from rawlab.model.facts import TcpSegment
from rawlab.model.story import Packet
from rawlab.wire.decode import decode

ROOT = Path(__file__).parents[2]
FOLDER = ROOT.parent / "shared" / "pcaps"
FILES = sorted(path.name for path in FOLDER.glob("*cap*")) if FOLDER.is_dir() else []
TSHARK = shutil.which("tshark")

pytestmark = [
    pytest.mark.skipif(not FILES, reason="no captures by others here"),
    pytest.mark.skipif(TSHARK is None, reason="tshark is not installed"),
]
WORDS = {
    Mark.RETRANSMISSION: r"(octets? \d+( to \d+)?|number \d+|SYN|FIN) again\b",
    Mark.FAST_RETRANSMISSION: r"fast retransmit",
    Mark.SPURIOUS_RETRANSMISSION: r"\(spurious\)",
    Mark.OUT_OF_ORDER: r"\(out of order\)",
    Mark.LOST_SEGMENT: r"a hole before it",
    Mark.ACK_LOST_SEGMENT: r"the capture did not see",
    Mark.DUPLICATE_ACK: r"\(duplicate acknowledgment",
    Mark.KEEP_ALIVE: r"\(keep-alive",
    Mark.KEEP_ALIVE_ACK: r"answers the keep-alive",
    Mark.ZERO_WINDOW: r"\bwindow is (still )?zero",
    Mark.ZERO_WINDOW_PROBE: r"zero-window probe\)",
    Mark.ZERO_WINDOW_PROBE_ACK: r"answers the zero-window probe",
    Mark.WINDOW_UPDATE: r"\(window update\)",
    Mark.WINDOW_FULL: r"\(window full\)",
    Mark.REUSED_PORTS: r"(ports were|connection's,) used again",
}
"What a sentence must say of each mark."
EXPLAINED = {
    "be-pcap-pptp.pcap": "one side's packets were captured twice: we say so, tshark takes them for sent again",
    "fuzz-be-2.pcap": "octets at random: some of its headers are read by one tool only, and no sentence fits all",
    "tcp-reassembly-loss.pcap": "FIN goes out again with each acknowledgment: no fast retransmit, as its mark has it",
    "pcapng-proc-comments-tcp.pcapng": "its last two packets are in the wrong order; the story is in order of time",
}
"By file: why its marks are not tshark's, or its sentences not its marks."


@cache
def packets(name: str) -> tuple[Packet, ...]:
    try:
        return tell(store.load(FOLDER / name), decode).packets
    except RawlabError as error:
        pytest.skip(f"{name}: {error}")


@cache
def tsharks(name: str) -> dict[int, Mark]:
    """tshark's marks, by the record's number."""
    fields = [f"tcp.analysis.{str(mark.name).lower()}" for mark in Mark]
    asked = [word for field in ("frame.number", *fields) for word in ("-e", field)]
    run = subprocess.run(
        [str(TSHARK), "-n", "-r", str(FOLDER / name), "-T", "fields", *asked],
        capture_output=True, text=True, check=False, timeout=60,
    )
    found = {}
    for line in run.stdout.splitlines():
        number, *marked = line.split("\t")
        found[int(number)] = sum((mark for mark, value in zip(Mark, marked, strict=False) if value), Mark(0))
    return found


def marks_otherwise(name: str) -> list[str]:
    """Where our marks and tshark's differ."""
    segments = [packet for packet in packets(name) if isinstance(packet.facts.transport, TcpSegment)]
    theirs = tsharks(name) if segments else {}
    found = []
    for packet in segments:
        expected = words(theirs[packet.frames[0]])
        if packet.marks != expected:
            found.append(f"p{packet.n}: {packet.marks}, tshark's: {expected}")
    return found


_MORE_EXACT = {MARK_WORDS[Mark.FAST_RETRANSMISSION], MARK_WORDS[Mark.SPURIOUS_RETRANSMISSION]}
"each says that it is a retransmission, too"


def told_otherwise(name: str) -> list[str]:
    """Where a sentence and the marks differ: of each mark, both say it or neither does."""
    found = []
    for packet in packets(name):
        for mark, pattern in WORDS.items():
            word = MARK_WORDS[mark]
            marked = word in packet.marks or (mark is Mark.RETRANSMISSION and not _MORE_EXACT.isdisjoint(packet.marks))
            if marked != (re.search(pattern, packet.cause.reason) is not None):
                found.append(f"p{packet.n}, {word}: {packet.cause.reason}")
    return found


@pytest.mark.parametrize("name", FILES)
def test_marks_are_tsharks_and_sentences_say_them(name: str) -> None:
    """Of every TCP segment each mark that either tool has, and no sentence that says otherwise, or why it does."""
    found = marks_otherwise(name) + told_otherwise(name)
    if name in EXPLAINED:
        print(name, EXPLAINED[name], *found, sep="\n")
        assert found, "explained, and does not occur"
    else:
        assert found == []
