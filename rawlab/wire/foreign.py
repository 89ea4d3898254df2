"""What is no pcapng and no pcap: its name, by how it begins, and what makes a capture of it.

Most other captures can be told by their first octets (a few can't: ERF, CommView, PacketLogger, the binary Android
log); Wireshark's editcap(1) makes a pcapng of them. What is not here: what pcap's relatives look like (`pcap`).
"""

from __future__ import annotations

import re

from rawlab.errors import FormatError
from rawlab.wire import pcap

ENOUGH = 300
"octets at a file's beginning that tell what it is"
EXPECTED = "expected a pcapng or pcap capture"
_PCAPNG = b"\x0a\x0d\x0d\x0a"

_CAPTURES = {
    b"snoop\0\0\0": "a snoop capture (RFC 1761)",
    b"btsnoop\0": "a Bluetooth capture (btsnoop)",
    b"iptrace 1.0": "a capture of AIX's iptrace 1.0",
    b"iptrace 2.0": "a capture of AIX's iptrace 2.0",
    b"RTSS": "a capture of Microsoft's Network Monitor 1",
    b"GMBU": "a capture of Microsoft's Network Monitor 2",
    b"TRSNIFF data    \x1a": "a capture of the DOS Sniffer",
    b"XCP\0": "a capture of the Windows Sniffer or NetXRay",
    b"VL\0\0": "a capture of NetXRay 1.0",
    b"+---------+---------------+----------+": "a K12 text file",
    b"\0\0\x02\0\x12\x05\0\x10": "a Tektronix K12 capture (.rf5)",
    b"\xaa\xaa\xaa\xaa": "an InfoVista 5View capture",
    b"\x05VNF": "a Visual Networks capture",
    b"ObserverPktBuffe": "a Viavi Observer capture",
    b"EyeSDN": "an EyeSDN capture",
    b"TR\0d": "an HP-UX nettl trace",
    b"\x01\x10\x4c\0\x01\x05Trace Display Trace File": "a Novell LANalyzer capture",
    b"Session Transcript": "a Catapult DCT2000 trace",
    b"ETHERWATCH ": "a DBS Etherwatch text",
    b"\x7fver": "a Savvius (WildPackets) capture",
    b"B\xd2\x00\x34\x12\x66\x22\x88": "a RADCOM capture",
    b"cpse": "a Colasoft Capsa capture",
    b"#!rtpplay1.0": "an rtpdump file",
    b"#Format=": "a Daintree capture",
    b"__CURSOR=": "an export of systemd's journal",
}
_PACKED = {
    b"BZh": ("bzip2", "bzip2 -dc {} > NEW"),
    b"\xfd7zXZ\0": ("xz", "xz -dc {} > NEW"),
    b"\x5d\0\0": ("lzma", "xz -dc {} > NEW"),
    b"\x04\x22\x4d\x18": ("lz4", "lz4 -dc {} > NEW"),
    b"\x1f\x9d": ("compress", "gzip -dc {} > NEW"),
    b"\x1f\x8b": ("gzip", "gzip -dc {} > NEW"),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -dc {} > NEW"),
    b"PK\x03\x04": ("zip", "unzip {}"),
    b"7z\xbc\xaf\x27\x1c": ("7z", "7z x {}"),
}
_TEXTS = {
    rb"\d\d:\d\d:\d\d\.\d{6} (IP|ARP)": "is what tcpdump prints; packets are saved with `tcpdump -w FILE`",
    rb"(\[pid +)?(\d+\]? +)?\d+\.\d{6} \w+\(|\w+\(.*\) += ": "is a strace log; name it with --strace, beside a capture",
    rb"\s*(0x)?[0-9a-fA-F]{4,8}:? +([0-9a-fA-F]{2} ?){4}": "is a hex dump; text2pcap(1) makes a capture of it",
}
_TAR = 257, b"ustar"
_TEXT_MODE = re.compile(rb"\n\r\n|\r\n\r\r")  # pcapng's first octets are there to tell this


def check(beginning: bytes | memoryview, name: str, *, is_packed: bool = False) -> None:
    """Raises FormatError for octets that begin no pcapng and no pcap. `is_packed`: the file's, once it is unpacked."""
    first = bytes(beginning[:ENOUGH])
    if first[:4] == _PCAPNG or (pcap.is_magic(first) and len(first) >= pcap.HEADER):
        return
    text = f"{name}: {_said(first, name)}"
    raise FormatError(text.replace(": is ", ": unpacks to what is ", 1) if is_packed else text)


def _said(first: bytes, name: str) -> str:
    """'is …', and what to do."""
    from shlex import quote

    convert = f"`editcap -F pcapng {quote(name)} NEW.pcapng`"
    if not first:
        return f"is empty; {EXPECTED}"
    if pcap.is_magic(first):
        there = f"{len(first)} of {pcap.HEADER} octets there"
        return f"is a pcap that breaks off in its header, {there}: it holds no packet"
    if _TEXT_MODE.match(first):
        return "is a pcapng that was sent as text, with other line ends: send it as binary"
    for begins, what in _CAPTURES.items():
        if first.startswith(begins):
            return f"is {what}, not pcapng or pcap: convert it with {convert}"
    for begins, (what, unpack) in _PACKED.items():
        if first.startswith(begins):
            return f"is compressed with {what}; `{unpack.format(quote(name))}` first"
    if first[_TAR[0] :].startswith(_TAR[1]):
        return "is a tar archive; unpack it first"
    for pattern, said in _TEXTS.items():
        if re.match(pattern, first):
            return said
    return (
        f"is no capture: expected it to begin with pcapng's 0a0d0d0a or pcap's a1b2c3d4, it begins with "
        f"{first[:4].hex()}; if Wireshark can open it, {convert} makes a pcapng of it"
    )
