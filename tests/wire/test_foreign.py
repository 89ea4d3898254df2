"""What is no capture that rawlab reads is named, with what to do."""

from __future__ import annotations

import re

import pytest

from rawlab.errors import FormatError
from rawlab.wire import foreign
from tests.by_hand import pcap_header, section

NAMED = {
    b"": "x: is empty; expected a pcapng or pcap capture",
    b"snoop\0\0\0\0\0\0\2\0\0\0\4": "x: is a snoop capture (RFC 1761), not pcapng or pcap: convert it with "
    "`editcap -F pcapng x NEW.pcapng`",
    b"RTSS\1\1": "x: is a capture of Microsoft's Network Monitor 1, not",
    b"GMBU\0\2": "x: is a capture of Microsoft's Network Monitor 2, not",
    b"iptrace 2.0": "x: is a capture of AIX's iptrace 2.0, not",
    b"btsnoop\0\0\0\0\1": "x: is a Bluetooth capture (btsnoop), not",
    b"TRSNIFF data    \x1a": "x: is a capture of the DOS Sniffer, not",
    b"BZh91AY&SY": "x: is compressed with bzip2; `bzip2 -dc x > NEW` first",
    b"\xfd7zXZ\0\0\4": "x: is compressed with xz; `xz -dc x > NEW` first",
    b"\x04\x22\x4d\x18": "x: is compressed with lz4; `lz4 -dc x > NEW` first",
    b"PK\3\4\x14\0": "x: is compressed with zip; `unzip x` first",
    bytes(257) + b"ustar": "x: is a tar archive; unpack it first",
    b"\n\r\n4\0\0\0": "x: is a pcapng that was sent as text, with other line ends: send it as binary",
    b"05:22:49.660674 IP6 ::1.5 > ::1.25": "x: is what tcpdump prints; packets are saved with `tcpdump -w FILE`",
    b"0000  00 05 73 a0 07 d1": "x: is a hex dump; text2pcap(1) makes a capture of it",
    b"\t0x0000:  6000 0000 0020": "x: is a hex dump; text2pcap(1) makes a capture of it",
    b"00000000: d4c3 b2a1 0200": "x: is a hex dump; text2pcap(1) makes a capture of it",
    b"12 1700000000.123456 socket(AF_INET": "x: is a strace log; name it with --strace, beside a capture",
    b"[pid  12] 1700000000.123456 socket(AF": "x: is a strace log; name it with --strace, beside a capture",
    b'execve("/bin/true", ["true"], 0x7ffd) = 0\n': "x: is a strace log; name it with --strace, beside a capture",
    b"\xd4\xc3\xb2\xa1\2\0\4": "x: is a pcap that breaks off in its header, 7 of 24 octets there: it holds no packet",
    b"\x7fELF": "x: is no capture: expected it to begin with pcapng's 0a0d0d0a or pcap's a1b2c3d4, it begins with "
    "7f454c46; if Wireshark can open it, `editcap -F pcapng x NEW.pcapng` makes a pcapng of it",
}


@pytest.mark.parametrize("octets", NAMED, ids=lambda octets: repr(octets[-12:]))
def test_what_is_no_capture_is_named(octets: bytes) -> None:
    """By how it begins, with what to do, in one line."""
    with pytest.raises(FormatError, match="^" + re.escape(NAMED[octets])) as told:
        foreign.check(octets, "x")
    assert "\n" not in str(told.value)


def test_what_comes_out_of_a_packed_file_is_named_so() -> None:
    """It is the file that the line names."""
    with pytest.raises(FormatError, match=re.escape("x.gz: unpacks to what is a snoop capture (RFC 1761)")):
        foreign.check(b"snoop\0\0\0", "x.gz", is_packed=True)


def test_a_name_is_quoted_for_the_shell() -> None:
    """So that the line's command can be pasted."""
    with pytest.raises(FormatError, match=r"`bzip2 -dc 'my file; rm' > NEW` first"):
        foreign.check(b"BZh9", "my file; rm")


@pytest.mark.parametrize("octets", [section(), section(">"), pcap_header(), pcap_header(">"), section()[:5]])
def test_a_capture_is_not_foreign(octets: bytes) -> None:
    """However little of a pcapng is there: where that is damaged, its reader says."""
    foreign.check(octets, "x")
