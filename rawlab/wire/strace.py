"""System calls in strace's words: `connect(3, 10.0.0.2:7) = -1 ECONNREFUSED (Connection refused)`.

As strace(1) writes them, but that an address stands as `10.0.0.2:7` instead of its whole struct sockaddr, that of a
packet socket as `sll_ifindex=client` with the interface's name, and that its length is left out.
`parse_call(format_call(x)) == x` for what the notation carries: name, arguments' values, result and errno, as long as
no string was cut (`strsize` None).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import dropwhile, takewhile
from typing import TypeGuard

from rawlab.model.address import Endpoint
from rawlab.model.event import Call, Value
from rawlab.wire.errnos import ERRNOS

UNFINISHED = "<unfinished ...>"
# Arguments that the kernel fills in: unknown until the call returns.
OUTPUTS = {
    "accept": {"addr"},
    "accept4": {"addr"},
    "read": {"buf"},
    "recv": {"buf"},
    "recvfrom": {"buf", "src_addr"},
    "recvmsg": {"msg_name", "msg_iov", "msg_control", "msg_flags"},
    "recvmmsg": {"msgvec"},
    "readv": {"iov"},
    "getsockname": {"addr"},
    "getpeername": {"addr"},
    "getsockopt": {"optval"},
}
_POLL = re.compile(r"^poll\((\[.*\]), \d+, (-?\d+)\) = (.*)$")
_POLLFD = re.compile(r"\{fd=(-?\d+), r?events=([\w|]+)\}")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\v": "\\v", "\f": "\\f"}
_UNESCAPES = {text[1]: character for character, text in _ESCAPES.items()}
_TOKEN = re.compile(
    r"""(?P<bytes>"(?:[^"\\]|\\.)*")
    | (?P<endpoint>\[[0-9a-fA-F:.]+\]:\d+|\d+\.\d+\.\d+\.\d+:\d+)
    | (?P<open>[\[({]) | (?P<close>[\])}])
    | (?P<int>-?\d+)(?![\w|.])
    | (?P<symbol>htons\(\w+\)|[A-Za-z_]\w*=[\w|-]+|[A-Za-z_][\w|]*|\d+\|[\w|]+|\d+(?:\.\d+)?(?:e[-+]?\d+)?s\b)
    | (?P<comma>,\s*)""",
    re.VERBOSE,
)


def format_call(call: Call, strsize: int | None = None) -> str:
    """The call in strace's words; strings longer than `strsize` octets are cut and end in '...'."""
    if call.returned_ns is None and call.name != "exit_group":  # which never returns: strace writes '= ?'
        return format_entry(call, strsize)
    shown = [text for _, text in _arguments(call, strsize)]
    return f"{call.name}({', '.join(shown)}) = {format_result(call)}"


def format_entry(call: Call, strsize: int | None = None) -> str:
    """The call as far as it is known when it is entered: up to the first argument that the kernel fills in."""
    outputs = OUTPUTS.get(call.name, ())
    arguments = _arguments(call, strsize)
    shown = [text for _, text in takewhile(lambda argument: argument[0] not in outputs, arguments)]
    return f"{call.name}({', '.join(shown)}{',' if len(shown) < len(arguments) else ''} {UNFINISHED}"


def format_resumed(call: Call, strsize: int | None = None) -> str:
    """The rest of it, at its return."""
    outputs = OUTPUTS.get(call.name, ())
    rest = dropwhile(lambda argument: argument[0] not in outputs, _arguments(call, strsize))
    shown = ", ".join(text for _, text in rest)
    return f"<... {call.name} resumed>{shown}) = {format_result(call)}"


def format_result(call: Call) -> str:
    """What stands behind the '=': '5', '-1 ECONNREFUSED (Connection refused)', '?' where it did not return."""
    if call.errno is None and call.result is not None and "ready" in dict(call.args):
        return f"{call.result}{_ready(call)}"
    if call.errno is None:
        return "?" if call.result is None else str(call.result)
    _, words = ERRNOS.get(call.errno, (0, ""))
    return f"{call.result} {call.errno}" + (f" ({words})" if words else "")


def _arguments(call: Call, strsize: int | None) -> list[tuple[str, str]]:
    """(name, text) of each; of poll(2) with the number of its descriptors, and without what the kernel found."""
    given = dict(call.args)
    if call.name in ("poll", "ppoll") and _is_pollfds(fds := given.get("fds")):
        timeout = [("timeout", format_value(given["timeout"]))] if "timeout" in given else []
        return [("fds", _pollfds(fds, "events")), ("nfds", str(len(fds))), *timeout]
    return [(name, _shown(call, value, strsize)) for name, value in call.args if name != "ready"]


def _shown(call: Call, value: Value, strsize: int | None) -> str:
    """One argument; a buffer of which less was kept than the call moved ends in '...', however short that is."""
    text = format_value(value, strsize)
    return f"{text}..." if isinstance(value, bytes) and not text.endswith("...") and len(value) < _moved(call) else text


def _moved(call: Call) -> int:
    """How many octets its one buffer held: of what it sends as many as it was given."""
    given = dict(call.args)
    size = given.get("len", given.get("count"))
    if call.name not in ("write", "send", "sendto"):  # MSG_TRUNC: the result may be more than there is room for
        size = min(call.result or 0, size) if isinstance(size, int) else call.result
    return size if isinstance(size, int) and "buf" in given and call.errno is None else 0


def _ready(call: Call) -> str:
    """What poll(2) found, behind its result: ' ([{fd=3, revents=POLLIN}])'; select(2): ' (in [3])'."""
    if not _is_pollfds(ready := dict(call.args).get("ready")):
        return ""
    if call.name in ("select", "pselect6") and ready:
        return f" ({', '.join(_selected(ready))})"
    return f" ({_pollfds(ready, 'revents')})" if ready else " (Timeout)"


def _selected(ready: tuple[tuple[Value, Value], ...]) -> Iterator[str]:
    for word, events in (("in", "POLLIN"), ("out", "POLLOUT"), ("except", "POLLPRI")):
        if fds := [str(fd) for fd, found in ready if found == events]:
            yield f"{word} [{' '.join(fds)}]"


def _is_pollfds(value: Value) -> TypeGuard[tuple[tuple[Value, Value], ...]]:
    return isinstance(value, tuple) and all(isinstance(one, tuple) and len(one) == 2 for one in value)


def _pollfds(value: tuple[tuple[Value, Value], ...], name: str) -> str:
    return f"[{', '.join(f'{{fd={format_value(fd)}, {name}={format_value(events)}}}' for fd, events in value)}]"


def format_value(value: Value, strsize: int | None = None) -> str:
    """One argument."""
    match value:
        case None:
            return "NULL"
        case bytes():
            cut = strsize is not None and len(value) > strsize
            return f'"{_escape(value[:strsize] if cut else value)}"' + ("..." if cut else "")
        case tuple():
            return f"[{', '.join(format_value(item, strsize) for item in value)}]"
        case _:
            return str(value)


def _escape(data: bytes) -> str:
    """C's escapes; what is no printable ASCII becomes \\xhh, so that no payload reaches a terminal raw."""
    return "".join(
        _ESCAPES.get(character) or (character if " " <= character <= "~" else f"\\x{ord(character):02x}")
        for character in data.decode("latin-1")
    )


def _unescape(text: str) -> bytes:
    def one(match: re.Match[str]) -> str:
        word = match[1]
        if word[0] == "x" and len(word) == 3:
            return chr(int(word[1:], 16))
        if word[0] in "01234567":
            return chr(int(word, 8) & 0xFF)
        if word not in _UNESCAPES:
            raise ValueError(f"{text!r}: expected an escape of C's, came '\\{word}'")
        return _UNESCAPES[word]

    return re.sub(r"\\(x[0-9a-f]{2}|[0-7]{1,3}|.)", one, text, flags=re.DOTALL).encode("latin-1")


def parse_call(text: str) -> tuple[str, tuple[Value, ...], int | None, str | None]:
    """(name, arguments, result, errno) of a call in strace's words. Raises ValueError with the place."""
    text = _POLL.sub(_polled, text)
    shape = re.fullmatch(r"(\w+)\((.*)\) = (?:(\?)|(-?\d+)(?: ([A-Z]\w*)(?: \(.*\))?)?)", text, re.DOTALL)
    if not shape:
        raise ValueError(f"{text!r}: expected name(arguments) = result")
    name, arguments, unknown, result, code = shape.groups()
    values, at = _values(arguments, 0)
    if at != len(arguments):
        raise ValueError(
            f"{text!r}: at column {len(name) + 2 + at}: expected an argument, came {arguments[at : at + 8]!r}"
        )
    return name, values, None if unknown else int(result), code


def _polled(poll: re.Match[str]) -> str:
    """A poll with what it found among its arguments, each descriptor a pair, as all other calls' are written."""
    fds, timeout, result = poll.groups()
    found = re.fullmatch(r"(\d+) \((\[.*\]|Timeout)\)", result)
    ready = f", {found[2].replace('Timeout', '[]')}" if found else ""
    return _POLLFD.sub(r"[\1, \2]", f"poll({fds}, {timeout}{ready}) = {found[1] if found else result}")


def _values(text: str, at: int) -> tuple[tuple[Value, ...], int]:
    """The values from `at` up to the closing bracket or the end, and where they end."""
    values: list[Value] = []
    while at < len(text) and (token := _TOKEN.match(text, at)):
        kind, word = token.lastgroup, token[0]
        if kind == "close":
            break
        at = token.end()
        if kind == "open":
            inner, at = _values(text, at)
            values.append(inner)
            at += 1  # the closing bracket
        elif kind != "comma":
            values.append(_value(kind or "", word))
    return tuple(values), at


def _value(kind: str, word: str) -> Value:
    match kind:
        case "bytes":
            return _unescape(word[1:-1])
        case "endpoint":
            return Endpoint.parse(word)
        case "int":
            return int(word)
        case _:
            return None if word == "NULL" else word
