"""A log that strace(1) wrote: its lines to calls, each with its process, its times and its arguments.

    1234  1700000000.123456 read(3<TCP:[…]>,  <unfinished ...>       -f -ttt -yy, -o FILE: the process comes first
    [pid  1234] 12:00:00.123456 <... read resumed>"hi", 5) = 2       without -o; -tt: a time of the day
    1234  1700000000.123456 close(3)      = 0 <0.000012>             -T: how long it took

Where -T is missing, a call returns at the latest when its thread's next line begins: that is taken for its return,
and `Log.timed` says so. Of a line nothing is believed that is not there; one that is no call's is counted, or passed
over where strace writes such lines (signals, exits). Lines are bounded, and each is looked at once.

What does *not* belong here: what a call's arguments mean (`strace_calls`), which socket it is on (`strace_sockets`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from rawlab.wire.strace_values import ABOUT, Descriptor, Written, arguments, result_descriptor

MAX_LINE = 1 << 20
"octets; a longer line is not read"
MAX_CALLS = 300_000
_MOST_UNFINISHED = 4096
_DAY_NS = 86_400 * 10**9
_COARSE_NS = 1_000_000  # stamps that are cut to as much tell the calls' order, by that of their lines alone
_EPOCH_S = 10**8  # a stamp below it counts from the line before (-r)

_LINE = re.compile(
    r"(?:\[pid\s+(?P<bracketed>\d{1,10})(?:<[^>]*>)?\] |(?P<pid>\d{1,10})(?:<[^>]*>)?\s+(?=\D|\d+[.:]|\d{9,12}\s))?\s*"
    r"(?:(?P<unix>\d{1,12})(?:\.(?P<part>\d{1,9}))?\s+|(?P<clock>\d\d:\d\d:\d\d)(?:\.(?P<of>\d{1,9}))?\s+)?"
    r"(?:\(\+\s+\d+\.\d+\)\s+)?(?:\[\s*\w+\]\s+){0,2}"
)
_CALL = re.compile(r"(\w+)\(")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>\s?")
_UNFINISHED = re.compile(r"\s*<(?:unfinished|detached) \.\.\.>\s*$")
_RESULT = re.compile(
    r"\s*=\s+(?:(?P<none>\?)|(?P<value>-?(?:0x[0-9a-f]{1,16}|\d{1,19})))"
    rf"(?P<about><{ABOUT}>)?(?:\(deleted\))?"
    r"(?:\s+(?P<errno>E[A-Z0-9]+))?(?P<rest>.*)$",
    re.DOTALL,
)
_OUTER_PID = re.compile(r"/\* (\d{1,10}) in strace's PID NS \*/")
_TOOK = re.compile(r"<(\d{1,9})\.(\d{1,9})>\s*$")
_NO_SOCKET = re.compile(r"(?!dup|fcntl)\w+\(\d+<(?!TCP|UDP|SCTP|RAW|PING|ICMP|PACKET|socket|anon_inode:\[eventpoll)")
_EXITED = re.compile(r"\+\+\+ (?:exited with \d+|killed by (?P<signal>\w+).*) \+\+\+")
_NO_CALL = ("---", "+++", "strace:", "Process ", ">", "<detached", "[ Process", "[ wait", "????(")


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One call as strace wrote it."""

    pid: int
    "strace's number of the thread; 0 where the log names none"
    name: str
    "the system call's: 'accept4', 'sendto'"
    args: tuple[Written, ...]
    result: int | None
    "None: it did not return, or was to be restarted"
    errno: str | None
    found: tuple[Written, ...]
    "what strace writes behind the result: of poll the descriptors that are ready"
    made: Descriptor | None
    "the descriptor that it returned, where -y says what it is"
    entered_ns: int
    "ns since the epoch, or since midnight where the log holds times of the day"
    returned_ns: int | None
    order: int
    "of the line on which it was entered"


@dataclass(slots=True, kw_only=True)
class Log:
    """What a log holds."""

    name: str
    calls: list[Logged] = field(default_factory=list)
    of_day: bool = False
    "its times are of the day (-t, -tt), not since the epoch"
    precision_ns: int = 1000
    "of its stamps"
    timed: bool = True
    "it says how long each call took (-T)"
    lines: int = 0
    strange: int = 0
    "lines that are no strace's"
    too_long: int = 0
    relative: bool = False
    "its times count from line to line (-r)"
    unstamped: int = 0
    "calls without a time"
    full: bool = False
    "there are more calls than are read"
    ended: dict[int, int] = field(default_factory=dict)
    "by thread, when it ended"
    killed: dict[int, tuple[int, str]] = field(default_factory=dict)
    "by thread, when it was killed, and by which signal"


@dataclass(slots=True)
class _Pending:
    """A call whose end has not come yet."""

    name: str
    text: str
    at_ns: int
    order: int


class Reader:
    """Reads a log, line by line."""

    def __init__(self, name: str, wanted: Collection[str]) -> None:
        """`wanted`: names of system calls; all others are passed over unread."""
        self.log = Log(name=name)
        self._wanted = wanted
        self._unfinished: dict[int, _Pending] = {}
        self._open: dict[int, int] = {}  # by thread the index of its last call, if its return is not known yet
        self._day = 0  # midnights passed
        self._last_of_day = 0
        self._took = 0

    def read(self, lines: Iterable[bytes]) -> Log:
        """All of them; each at most MAX_LINE octets, a longer one as `b""`."""
        for line in lines:
            self.log.lines += 1
            if not line:
                self.log.too_long += 1
            elif not self.log.full:
                self._line(line.decode("latin-1").rstrip("\r\n"))
        return self._finished()

    def _line(self, line: str) -> None:
        head = _LINE.match(line)
        assert head is not None  # all of it is optional
        pid = int(head["bracketed"] or head["pid"] or 0)
        text = line[head.end() :]
        at_ns = self._stamp(head)
        if text.startswith(_NO_CALL):
            if at_ns is not None and (ends := _EXITED.match(text)) is not None:
                self.log.ended[pid] = at_ns
                if ends["signal"]:
                    self.log.killed[pid] = at_ns, ends["signal"]
                self._returns(pid, at_ns)
            return
        resumed = _RESUMED.match(text)
        call = _CALL.match(text)
        if resumed is None and call is None:
            self.log.strange += bool(text.strip())
            return
        if at_ns is None:
            self.log.unstamped += 1
            return
        self._returns(pid, at_ns)
        if resumed is not None:
            self._resume(pid, resumed[1], text[resumed.end() :], at_ns)
        elif call is not None:
            self._begin(pid, call[1], text, at_ns)

    def _stamp(self, head: re.Match[str]) -> int | None:
        """Its time in ns; the log's precision is that of its stamps."""
        if head["unix"] is not None:
            seconds, part = int(head["unix"]), head["part"] or ""
            if seconds < _EPOCH_S:
                self.log.relative = True
                return None
        elif head["clock"] is not None:
            hours, minutes, rest = map(int, head["clock"].split(":"))
            seconds, part = hours * 3600 + minutes * 60 + rest, head["of"] or ""
            self.log.of_day = True
        else:
            return None
        self.log.precision_ns = 10 ** (9 - len(part))
        at_ns = seconds * 10**9 + int(part.ljust(9, "0"))
        return self._dated(at_ns) if head["clock"] is not None else at_ns

    def _dated(self, at_ns: int) -> int:
        """A time of the day, on the day that it is on: one that lies half a day back is the next day's."""
        if at_ns < self._last_of_day - _DAY_NS // 2:
            self._day += 1
        self._last_of_day = at_ns
        return at_ns + self._day * _DAY_NS

    def _returns(self, pid: int, at_ns: int) -> None:
        """The thread's next line begins: a call of it whose return nobody told has returned."""
        index = self._open.pop(pid, None)
        if index is not None:
            call = self.log.calls[index]
            self.log.calls[index] = replace(call, returned_ns=max(call.entered_ns, at_ns - 1))

    def _begin(self, pid: int, name: str, text: str, at_ns: int) -> None:
        if name not in self._wanted or _NO_SOCKET.match(text):
            return
        if unfinished := _UNFINISHED.search(text, max(len(text) - 40, 0)):
            if len(self._unfinished) < _MOST_UNFINISHED or pid in self._unfinished:
                self._unfinished[pid] = _Pending(name, text[: unfinished.start()], at_ns, self.log.lines)
            return
        self._take(pid, _Pending(name, text, at_ns, self.log.lines), None)

    def _resume(self, pid: int, name: str, rest: str, at_ns: int) -> None:
        begun = self._unfinished.pop(pid, None)
        if begun is None or begun.name != name:
            return
        if len(begun.text) + len(rest) > MAX_LINE:
            self.log.too_long += 1
        elif not _UNFINISHED.search(rest, max(len(rest) - 40, 0)):
            begun.text = f"{begun.text} {rest}"
            cut_ns = self.log.precision_ns - 1 if self.log.precision_ns < _COARSE_NS else 0
            self._take(pid, begun, at_ns + cut_ns)

    def _take(self, pid: int, begun: _Pending, returned_ns: int | None) -> None:
        """A call whose text is all there; `returned_ns`: None where its line does not tell."""
        try:
            args, at = arguments(begun.text, begun.text.index("(") + 1)
            result = _RESULT.match(begun.text, at)
            if result is None:
                raise ValueError(f"column {at + 1}: = result expected")
            found, took_ns = _rest(result["rest"])
        except ValueError:
            self.log.strange += 1
            return
        self._took += took_ns is not None
        if took_ns is not None and self.log.precision_ns < _COARSE_NS:
            ends_ns = begun.at_ns + took_ns + 2 * self.log.precision_ns - 1
            returned_ns = ends_ns if returned_ns is None else min(returned_ns, ends_ns)
        came_back = result["value"] is not None or begun.name in ("exit_group", "exit")
        if returned_ns is None and came_back:
            self._open[pid] = len(self.log.calls)
        self._add(pid, begun, args, result, found, returned_ns if came_back else None)

    def _add(
        self,
        pid: int,
        begun: _Pending,
        args: list[Written],
        result: re.Match[str],
        found: tuple[Written, ...],
        returned_ns: int | None,
    ) -> None:
        value = result["value"]
        if outer := _OUTER_PID.search(result["rest"]):  # --pidns-translation: the log's pids are strace's
            value = outer[1]
        made = result_descriptor(f"{value}{result['about']}") if value is not None and result["about"] else None
        self.log.calls.append(
            Logged(
                pid=pid,
                name=begun.name,
                args=tuple(args),
                result=None if value is None else int(value, 16 if "x" in value else 10),
                errno=result["errno"] if value is not None else None,
                found=found,
                made=made,
                entered_ns=begun.at_ns,
                returned_ns=None if returned_ns is None else max(returned_ns, begun.at_ns),
                order=begun.order,
            )
        )
        self.log.full = len(self.log.calls) >= MAX_CALLS

    def _finished(self) -> Log:
        """Calls that the log's end left without their return did not return, as far as is known."""
        for index in self._open.values():  # the last line of their threads
            self.log.calls[index] = replace(last := self.log.calls[index], returned_ns=last.entered_ns)
        for pid, begun in self._unfinished.items():
            try:
                args = _as_far(begun.text)
            except ValueError:
                continue
            self.log.calls.append(
                Logged(
                    pid=pid,
                    name=begun.name,
                    args=tuple(args),
                    result=None,
                    errno=None,
                    found=(),
                    made=None,
                    entered_ns=begun.at_ns,
                    returned_ns=None,
                    order=begun.order,
                )
            )
        self.log.calls.sort(key=lambda call: (call.entered_ns, call.order))
        self.log.timed = self._took > 0
        return self.log


def _as_far(text: str) -> list[Written]:
    """The arguments of a call that broke off: those that were written."""
    args, _ = arguments(f"{text.rstrip().removesuffix(',')})", text.index("(") + 1)
    return args


def _rest(text: str) -> tuple[tuple[Written, ...], int | None]:
    """What stands behind the result: what poll found, and how long it took (-T). Raises ValueError."""
    took = _TOOK.search(text, max(len(text) - 24, 0))
    took_ns = None if took is None else int(took[1]) * 10**9 + int(took[2].ljust(9, "0"))
    text = text[: took.start()] if took else text
    at = text.find("(")
    if at < 0 or text[at : at + 5] not in ("([{fd", "(in [", "(out ", "(exce"):
        return (), took_ns
    found, _ = arguments(text, at + 1)
    return tuple(found), took_ns


def bounded(read: Iterator[bytes]) -> Iterator[bytes]:
    """Lines of pieces of at most MAX_LINE octets (readline's): one that is longer comes once, as b""."""
    long = False
    for piece in read:
        ends = piece.endswith(b"\n")
        if not long and (ends or len(piece) < MAX_LINE):
            yield piece
        elif not long:
            yield b""
        long = not ends
