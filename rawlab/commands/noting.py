"""What `rawlab note` does: the lecturer's notes on packets and calls, written into the capture, and listed.

    FILE, and which row ─▶ the records that it stands in ─▶ wire.notes, octets anew ─▶ store.replace, in one step

A record's number is Wireshark's; p6 and c4 are the table's packet 6 and call 4. Of a packet that was seen at two points
of observation, the frame that left bears the note; of a call, its return. A capture is copied piece by piece: it may
be larger than the memory, as long as its row is named by its record's number.
"""

from __future__ import annotations

import argparse
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rawlab import store
from rawlab.api import Story, explain
from rawlab.commands import rights
from rawlab.commands.showing import columns
from rawlab.errors import FormatError, OutputError, UsageError
from rawlab.views.escape import terminal
from rawlab.views.rows import STRSIZE, words
from rawlab.views.style import Style
from rawlab.views.table import draw
from rawlab.wire import notes, pcap
from rawlab.wire.notes import Record, Whose
from rawlab.wire.strace import format_call


def note(arguments: argparse.Namespace, read: Callable[[str], store.Opened]) -> int:
    """The command's exit code. `read`: a named capture's octets. Raises RawlabError."""
    _check_words(arguments)
    if arguments.text is arguments.replace is arguments.remove is None:
        data = read(arguments.file).octets
        _check_format(data, arguments.file)
        numbers = _numbers(arguments.row, data, arguments.file) if arguments.row else None
        print(_listed(data, arguments.file, numbers))
        return 0
    rights.give_up(os.path.dirname(arguments.file) or ".")
    try:
        _change(arguments)
    except OSError as error:
        raise OutputError(f"{arguments.file}: can't be annotated: {_why_not(error, arguments.file)}") from None
    return 0


_READ_ONLY = "it is read-only to you; make a copy, and annotate that"
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_INSTEAD = {
    **dict.fromkeys(_DENIED, _READ_ONLY),
    errno.ELOOP: "it is a symbolic link; name the file itself",
}


def _why_not(error: OSError, file: str) -> str:
    """What stands in the way: the file, or, of a new one to be put in its place, the folder."""
    mine = str(error.filename) == str(Path(file))
    if error.errno == errno.ENOENT and mine:
        return "there is no such file"
    if error.errno in _DENIED and not mine:
        return f"its folder, {os.path.dirname(file) or '.'}, takes no new file of yours; annotate a copy elsewhere"
    return _INSTEAD.get(error.errno or 0, f"{error.strerror}; the file is as it was")


def _check_words(arguments: argparse.Namespace) -> None:
    """What does not go together. Raises UsageError."""
    given = [text for text in (arguments.text, arguments.replace, arguments.remove) if text is not None]
    if not given:
        return
    if len(given) > 1:
        raise UsageError("note: one thing at a time: a note's TEXT, --replace TEXT, or --remove")
    if arguments.row is None:
        raise UsageError("note: name the row as well: 12 for record 12 as Wireshark counts, p6, or c4")
    if arguments.file == "-":
        raise UsageError("-: a note is written into a file; name it")
    (text,) = given
    if arguments.remove is None and not text.strip():
        raise UsageError("the note has no words; --remove takes one away")
    try:
        octets = len(text.encode())
    except UnicodeEncodeError:
        raise UsageError("the note is no UTF-8") from None
    if octets > notes.MOST:
        raise UsageError(f"the note has {octets} octets; a packet comment holds {notes.MOST} at the most")


def _check_format(data: bytes | memoryview, file: str) -> None:
    """Raises FormatError for what is no pcapng."""
    if bytes(data[:4]) == b"\x0a\x0d\x0d\x0a":
        return
    if pcap.read(data) is not None:
        raise FormatError(f"{file}: is a pcap, which has no place for notes; editcap {file} NEW.pcapng makes a pcapng")
    store.parse(bytes(data[:4]), file)  # says what it is not


# ---- changing


def _change(arguments: argparse.Namespace) -> None:
    """Writes the file anew, unless it is as it should be already. Raises OSError, RawlabError."""
    path = Path(arguments.file)
    with store.editing(path) as descriptor:
        data = store.octets(descriptor)
        _check_format(data, arguments.file)
        numbers = _numbers(arguments.row, data, arguments.file)
        found = {record.number: record for record in _of(data, numbers)}
        was = {number: record.notes for number, record in found.items()}
        wanted = _wanted(arguments, was, numbers[0])
        changed = {number: wanted[number] for number in was if wanted[number] != was[number]}
        for number in changed:
            _check_room(found[number], arguments.file)
        if changed:
            store.replace(path, descriptor, notes.rewritten(data, changed))
    _tell(arguments.row, [text for number in numbers for text in wanted[number]])


def _wanted(arguments: argparse.Namespace, was: dict[int, tuple[str, ...]], first: int) -> dict[int, tuple[str, ...]]:
    """Which notes each of the row's records shall bear. Raises UsageError."""
    text = arguments.remove
    if text:
        if not any(text in each for each in was.values()):
            raise UsageError(f"{arguments.row}: has no such note; rawlab note {arguments.file} lists them")
        return {number: tuple(one for one in each if one != text) for number, each in was.items()}
    if text is not None:
        return dict.fromkeys(was, ())
    if arguments.replace is not None:
        return dict.fromkeys(was, ()) | {first: (arguments.replace,)}
    text = arguments.text
    if any(text in each for each in was.values()):
        return was
    return was | {first: (*was[first], text)}


def _check_room(record: Record, file: str) -> None:
    if not record.has_room:
        raise UsageError(
            f"{file}: record {record.number} is a Simple Packet Block, which has no place for a note; "
            f"editcap {file} NEW.pcapng makes Enhanced ones"
        )
    if not record.is_packet and record.call is None:
        raise UsageError(f"{file}: record {record.number} is neither a packet nor a recorded call")


def _tell(row: str, texts: Sequence[str]) -> None:
    """What the row bears now."""
    for text in texts or ["no note"]:
        print(f"{row}: {terminal(text)}")


# ---- which records a row stands in


def _of(data: bytes | memoryview, numbers: Sequence[int]) -> Iterator[Record]:
    last = max(numbers)
    for record in notes.records(data):
        if record.number in numbers:
            yield record
        if record.number >= last:
            return


def _numbers(row: str, data: bytes | memoryview, file: str) -> Sequence[int]:
    """The numbers of the row's records, the one first that a new note goes to. Raises UsageError."""
    kind, number = (row[0], row[1:]) if row[:1] in ("p", "c", "r") else ("", row)
    if not number.isdecimal() or not number.isascii():
        raise UsageError(f"{row}: expected 12 for record 12 as Wireshark counts, p6 for packet 6, c4 for call 4")
    if kind:
        return _of_row(kind, int(number), data, file)
    if any(True for _ in _of(data, [int(number)])):
        return [int(number)]
    last = max((record.number for record in notes.records(data)), default=0)
    raise UsageError(f"{row}: no such record; {f'{file} has 1 to {last}' if last else f'{file} holds none'}")


def _of_row(kind: str, n: int, data: bytes | memoryview, file: str) -> Sequence[int]:
    story = _story(data, file)
    told = {"c": story.calls, "r": story.endpoint_calls}.get(kind, ())
    if kind == "p" and 1 <= n <= len(story.packets):
        return story.packets[n - 1].frames
    if not 1 <= n <= len(told):
        there = f"{_first_to_last('c', story.calls, 'calls')} and {_first_to_last('p', story.packets, 'packets')}"
        raise UsageError(f"{kind}{n}: no such row; {file} has {there}")
    call = told[n - 1].call
    whose = call.host, call.pid, call.entered_ns
    return [record.number for record in notes.records(data) if not record.is_packet and record.call == whose][::-1]


def _first_to_last(kind: str, told: Sequence[object], what: str) -> str:
    return f"{kind}1 to {kind}{len(told)}" if told else f"no {what}"


def _story(data: bytes | memoryview, file: str) -> Story:
    return explain(store.parse(data, file))


# ---- listing


_MOST_TOLD = 1 << 28
"octets of a file whose story is told: a story takes some times as much memory"


def _listed(data: bytes | memoryview, file: str, numbers: Sequence[int] | None) -> str:
    """A table of all notes, or of those records'; of a very large file, with no more than the records' numbers."""
    noted = [record for record in notes.records(data) if record.notes and (numbers is None or record.number in numbers)]
    if not noted:
        return f'no notes; rawlab note {file} p6 "text" writes one'
    names: dict[int | Whose | None, tuple[str, str]] = {}
    if len(data) <= _MOST_TOLD:
        story = _story(data, file)
        names = {number: (f"p{one.n}", words(one)) for one in story.packets for number in one.frames}
        for told in story.calls + story.endpoint_calls:
            whose = told.call.host, told.call.pid, told.call.entered_ns
            names[whose] = told.label, format_call(told.call, STRSIZE)
    body = []
    for record in noted:
        name = names.get(record.number if record.is_packet else record.call, ("", ""))
        body += [[str(record.number), *name, text] for text in record.notes]
    return draw(["record", "#", "what", "note"], body, Style(width=columns()))
