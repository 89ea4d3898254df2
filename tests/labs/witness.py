"""strace's lines of a lab's processes, in the words of rawlab's tables.

strace writes addresses as structs, strings in octal and buffers with their lengths; here each call on an Internet
socket becomes what `wire.strace.format_call` makes of the same call.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from rawlab.wire.strace import format_value

_LINE = re.compile(r"(?P<pid>\d+)<(?P<host>client|server)> (?P<text>.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_SOCKET = re.compile(r"(\d+)<(?:(?:TCP|UDP|ICMP|RAW|PING|NETLINK)\w*|PACKET|socket):\[[^\]]*\]>")
"""Of a packet socket strace knows no more than its inode."""
_ADDRESS = re.compile(
    r'\{sa_family=AF_INET, sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)\}'
    r'|\{sa_family=AF_INET6, sin6_port=htons\((\d+)\), sin6_flowinfo=[^,]*, inet_pton\(AF_INET6, "([^"]+)", '
    r"&sin6_addr\), sin6_scope_id=[^}]*\}"
)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_REWRITE: Sequence[tuple[str, str]] = (
    (r"\b0x[0-9a-f]{6,}", "NULL"),
    (r"^(connect|bind)\((.*), \d+\) =", r"\1(\2) ="),
    (r"^(accept|getsockname|getpeername|recvfrom)\((.*), \[\d+(?: => \d+)?\]\) =", r"\1(\2) ="),
    (r"^sendto\((.*), NULL, 0\) =", r"send(\1) ="),
    (r"^sendto\((.*), \d+\) =", r"sendto(\1) ="),
    (r"^recvfrom\((.*), NULL, NULL\) =", r"recv(\1) ="),
    (r"^setsockopt\((.*), \[(-?\d+)\], \d+\) =", r"setsockopt(\1, \2) ="),
    (r"^setsockopt\((.*), \{l_onoff=(\d+), l_linger=(\d+)\}, \d+\) =", r"setsockopt(\1, [\2, \3]) ="),
    (r"^getsockopt\((.*), \[(-?\d+)\], \[\d+\]\) =", r"getsockopt(\1, \2) ="),
    (r"\bSOL_TCP\b", "IPPROTO_TCP"),
    (r"\bSOL_IP\b", "IPPROTO_IP"),
    (r"\bSOL_IPV6\b", "IPPROTO_IPV6"),
    (r"O_RDONLY\|O_NONBLOCK", "O_NONBLOCK"),
)


def socket_calls(lines: Sequence[str]) -> dict[str, list[list[str]]]:
    """For each host its processes, in order of their birth, each with its calls on Internet sockets."""
    begun: dict[str, str] = {}
    calls: dict[str, dict[int, list[str]]] = defaultdict(dict)
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            continue
        mine = calls[found["host"]].setdefault(int(found["pid"]), [])
        text = found["text"]
        if text.endswith("<unfinished ...>"):
            begun[found["pid"]] = text.removesuffix("<unfinished ...>").rstrip()
            continue
        if resumed := _RESUMED.match(text):
            text = begun.pop(found["pid"]) + " " * (text[resumed.end()] != ")") + text[resumed.end() :].lstrip()
        if text.startswith(("socket(AF_INET", "socket(AF_PACKET")) or (_SOCKET.search(text) and text[:3] != "dup"):
            mine.append(_in_our_words(text))
    return {host: [found for _, found in sorted(pids.items()) if found] for host, pids in calls.items()}


def _in_our_words(text: str) -> str:
    text = _ADDRESS.sub(lambda found: f"{found[2]}:{found[1]}" if found[1] else f"[{found[4]}]:{found[3]}", text)
    text = _SOCKET.sub(r"\1", text)
    text = re.sub(r"\)\s+= ", ") = ", text)
    strings: list[str] = []

    def aside(found: re.Match[str]) -> str:
        strings.append(format_value(_octets(found[1])))
        return f'"{len(strings) - 1}"'

    text = _STRING.sub(aside, text)
    text = re.sub(r"(0x[0-9a-f]+) /\* \w+ \*/", lambda found: str(int(found[1], 16)), text.replace("???", ""))
    for pattern, words in _REWRITE:
        text = re.sub(pattern, words, text)
    return re.sub(r'"(\d+)"', lambda found: strings[int(found[1])], text)


def _octets(text: str) -> bytes:
    """What strace's string stands for."""
    plain = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f"}
    return re.sub(
        r"\\(x[0-9a-f]{2}|[0-7]{1,3}|.)",
        lambda found: (
            chr(int(found[1][1:], 16))
            if found[1][0] == "x"
            else chr(int(found[1], 8))
            if found[1].isdecimal()
            else plain.get(found[1], found[1])
        ),
        text,
    ).encode("latin-1")
