"""Calls as Journal Export entries, and back."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.model.address import Endpoint
from rawlab.model.event import Call
from rawlab.wire.journal import entry_of, export, from_record, notes_of, parse, to_record, with_notes
from tests.wire.values import NOTES, calls

WRITE = Call(
    host="client",
    pid=3,
    name="write",
    args=(("fd", 3), ("buf", b"hi\0\n"), ("count", 4)),
    result=4,
    entered_ns=1_700_000_000_000_123_456,
    returned_ns=1_700_000_000_000_789_999,
    socket=77,
    local=Endpoint("10.0.0.1", 40000),
    peer=Endpoint("10.0.0.2", 7),
    state="ESTABLISHED",
    state_ns=1_700_000_000_000_900_000,
)


def read_back(entry: bytes) -> Call:
    """The call in an entry."""
    fields = parse(entry)
    call = from_record(json.loads(fields["RAWLAB_CALL"]), fields.get("RAWLAB_DATA", b""))
    return replace(call, notes=notes_of(entry))


@given(calls(), st.booleans())
def test_any_call_comes_back_as_it_was(call: Call, at_return: bool) -> None:
    """Every field and every argument, typed; from its entry record as from its return, which has the notes."""
    there = at_return or call.returned_ns is None
    assert read_back(entry_of(call, "11.1", at_return=at_return)) == (call if there else replace(call, notes=()))


@given(calls(), st.lists(NOTES, max_size=3), st.booleans())
def test_other_notes_take_the_place_of_an_entry_s_own(call: Call, notes: list[str], at_return: bool) -> None:
    """All else stays, octet for octet."""
    entry = entry_of(call, "1", at_return=at_return)
    noted = with_notes(entry, notes)
    assert notes_of(noted) == tuple(notes)
    assert with_notes(noted, notes_of(entry)) == entry


def test_a_note_is_a_field_that_systemd_knows_to_read() -> None:
    """Text as KEY=value, with its length where it has lines; one field a note."""
    entry = entry_of(replace(WRITE, notes=("one", "two\nlines")), "1", at_return=True)
    assert entry.endswith(b"RAWLAB_NOTE=one\nRAWLAB_NOTE\n\x09\0\0\0\0\0\0\0two\nlines\n")


@given(calls())
def test_a_record_is_json_and_its_octets(call: Call) -> None:
    """The record survives JSON, and refers to every octet once, in order."""
    record, data = to_record(call, "11.1")
    assert record["id"] == "11.1"
    assert from_record(json.loads(json.dumps(record)), data) == replace(call, notes=())


@given(calls(), st.binary(max_size=3))
def test_a_block_s_padding_is_no_field(call: Call, padding: bytes) -> None:
    """A pcapng block is filled up with zeros to a multiple of 4."""
    assert read_back(entry_of(call, "1", at_return=True) + bytes(len(padding))) == call


def test_an_entry_is_what_systemd_writes() -> None:
    """Text fields as KEY=value, octets as KEY, length (8, little-endian), octets; the time in microseconds."""
    entry = entry_of(WRITE, "11.1", at_return=True)
    assert entry.startswith(
        b"__REALTIME_TIMESTAMP=1700000000000789\n"
        b'MESSAGE=write(3, "hi\\x00\\n", 4) = 4\n'
        b"PRIORITY=6\n_PID=3\n_COMM=client\n_HOSTNAME=client\nRAWLAB_CALL={"
    )
    assert entry.endswith(b"RAWLAB_DATA\n\x04\0\0\0\0\0\0\0hi\0\n\n")


def test_only_our_own_endpoint_s_calls_say_that_they_are() -> None:
    """A program's call says nothing of it, as in the files of before."""
    record, data = to_record(WRITE, "11.1")
    assert "endpoint" not in record
    assert from_record(record, data).endpoint is False
    assert to_record(replace(WRITE, endpoint=True), "11.1")[0]["endpoint"] is True


def test_an_entry_record_says_when_the_call_was_entered_and_that_it_is_unfinished() -> None:
    """In strace's words, for stock Wireshark."""
    fields = parse(entry_of(replace(WRITE, returned_ns=None, result=None), "1", at_return=False))
    assert fields["__REALTIME_TIMESTAMP"] == b"1700000000000123"
    assert fields["MESSAGE"] == b'write(3, "hi\\x00\\n", 4 <unfinished ...>'


@pytest.mark.parametrize(("errno", "number"), [("ECONNREFUSED", b"111"), ("EAGAIN", b"11"), ("EODD", b"0")])
def test_a_failed_call_carries_its_errno_s_number(errno: str, number: bytes) -> None:
    """As systemd's ERRNO field; 0 for a name that is not known."""
    assert parse(entry_of(replace(WRITE, result=-1, errno=errno), "1", at_return=True))["ERRNO"] == number


@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.text() | st.binary(), max_size=5))
def test_fields_come_back_as_they_were(fields: dict[str, str | bytes]) -> None:
    """Also those with newlines, '=' and no octet at all."""
    wanted = {
        key: value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        for key, value in fields.items()
    }
    assert parse(export({key: value if key in wanted else b"" for key, value in wanted.items()})) == wanted


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (b"MESSAGE=no end", "line at octet 0: newline expected, none came"),
        (b"A=1\nDATA\n\1\0\0", "field b'DATA': 8 octets of length expected, entry ends"),
        (b"DATA\n\5\0\0\0\0\0\0\0abc", "field b'DATA': 5 octets expected, 3 there"),
        (b"DATA\n\xff\xff\xff\xff\xff\xff\xff\xffabc", "octets expected, 3 there"),
    ],
)
def test_what_breaks_the_format_is_refused(entry: bytes, message: str) -> None:
    """With the place; a length is not believed."""
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(entry)


@given(st.binary(max_size=60) | st.binary(max_size=20).map(lambda tail: b"DATA\n" + tail))
def test_any_octets_are_an_entry_or_are_refused(entry: bytes) -> None:
    """ValueError, and nothing else."""
    with contextlib.suppress(ValueError):
        parse(entry)


RECORD, DATA = to_record(WRITE, "11.1")


@pytest.mark.parametrize("wrong", ["x", 1.5, [], {"endpoint": 5}, {"bytes": [0]}, None, True, {"endpoint": "nowhere"}])
@pytest.mark.parametrize("key", [*RECORD, "errno", "new_socket", "endpoint"])
def test_a_field_of_another_type_is_refused_or_harmless(key: str, wrong: Any) -> None:
    """A call that was read holds what its annotations say, whoever wrote the file."""
    try:
        call = from_record(RECORD | {key: wrong}, DATA)
    except (ValueError, KeyError, TypeError):
        return
    assert all(isinstance(value, str) for value in (call.host, call.name))
    assert all(isinstance(value, int) for value in (call.pid, call.entered_ns))
    for number in (call.result, call.returned_ns, call.socket, call.new_socket, call.state_ns):
        assert isinstance(number, int | None)
    assert isinstance(call.errno, str | None)
    assert isinstance(call.state, str | None)
    assert isinstance(call.endpoint, bool)
    assert isinstance(call.local, Endpoint | None)
    assert isinstance(call.peer, Endpoint | None)
    assert all(isinstance(name, str) for name, _ in call.args)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([*RECORD, "errno"]), JSON)
def test_no_value_does_more_than_be_refused(key: str, wrong: Any) -> None:
    """ValueError, KeyError or TypeError, as promised."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        from_record(RECORD | {key: wrong}, DATA)


def test_octets_beyond_the_data_are_none() -> None:
    """A record that refers past its data gets what is there."""
    assert from_record(RECORD | {"args": [["buf", {"bytes": [0, 1 << 40]}]]}, b"hi").args == (("buf", b"hi"),)
