"""What `rawlab replay FILE --strace LOG` does: a log that strace wrote beside the capture gives it its calls."""

from __future__ import annotations

import datetime
import os
import stat

from rawlab.errors import FormatError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from rawlab.attribution.traced import Adopted
    from rawlab.model.timeline import Timeline
    from rawlab.store import Opened
    from rawlab.wire.strace_log import Log, Logged

_LARGEST = 64 << 20
"octets of a capture: each of its packets is read"
_QUARTER_NS = 900 * 10**9  # time zones differ by quarters of an hour
_UNPACK = {"gzip": "gunzip", "zstd": "unzstd"}
_HOW = "expected what `strace -f -ttt -T -yy -x -o LOG` writes"


def replay(arguments: argparse.Namespace, read_input: Callable[[str], Opened]) -> int:
    """Tells the capture with the logs' calls; where they are not its own, without. Raises RawlabError."""
    from rawlab import store
    from rawlab.commands import replaying, streams

    given = [f"--{name}" for name in ("where", "sort") if getattr(arguments, name)]
    if given or arguments.table in ("flows", "frames"):
        word = next(iter(given), f"--table {arguments.table}")
        raise UsageError(f"--strace tells a story, of LOG's conversations or (--flow N) of one: leave {word} out")
    logs = opened(arguments.strace)
    capture = read_input(arguments.file)
    if len(capture.octets) > _LARGEST and not arguments.full:
        raise UsageError(
            f"{arguments.file}: is too large to be told at once ({len(capture.octets) >> 20} MiB): cut it to the run "
            "(`editcap -A … -B …`, `tcpdump -r`), or say --full"
        )
    captured = store.parse(capture, arguments.file)
    try:
        traced, said = add(captured, read_all(logs), arguments.file)
        if arguments.flow:
            traced = _of_flow(traced, capture, arguments)
    except (FormatError, UsageError):
        replaying.show(capture, arguments)
        raise
    arguments.table = arguments.table or "both"
    code = replaying.tell(capture, arguments, traced)
    if len(logs) < len(arguments.strace):
        said.append("--strace: a log that is named twice is used once")
    for line in said:
        streams.complain(line, 0)
    return code


def _of_flow(traced: Timeline, capture: Opened, arguments: argparse.Namespace) -> Timeline:
    """One flow of the capture, with the calls on its sockets. Raises UsageError."""
    from rawlab.columns.reading import Reading
    from rawlab.commands import one_flow

    numbers = {frame.number for frame in one_flow.frames_of(Reading(capture.octets), arguments, capture)}
    if numbers.isdisjoint(frame.number for frame in traced.frames):
        raise UsageError(f"{arguments.file}: --flow {arguments.flow}: is no conversation of LOG's; leave --strace out")
    return one_flow.part(traced, numbers)


def opened(names: Sequence[str]) -> list[tuple[str, BinaryIO]]:
    """The logs, open, before any privilege is given up; one that is named twice, once. Raises FormatError."""
    found: dict[tuple[int, int], tuple[str, BinaryIO]] = {}
    for name in names:
        file = _opened(name)
        status = os.fstat(file.fileno())
        if found.setdefault((status.st_dev, status.st_ino), (name, file))[1] is not file:
            file.close()
    return list(found.values())


def _opened(name: str) -> BinaryIO:
    from rawlab.store.unpacking import packing

    if name == "-":
        raise UsageError("--strace -: a log is read from a file, not from standard input: name it")
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO is not waited for
    except OSError as error:
        raise FormatError(f"{name}: {error.strerror}; {_HOW}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FormatError(f"{name}: is no regular file; {_HOW}")
    file = open(descriptor, "rb")  # noqa: SIM115 - it is handed out
    if (kind := packing(file.peek(4)[:4])) is not None:
        file.close()
        raise FormatError(f"{name}: is packed ({kind}): unpack it first (`{_UNPACK.get(kind, kind)} {name}`)")
    return file


def read_all(logs: Sequence[tuple[str, BinaryIO]]) -> list[Log]:
    """The logs; of several, some may hold no call on a socket (strace -ff writes one a process). Raises FormatError."""
    found: list[Log] = []
    problem: FormatError | None = None
    for name, file in logs:
        try:
            found.append(read(name, file))
        except FormatError as error:
            problem = problem or error
    if problem is not None and not found:
        raise problem
    return found


def read(name: str, file: BinaryIO) -> Log:
    """A log. Raises FormatError where it holds nothing that could be tied to packets."""
    from rawlab.views.counting import count
    from rawlab.wire.strace_calls import WANTED
    from rawlab.wire.strace_log import MAX_LINE, Reader, bounded

    def pieces() -> Iterator[bytes]:
        return iter(lambda: file.readline(MAX_LINE), b"")

    with file:
        log = Reader(name, WANTED).read(bounded(pieces()))
    if log.calls:
        return log
    if log.relative:
        raise FormatError(f"{name}: its times count from line to line (strace -r); trace again with -ttt")
    if log.unstamped:
        raise FormatError(
            f"{name}: {count(log.unstamped, 'call')} without times, which would tie them to packets: trace with -ttt"
        )
    if log.lines == 0:
        raise FormatError(f"{name}: is empty; {_HOW}")
    if log.strange == log.lines:
        raise FormatError(f"{name}: is no log of strace's: in {count(log.lines, 'line')} there is no call; {_HOW}")
    raise FormatError(f"{name}: in {count(log.lines, 'line')} there is no call on a socket; {_HOW}")


def add(captured: Timeline, logs: Sequence[Log], name: str) -> tuple[Timeline, list[str]]:
    """The capture with the logs' calls, and what there is to say of them, a line each. Raises UsageError, FormatError.

    `name`: the capture's.
    """
    from rawlab.views.counting import count

    if captured.calls:
        raise UsageError(f"{name}: has its own calls, recorded with its packets; leave --strace out")
    if not captured.frames:
        raise FormatError(f"{name}: holds no packet to which {logs[0].name}'s calls could be tied")
    adopted, clock = _on_one_clock(captured, logs)
    if adopted.matched == 0:
        raise FormatError(_unmatched(adopted, logs, captured, name))
    said = [*_remarks(logs), *(f"{_names(logs)}: {said}" for said in clock)]
    if adopted.matched < adopted.conversations:
        said.append(
            f"{_names(logs)}: {adopted.matched} of its {adopted.conversations} sockets that spoke with somebody "
            f"are in {name}; of the others no packet was captured"
        )
    if adopted.left_out:
        left = count(adopted.left_out, "packet")
        said.append(f"{name}: {left} of other conversations than {_names(logs)}'s left out; without --strace they show")
    return adopted.timeline, said


def _names(logs: Sequence[Log]) -> str:
    first, *others = [log.name for log in logs]
    return f"{first} and {len(others)} others" if len(others) > 2 else ", ".join((first, *others))


def _on_one_clock(captured: Timeline, logs: Sequence[Log]) -> tuple[Adopted, list[str]]:
    """With the calls, by the capture's clock; and what there is to say of the log's."""
    adopted = _adopted(captured, logs)
    if adopted.ahead_ns is None or adopted.matched == 0:
        return adopted, []
    low, high = adopted.ahead_ns
    away_ns = (low + high) // 2
    by = f"{abs(away_ns) / 1e9:.{6 if high - low < 20_000 else 4}f}".rstrip("0").rstrip(".")
    side = "behind" if away_ns > 0 else "ahead of"
    bound = f"± {(high - low) / 2e6:.3f} ms" if high > low else "or more"
    why = "read before they came" if away_ns > 0 else "sent before they were written"
    return _adopted(captured, logs, away_ns), [
        f"its clock is {by} s {side} the capture's, {bound} (octets would be {why}): its calls' times are moved by that"
    ]


def _adopted(captured: Timeline, logs: Sequence[Log], away_ns: int = 0) -> Adopted:
    """With the calls; of a log that holds times of the day, on the day that fits best."""
    from dataclasses import replace

    from rawlab.attribution.traced import adopt
    from rawlab.wire.decode import decode
    from rawlab.wire.strace_sockets import Following

    def told(shift_ns: int) -> Adopted:
        following = Following()
        calls = following.follow(_together(logs, shift_ns, away_ns))
        adopted = adopt(captured, calls, following.programs, decode, max(log.precision_ns for log in logs))
        killed = tuple(_killed(logs, shift_ns, away_ns))
        run = replace(adopted.timeline.run, killed=killed)
        return replace(adopted, timeline=replace(adopted.timeline, run=run)) if killed else adopted

    if not any(log.of_day for log in logs):
        return told(0)
    return max(map(told, _days(captured, logs)), key=lambda found: (found.timely, found.matched))


def _days(captured: Timeline, logs: Sequence[Log]) -> Iterator[int]:
    """How far a clock that shows the time of the day may be from UTC's: a day, and a time zone."""
    first_ns = min(frame.at_ns for frame in captured.frames)
    entered = [call.entered_ns for log in logs if log.of_day for call in log.calls]
    away_ns = first_ns - min(entered)
    nearest = round(away_ns / _QUARTER_NS)
    length = (max(entered) - min(entered)) // _QUARTER_NS
    for quarters in range(nearest - min(length, 96) - 1, nearest + 2):
        yield quarters * _QUARTER_NS


def _killed(logs: Sequence[Log], shift_ns: int, away_ns: int) -> Iterator[tuple[int, int, str]]:
    """(process, when, signal) of those that were killed; a thread's number is no process's, and ties nothing."""
    for log in logs:
        for pid, (at_ns, signal) in log.killed.items():
            yield pid or _pid_of(log), at_ns + away_ns + (shift_ns if log.of_day else 0), signal


def _pid_of(log: Log) -> int:
    """The number behind its name's last dot (strace -ff), or 0."""
    ending = log.name.rpartition(".")[2]
    return int(ending) if ending.isdecimal() and len(ending) < 9 else 0


def _together(logs: Sequence[Log], shift_ns: int, away_ns: int) -> list[Logged]:
    """All calls in order of time; a log without processes is one, its number the one behind its name's last dot.

    `shift_ns`: from the time of the day to UTC's; `away_ns`: how far the capture's clock is ahead.
    """
    from dataclasses import replace

    calls: list[Logged] = []
    for log in logs:
        pid = _pid_of(log)
        by_ns = away_ns + (shift_ns if log.of_day else 0)
        for call in log.calls:
            ends_ns = call.returned_ns + by_ns if call.returned_ns is not None else None
            calls.append(replace(call, pid=call.pid or pid, entered_ns=call.entered_ns + by_ns, returned_ns=ends_ns))
    return sorted(calls, key=lambda call: (call.entered_ns, call.order))


def _unmatched(adopted: Adopted, logs: Sequence[Log], captured: Timeline, name: str) -> str:
    times = [frame.at_ns for frame in captured.frames]
    if adopted.conversations == 0:
        return f"{_names(logs)}: none of its sockets spoke with anybody; {_HOW}"
    several = adopted.conversations != 1
    whose = f"none of its {adopted.conversations} sockets" if several else "its one socket"
    clock = f"its clock spans {_span(adopted.first_ns, adopted.last_ns)}"
    if any(log.of_day for log in logs):
        clock = "its times are of a day that it does not name (-ttt does)"
    return (
        f"{_names(logs)}: {whose} that spoke with somebody {'is' if several else 'is not'} in {name}: "
        f"{clock}, the capture spans {_span(min(times), max(times))}; is it of this run?"
    )


def _span(first_ns: int, last_ns: int) -> str:

    try:
        began, ended = (
            datetime.datetime.fromtimestamp(at_ns // 10**9, datetime.UTC) for at_ns in (first_ns, last_ns)
        )
    except (OverflowError, ValueError, OSError):
        return "times that no calendar has"
    end = f"{ended:%H:%M:%S}" if began.date() == ended.date() else f"{ended:%Y-%m-%d %H:%M:%S}"
    return f"{began:%Y-%m-%d %H:%M:%S} to {end} UTC"


def _remarks(logs: Sequence[Log]) -> Iterator[str]:
    """What a reader of the tables must know of the logs."""
    from rawlab.views.counting import count

    if untimed := [log for log in logs if not log.timed]:
        yield (
            f"{_names(untimed)}: without strace's -T, a call whose return no line of its own tells is taken to end "
            "when its thread's next line begins: it may have taken less"
        )
    if coarse := [log for log in logs if log.precision_ns >= 10**6]:
        what = "whole seconds (-t)" if coarse[0].precision_ns >= 10**9 else "milliseconds"
        yield (
            f"{_names(coarse)}: its stamps are {what}: its calls are placed by their order and by the octets that "
            "they moved, and when they were is not known better; -ttt tells"
        )
    for log in logs:
        if log.strange or log.too_long:
            yield f"{log.name}: {count(log.strange + log.too_long, 'line')} of {log.lines} can't be read as strace's"
        if log.unstamped:
            yield f"{log.name}: {count(log.unstamped, 'call')} without a time are left out"
        if log.full:
            yield f"{log.name}: only its first {len(log.calls)} calls are read"
