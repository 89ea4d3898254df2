"""Calls as systemd Journal Export entries, and back (systemd's journal-export-formats).

A call makes two entries, one at its entry and one at its return, so that a file that breaks off still says
in which call a process was. Stock Wireshark shows each as a row (its MESSAGE), with the time and pid:

    __REALTIME_TIMESTAMP=1700000000000123      microseconds, as systemd wants them; ours are in RAWLAB_CALL
    MESSAGE=connect(3, 10.0.0.2:7) = 0         strace's notation
    _PID=3  _COMM=client  _HOSTNAME=client  ERRNO=111
    RAWLAB_CALL={"id":…,"name":"connect",…}    the exact typed record
    RAWLAB_DATA                                the bytes moved, as a binary field: length, bytes
    RAWLAB_NOTE=see RFC 9293                   a lecturer's note on the call, as often as there are notes

`RAWLAB_CALL` is JSON: ints and null are themselves, a symbol is a string, an address {"endpoint": "10.0.0.2:7"},
bytes {"bytes": [first, last + 1]} of RAWLAB_DATA, several values a list. A call that our own endpoint made says
"endpoint": true.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rawlab.model.address import Endpoint
from rawlab.model.event import Call, Value
from rawlab.wire.errnos import ERRNOS
from rawlab.wire.strace import format_call, format_entry

_LENGTH = struct.Struct("<Q")
_PLAIN = (
    "host",
    "pid",
    "name",
    "result",
    "errno",
    "entered_ns",
    "returned_ns",
    "socket",
    "new_socket",
    "state",
    "state_ns",
)
_TEXTS = ("host", "name", "errno", "state")
_NEEDED = ("host", "pid", "name", "entered_ns")
_ENDPOINTS = ("local", "peer")
NOTE = "RAWLAB_NOTE"


def export(fields: Mapping[str, str | bytes]) -> bytes:
    """One entry in the Journal Export Format: text fields as KEY=value, bytes as length-prefixed binary."""
    return export_all(fields.items())


def export_all(fields: Iterable[tuple[str, str | bytes]]) -> bytes:
    """The same of fields of which several may have one key."""
    parts = []
    for key, value in fields:
        if isinstance(value, bytes) or "\n" in value:
            raw = value if isinstance(value, bytes) else value.encode()
            parts.append(b"%s\n%s%s\n" % (key.encode(), _LENGTH.pack(len(raw)), raw))
        else:
            parts.append(f"{key}={value}\n".encode())
    return b"".join(parts)


def parse(entry: bytes) -> dict[str, bytes]:
    """The fields of one entry; of several with one key the last. Raises ValueError where it breaks the format."""
    return {key: value for key, value, _ in _fields(entry)}


def notes_of(entry: bytes) -> tuple[str, ...]:
    """An entry's notes. Raises ValueError."""
    return tuple(value.decode("utf-8", "replace") for key, value, _ in _fields(entry) if key == NOTE)


def with_notes(entry: bytes, notes: Iterable[str]) -> bytes:
    """The entry with these notes in place of those that it has, all else octet for octet. Raises ValueError."""
    others = [entry[first:end] for key, _, (first, end) in _fields(entry) if key != NOTE]
    return b"".join(others) + export_all((NOTE, note) for note in notes)


def _fields(entry: bytes) -> Iterator[tuple[str, bytes, tuple[int, int]]]:
    """(key, value, where it stands) of each field. Raises ValueError."""
    at = 0
    while at < len(entry) and entry[at] not in b"\n\0":  # an empty line or the block's padding ends the entry
        first, newline = at, entry.find(b"\n", at)
        if newline < 0:
            raise ValueError(f"journal entry: line at octet {at}: newline expected, none came")
        key, equals, value = entry[at:newline].partition(b"=")
        at = newline + 1
        if not equals:
            if at + _LENGTH.size > len(entry):
                raise ValueError(f"journal entry: field {key!r}: 8 octets of length expected, entry ends")
            (length,) = _LENGTH.unpack_from(entry, at)
            at += _LENGTH.size
            if length > len(entry) - at:
                raise ValueError(
                    f"journal entry: field {key!r}: {length} octets expected, {len(entry) - at} there"
                )
            value, at = entry[at : at + length], at + length + 1
        yield key.decode("ascii", "replace"), value, (first, at)


def entry_of(call: Call, id: str, *, at_return: bool) -> bytes:
    """The call's entry (at_return=False) or return record."""
    at_ns = call.returned_ns if at_return and call.returned_ns is not None else call.entered_ns
    record, data = to_record(call, id)
    fields: dict[str, str | bytes] = {
        "__REALTIME_TIMESTAMP": str(at_ns // 1000),
        "MESSAGE": (format_call if at_return else format_entry)(call, 32),
        "PRIORITY": "6",
        "_PID": str(call.pid),
        "_COMM": call.host,
        "_HOSTNAME": call.host,
    }
    if call.errno is not None:
        fields["ERRNO"] = str(ERRNOS.get(call.errno, (0, ""))[0])
    fields["RAWLAB_CALL"] = json.dumps(
        {"at": "return" if at_return else "entry", **record}, separators=(",", ":")
    )
    if data:
        fields["RAWLAB_DATA"] = data
    notes = call.notes if at_return or call.returned_ns is None else ()
    return export_all([*fields.items(), *((NOTE, note) for note in notes)])


def to_record(call: Call, id: str) -> tuple[dict[str, Any], bytes]:
    """The call as JSON's values, and the bytes that they refer to."""
    data = bytearray()

    def encode(value: Value) -> Any:
        match value:
            case Endpoint():
                return {"endpoint": str(value)}
            case bytes():
                data.extend(value)
                return {"bytes": [len(data) - len(value), len(data)]}
            case tuple():
                return [encode(item) for item in value]
            case _:
                return value

    record: dict[str, Any] = {"id": id} | {key: getattr(call, key) for key in _PLAIN}
    record["args"] = [[name, encode(value)] for name, value in call.args]
    record |= {key: encode(getattr(call, key)) for key in _ENDPOINTS}
    record["endpoint"] = call.endpoint or None
    return {key: value for key, value in record.items() if value is not None}, bytes(data)


def from_record(record: Mapping[str, Any], data: bytes) -> Call:
    """The call that `to_record` wrote. Raises ValueError, KeyError or TypeError where it did not."""

    def decode(value: Any) -> Value:
        match value:
            case {"endpoint": str(text)}:
                return Endpoint.parse(text)
            case {"bytes": [int(first), int(end)]}:
                return data[first:end]
            case list():
                return tuple(decode(item) for item in value)
            case None | int() | str():
                return value
        raise ValueError(f"RAWLAB_CALL: a number, string, list, endpoint or bytes expected, {value!r} came")

    if not isinstance(record, Mapping):
        raise ValueError(f"RAWLAB_CALL: an object expected, {record!r} came")
    known: dict[str, Any] = {key: record.get(key) for key in _PLAIN}
    for key, value in known.items():
        kind = str if key in _TEXTS else int
        if not isinstance(value, kind) and (value is not None or key in _NEEDED):
            raise ValueError(f"RAWLAB_CALL: {key}: {kind.__name__} expected, {value!r} came")
    known["endpoint"] = record.get("endpoint", False)
    if not isinstance(known["endpoint"], bool):
        raise ValueError(f"RAWLAB_CALL: endpoint: bool expected, {known['endpoint']!r} came")
    known["args"] = tuple((str(name), decode(value)) for name, value in record["args"])
    for key in _ENDPOINTS:
        known[key] = decode(record.get(key))
        if not isinstance(known[key], Endpoint | None):
            raise ValueError(f"RAWLAB_CALL: {key}: an endpoint expected, {known[key]!r} came")
    return Call(**known)
