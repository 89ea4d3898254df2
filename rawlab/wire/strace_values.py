"""strace's notation of one call's arguments, as strace(1) itself writes them: text to values.

    3<TCP:[127.0.0.1:40000->127.0.0.1:7]>             Descriptor(3, 'TCP:[…]')       -y, -yy
    "hel\\x6c\\157"...                                  Text(b"hello", cut=True)       -x, -xx, -s
    {sa_family=AF_INET, sin_port=htons(7), …}         {'sa_family': 'AF_INET', 'sin_port': 7, …}
    [{fd=3, events=POLLIN}], [128 => 16], NULL        lists, numbers, symbols

One pass from left to right: each token is looked at once, nesting is bounded, and what is not this notation raises
ValueError. What does *not* belong here: lines and their times (`strace_log`), what an argument means (`strace_calls`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A descriptor with what strace -y says of it."""

    number: int
    about: str
    "'TCP:[127.0.0.1:40000->127.0.0.1:7]', 'socket:[4711]', '/etc/hosts'"


@dataclass(frozen=True, slots=True)
class Text:
    """A string or buffer, as far as strace wrote it."""

    octets: bytes
    cut: bool
    "there were more than -s lets it write"


Written: TypeAlias = "Descriptor | Text | int | str | list[Written] | dict[str, Written]"
"""An argument: a descriptor, a string, a number, a symbol as it stands, an array, a struct."""

_DEEPEST = 16
_MOST = 5000
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f"}
ABOUT = r'(?:->|-(?!>)|[^<>"-]|"[^"\\]*+(?:\\.[^"\\]*+)*+"|<[^<>]{0,200}>)*+'
"what stands in the angle brackets behind a descriptor"
_TOKEN = re.compile(
    rf"""\s*+(?:
      (?P<text>@?"[^"\\]*+(?:\\.[^"\\]*+)*+"(?P<cut>\.\.\.)?)
    | (?P<number>-?(?:0x[0-9a-f]{{1,16}}|\d{{1,20}}))(?![\w.])
      (?:<(?P<about>{ABOUT})>(?:\(deleted\))?)?
    | (?P<open>[\[{{(]) | (?P<close>[\]}})]) | (?P<comma>,|=>) | (?P<key>[A-Za-z_]\w*)=(?!>)
    | (?P<call>[A-Za-z_]\w*)\((?!\))
    | (?P<word>[\w.&|~@?*%$:'!+<>/-]++(?:\(\))?)
    )(?:\s*+/\*[^*]*+\*/)?""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|[0-7]{1,3}|.)", re.DOTALL)
_CLOSING = {"[": "]", "{": "}", "(": ")"}


def arguments(text: str, at: int) -> tuple[list[Written], int]:
    """The arguments from `at`, behind the '(', and where what follows the ')' begins. Raises ValueError."""
    return _list(text, at, ")", 0)


def result_descriptor(text: str) -> Descriptor | None:
    """The descriptor with what -y says of it, of a call's result; None where the text is none."""
    token = _TOKEN.match(text)
    if token is None or token["number"] is None:
        return None
    return Descriptor(_number(token["number"]), token["about"] or "")


def _number(text: str) -> int:
    return int(text, 16 if "x" in text else 10)


def octets(text: str) -> bytes:
    """What stands between a string's quotes, C's escapes undone."""
    return _ESCAPE.sub(_unescaped, text).encode("latin-1", "replace") if "\\" in text else text.encode("latin-1")


def _unescaped(found: re.Match[str]) -> str:
    word = found[1]
    if word[0] == "x" and len(word) == 3:
        return chr(int(word[1:], 16))
    if word[0] in "01234567":
        return chr(int(word, 8) & 0xFF)
    return _PLAIN.get(word, word)


def _next(text: str, at: int) -> re.Match[str]:
    token = _TOKEN.match(text, at)
    if token is None:
        raise ValueError(f"column {at + 1}: an argument expected, {text[at : at + 16]!r} came")
    return token


def _list(text: str, at: int, closing: str, depth: int) -> tuple[list[Written], int]:
    values: list[Written] = []
    while True:
        token = _next(text, at)
        if token["close"]:
            if token["close"] != closing:
                raise ValueError(f"column {at + 1}: {closing} expected, {token['close']} came")
            return values, token.end()
        if token["comma"]:
            at = token.end()
        else:
            value, at = _value(text, token, depth)
            values.append(value)
            if len(values) > _MOST:
                raise ValueError(f"column {at + 1}: more than {_MOST} values")


def _struct(text: str, at: int, depth: int) -> tuple[dict[str, Written], int]:
    """A struct's members by name; those without one, by their place."""
    members: dict[str, Written] = {}
    while True:
        token = _next(text, at)
        if token["close"]:
            if token["close"] != "}":
                raise ValueError(f"column {at + 1}: }} expected, {token['close']} came")
            return members, token.end()
        key = str(len(members))
        if token["key"]:
            key, token = token["key"], _next(text, token.end())
        if token["comma"]:
            at = token.end()
        elif token["close"]:
            at = token.start()
        else:
            value, at = _value(text, token, depth)
            if token["call"] == "inet_pton":  # it stands for the member that it fills in
                key = "sin6_addr"
            members.setdefault(key, value)


def _value(text: str, token: re.Match[str], depth: int) -> tuple[Written, int]:
    if depth > _DEEPEST:
        raise ValueError(f"column {token.start() + 1}: nested deeper than {_DEEPEST}")
    at = token.end()
    if token["text"] is not None:
        shown = token["text"].removesuffix("...") if token["cut"] else token["text"]
        return Text(octets(shown.removeprefix("@")[1:-1]), bool(token["cut"])), at
    if token["number"] is not None:
        number = _number(token["number"])
        return (number if token["about"] is None else Descriptor(number, token["about"])), at
    if token["open"] == "{":
        return _struct(text, at, depth + 1)
    if token["open"]:
        return _list(text, at, _CLOSING[token["open"]], depth + 1)
    if token["call"]:
        inside, at = _list(text, at, ")", depth + 1)
        return _called(token["call"], inside), at
    if token["key"]:  # clone's flags=…: the name says no more than the place
        return _value(text, _next(text, at), depth + 1)
    return token["word"], at


def _called(name: str, inside: list[Written]) -> Written:
    """htons(7), inet_addr("127.0.0.1"): what they are made of; any other as its name."""
    match name, inside:
        case "htons" | "htonl" | "if_nametoindex", [value]:
            return value
        case "inet_addr", [Text(octets=address)]:
            return address.decode("latin-1")
        case "inet_pton", [_, Text(octets=address), *_]:
            return address.decode("latin-1")
    return name
