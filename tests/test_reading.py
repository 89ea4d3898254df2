"""Captures of all kinds, as Wireshark's tools write and read them: the same packets, times, lengths and comments.

Where tshark 4.0 says otherwise, EXPLAINED says why; the test prints it.
"""

from __future__ import annotations

import functools
import gzip
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from rawlab import store
from rawlab.errors import FormatError
from tests.by_hand import T0, block, enhanced, interface, obsolete, option, pcap, section, segment, simple
from tests.wire.frames import capture, tool

MICROSECONDS = T0 * 10**6
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("SUDO_")}
SEGMENTS = [segment(n, 20 + n) for n in range(5)]

Told = tuple[int, int | None, int, int, str]
"of a packet: record number, when, octets captured, octets on the wire, comments"

EXPLAINED = {
    "file-bad-caplen.pcap": "tshark takes this damaged pcap for one of Red Hat 6.1's; tcpdump reads what rawlab does",
    "file-truncated.pcap": "1,882,137,472 nanoseconds are more than a second; tshark prints them as a fraction of one",
    "a negative time": "tshark prints the seconds, -1, and the fraction that is to be added to them side by side",
    "a resolution of picoseconds": "tshark 4.0 goes wrong where a time stamp's unit is smaller than a nanosecond",
    "an option that lies": "tshark stops; the packet is whole, and only the rest of its options is lost",
    "version 1.1": "tshark 4.0 reads 1.0 and 1.2 only; a minor version is one that readers of 1.0 can read",
}


def nanoseconds(text: str) -> int | None:
    """'-1.5' to -1,500,000,000; None where there is none."""
    seconds, _, fraction = text.partition(".")
    return int(seconds + fraction.ljust(9, "0")[:9]) if text else None


@functools.cache
def tshark(path: Path) -> list[Told]:
    """What tshark says of each packet; custom blocks, which it numbers as well, are data to it."""
    fields = ("frame.number", "frame.time_epoch", "frame.cap_len", "frame.len", "frame.protocols", "frame.comment")
    command = [tool("tshark"), "-n", "-r", str(path), "-T", "fields", "-E", "aggregator=|"]
    command += [word for field in fields for word in ("-e", field)]
    lines = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.splitlines()
    split = (line.split("\t") for line in lines)
    return [
        (int(number), nanoseconds(at), int(captured), int(length), comment)
        for number, at, captured, length, protocols, comment in split
        if protocols != "data"
    ]


def told(path: Path, like: list[Told]) -> list[Told]:
    """What rawlab says; no time where the other says none."""
    frames = store.load(path).frames
    untimed = {number for number, at, *_ in like if at is None}
    return [
        (
            frame.number,
            None if frame.number in untimed else frame.at_ns,
            len(frame.data),
            frame.length,
            "|".join(frame.comments).replace("\n", "\\n"),
        )
        for frame in frames
    ]


def check(name: str, path: Path) -> None:
    """The same as tshark says, or otherwise for a reason."""
    expected = tshark(path)
    found = told(path, expected)
    if name in EXPLAINED:
        print(f"{name}: {EXPLAINED[name]}")
        assert found != expected
    else:
        assert found == expected


REAL = (
    *("be-pcap-pptp.pcap", "file-bad-caplen.pcap", "file-empty.pcap", "file-truncated.pcap", "fuzz-be-2.pcap"),
    *("linktypes3-in-one-pcapng.pcapng", "pcapng-be-sections.pcapng", "pcapng-proc-comments-tcp.pcapng"),
    *("pcapng-spb-comments.pcapng", "tcp-handshake-nano-sll.pcap", "tcp-simultaneous-close-lo-ns.pcapng"),
    *("tcp-snaplen-short.pcap", "tcp-tso-len0.pcap", "tcp-zero-window-x11.pcap.gz", "udp-null.pcap"),
)
"one or two of each container"


@pytest.mark.parametrize("name", REAL)
def test_real_captures_are_read_as_tshark_reads_them(name: str) -> None:
    """Each packet's number, time, lengths and comments."""
    check(name, capture(name))


# ----------------------------------------------------------------------------------------------- by hand


def offset(seconds: int) -> bytes:
    return option(14, struct.pack("<q", seconds)) + bytes(4)


BY_HAND = {
    "sections": section()
    + interface()
    + interface()
    + enhanced(point=1, data=SEGMENTS[0])
    + section(">")
    + interface(">", options=option(9, b"\x09", ">") + bytes(4))
    + enhanced(">", ticks=T0 * 10**9 + 5, data=SEGMENTS[1])
    + simple(">", SEGMENTS[2])
    + section()
    + interface(link=101)
    + enhanced(data=SEGMENTS[3][14:]),
    "an offset": section() + interface(options=offset(-3600)) + enhanced(data=SEGMENTS[0]),
    "a large offset": section() + interface(options=offset(1 << 30)) + enhanced(data=SEGMENTS[0]),
    "a negative time": section() + interface(options=offset(-T0 - 1)) + enhanced(ticks=MICROSECONDS + 7, data=b"abc"),
    "cut simple packets": section() + interface(snaplen=40) + simple(data=SEGMENTS[0][:40], length=300),
    "obsolete packets": section() + interface() + obsolete(data=SEGMENTS[0], options=option(1, b"hey") + bytes(4)),
    "comments": section(options=option(1, b"of the section") + bytes(4))
    + interface(options=option(1, b"of the interface") + bytes(4))
    + enhanced(data=SEGMENTS[0], options=option(1, b"one") + option(1, b"two, and") + bytes(4))
    + enhanced(data=SEGMENTS[1], options=option(1, b"no end of options")),
    "an option that lies": section() + interface() + enhanced(data=SEGMENTS[0], options=b"\1\0\xf4\1abcd"),
    "a frame check sequence": section()
    + interface(options=option(13, b"\4") + bytes(4))
    + enhanced(data=SEGMENTS[0] + b"sums", options=option(2, struct.pack("<I", 1 | 4 << 5)) + bytes(4)),
    "a section's length": section(length=len(interface())) + interface() + section() + interface(),
    "a wrong section's length": section(length=4) + interface() + enhanced(data=b"abc") + section(),
    "more captured than was there": section() + interface() + enhanced(data=SEGMENTS[0], length=20),
    "blocks between": section()
    + interface()
    + b"".join(block(kind, b"\0" * 60) for kind in (5, 7, 8, 11, 0x12345, 0x80000001))
    + block(4, b"\1\0\x08\0\x7f\0\0\1abc\0" + bytes(4))
    + enhanced(data=SEGMENTS[0])
    + block(10, struct.pack("<II", 0x544C534B, 4) + b"keys")
    + block(0x0BAD, struct.pack("<I", 32473) + b"by hand ")
    + block(0x4000_0BAD, struct.pack("<I", 32473) + b"by hand ")
    + enhanced(data=SEGMENTS[1]),
    "a late interface": section()
    + interface()
    + enhanced(data=SEGMENTS[0])
    + interface(options=option(9, b"\x83") + bytes(4))
    + enhanced(point=1, ticks=T0 * 8 + 1, data=SEGMENTS[1]),
    "a resolution of two octets": section()
    + interface(options=option(9, b"\x09\x00") + bytes(4))
    + enhanced(data=SEGMENTS[0]),
    "a resolution of picoseconds": section()
    + interface(options=option(9, b"\x0c") + bytes(4))
    + enhanced(ticks=1_234_567_890_123_456, data=SEGMENTS[0]),
    "version 1.2": section(version=(1, 2)) + interface() + enhanced(data=SEGMENTS[0]),
    "version 1.1": section(version=(1, 1)) + interface() + enhanced(data=SEGMENTS[0]),
    "version 2.0": section() + interface() + enhanced(data=b"abc") + section(version=(2, 0)) + interface(),
    "octets behind the end": section() + interface() + enhanced(data=SEGMENTS[0]) + b"abcdefg",
    **{
        f"a resolution of {power:#x}": section()
        + interface(options=option(9, bytes([power])) + bytes(4))
        + enhanced(ticks=1_234_567_890_123, data=SEGMENTS[0])
        for power in (3, 6, 9, 0x80 | 10, 0x80 | 20)
    },
}


ALONE = ("version 2.0", "octets behind the end", *EXPLAINED)
"files of which tshark reads no further, or says otherwise"


@pytest.mark.parametrize("name", sorted(set(ALONE) & set(BY_HAND)))
def test_where_a_pcapng_ends_is_where_tshark_ends(tmp_path: Path, name: str) -> None:
    """Or it is explained."""
    path = tmp_path / "x.pcapng"
    path.write_bytes(BY_HAND[name])
    check(name, path)


def test_what_a_pcapng_may_hold_is_read_as_tshark_reads_it(tmp_path: Path) -> None:
    """Sections, interfaces, resolutions, offsets, all packet blocks, comments, and what is passed over.

    All in one file, for each is a section or several.
    """
    path = tmp_path / "x.pcapng"
    path.write_bytes(b"".join(octets for name, octets in BY_HAND.items() if name not in ALONE))
    assert len(tshark(path)) == 24
    check("all sections", path)


# --------------------------------------------------------------------------------------- Wireshark's formats

READ = ("modpcap", "nokiapcap", "nsecpcap", "pcap", "pcapng", "rh6_1pcap", "suse6_3pcap")
UNNAMED = ("commview-ncf", "commview-ncfx", "erf", "logcat")
"formats without a magic number: the line says what to try"


@functools.cache
def formats() -> tuple[str, ...]:
    """What `editcap -F` can write."""
    listed = subprocess.run([tool("editcap"), "-F"], capture_output=True, text=True, check=False, timeout=60)
    return tuple(re.findall(r"^    (\S+) - ", listed.stderr + listed.stdout, re.MULTILINE))


def test_of_every_format_that_editcap_writes_all_packets_are_read_or_it_is_named(tmp_path: Path) -> None:
    """With the command that makes a pcapng of it, which is then read."""
    source, seen = tmp_path / "source.pcap", dict[str, list[tuple[int, bytes]] | str]()
    source.write_bytes(pcap(SEGMENTS))
    for kind in formats():
        path = tmp_path / f"x.{kind}"
        command = [tool("editcap"), "-F", kind, str(source), str(path)]
        if subprocess.run(command, capture_output=True, check=False, timeout=60).returncode:
            continue  # of packets of another kind than Ethernet
        seen[kind] = read_or_refused(path)
    assert set(READ) <= set(seen)
    packets = [((T0 + n) * 10**9 + n * 1000, data) for n, data in enumerate(SEGMENTS)]
    assert {kind for kind, found in seen.items() if found == packets} == set(READ)
    for kind, said in seen.items():
        if isinstance(said, str):
            assert f"`editcap -F pcapng {tmp_path / f'x.{kind}'} NEW.pcapng`" in said
            assert (" is no capture: " in said) == (kind in UNNAMED)


def read_or_refused(path: Path) -> list[tuple[int, bytes]] | str:
    """Each packet's time and octets, or what the error says."""
    try:
        return [(frame.at_ns, bytes(frame.data)) for frame in store.load(path).frames]
    except FormatError as error:
        return str(error)


# -------------------------------------------------------------------------------------------- as commands


def rawlab(*words: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "rawlab", *map(str, words)]
    return subprocess.run(command, capture_output=True, input=given, check=False, timeout=60, env=ENVIRONMENT)


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_commands_take_what_is_packed_as_they_take_a_capture(tmp_path: Path, kind: str) -> None:
    """replay, also of standard input, explain and annotate: the same words of the same packets."""
    octets = section() + interface() + b"".join(enhanced(data=data) for data in SEGMENTS)
    plain, packed = tmp_path / "x.pcapng", tmp_path / f"x.{kind}"
    plain.write_bytes(octets)
    packed.write_bytes(gzip.compress(octets) if kind == "gz" else zstandard.ZstdCompressor().compress(octets))
    for words in (["replay", "{}", "--table", "timeline"], ["explain", "{}:p3"], ["annotate", "{}", "-o", "-.txt"]):
        words = [word.replace("-.txt", "-") for word in words] + (["--format", "txt"] if "annotate" in words else [])
        outputs = []
        for path in (plain, packed):
            done = rawlab(*(word.format(path) for word in words))
            assert (done.returncode, done.stderr) == (0, b"")
            outputs.append(done.stdout.replace(str(path).encode(), b"FILE").replace(path.name.encode(), b"FILE"))
        assert outputs[0] == outputs[1]
    piped = rawlab("replay", "-", "--table", "timeline", given=packed.read_bytes())
    assert (piped.returncode, piped.stdout) == (0, rawlab("replay", plain, "--table", "timeline").stdout)


def test_what_is_whole_of_a_packed_capture_is_shown_and_its_damage_told(tmp_path: Path) -> None:
    """One line, exit code 5: so many packets, where, why, and where the packing breaks off."""
    packed = tmp_path / "x.pcap.gz"
    packed.write_bytes(gzip.compress(pcap(SEGMENTS))[:-4])
    done = rawlab("replay", packed, "--table", "timeline")
    size = packed.stat().st_size
    assert done.returncode == 5
    assert done.stderr.decode() == (
        f"rawlab: {packed}: 5 packets read, damaged at byte {len(pcap(SEGMENTS))}: the capture goes on; "
        f"the gzip stream breaks off at octet {size} of {packed}\n"
    )
    assert done.stdout.count(b"\np") == 5


def test_a_pcapng_that_is_packed_is_no_place_for_notes(tmp_path: Path) -> None:
    """They are listed, and written into a capture only."""
    octets = section() + interface() + enhanced(data=SEGMENTS[0], options=option(1, b"a note") + bytes(4))
    packed = tmp_path / "x.pcapng.gz"
    packed.write_bytes(gzip.compress(octets))
    assert b"a note" in rawlab("note", packed).stdout
    refused = rawlab("note", packed, "1", "another")
    assert refused.returncode == 4
    assert refused.stderr.decode() == f"rawlab: {packed}: is compressed with gzip; `gzip -dc {packed} > NEW` first\n"
    assert gzip.decompress(packed.read_bytes()) == octets


def test_a_small_capture_is_read_without_what_is_heavy(tmp_path: Path) -> None:
    """Neither numpy nor zstandard nor tempfile for a plain one; zstandard for what it packed."""
    path = tmp_path / "x.pcap"
    source = f"""
import sys
from rawlab import store
store.load({str(path)!r})
print(*(name for name in ("numpy", "scapy", "zstandard", "tempfile") if name in sys.modules))
"""
    for octets, heavy in ((pcap(SEGMENTS), ""), (zstandard.ZstdCompressor().compress(pcap(SEGMENTS)), "zstandard")):
        path.write_bytes(octets)
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60)
        assert [name for name in done.stdout.split() if name != "tempfile"] == heavy.split()
