"""The story as JSON, held against its contract: every field, its type, and the order of calls and packets."""

from __future__ import annotations

import json
from types import NoneType
from typing import Any

import pytest

from rawlab.model.story import Story
from rawlab.views.rendering import render
from tests.attribution.test_unproven import without_calls
from tests.views.stories import ECHO, HOSTILE, echo, hostile

Type = type | tuple[type, ...] | list[Any] | dict[str, Any]
TEXT, NUMBER = (str, NoneType), (int, NoneType)
CONTRACT: dict[str, Type] = {
    "rawlab": TEXT,
    "lab": TEXT,
    "kernel": TEXT,
    "stack": TEXT,
    "hosts": [{"name": str, "addresses": [str], "own_tcp": [str]}],
    "losses": [{"host": str, "captured": NUMBER, "dropped": NUMBER}],
    "damaged_at": NUMBER,
    "vantage": (dict, NoneType),
    "remarks": [str],
    "calls": [
        {
            "n": int,
            "host": str,
            "pid": int,
            "fd": NUMBER,
            "call": str,
            "args": dict,
            "result": NUMBER,
            "errno": TEXT,
            "entered_ns": int,
            "returned_ns": NUMBER,
            "text": str,
            "state_after": TEXT,
            "sent": [int],
            "waited_for": [int],
            "why": str,
            "inferred": bool,
            "notes": [str],
        }
    ],
    "packets": [
        {
            "n": int,
            "sent_ns": NUMBER,
            "arrived_ns": NUMBER,
            "lost": bool,
            "from": TEXT,
            "to": TEXT,
            "source": TEXT,
            "destination": TEXT,
            "protocol": TEXT,
            "flags": TEXT,
            "chunks": (list, NoneType),
            "seq": NUMBER,
            "ack": NUMBER,
            "length": NUMBER,
            "seq_absolute": NUMBER,
            "ack_absolute": NUMBER,
            "text": str,
            "cause": {
                "kind": str,
                "calls": [int],
                "packets": [int],
                "bytes": [[int]],
                "reason": str,
                "confidence": str,
            },
            "states": dict,
            "frames": [int],
            "marks": [str],
            "notes": [str],
        }
    ],
}


def holds(value: Any, wanted: Type, where: str = "$") -> None:
    """Asserts that the value has the type, and in it every field of the contract, none missing."""
    if isinstance(wanted, dict):
        assert isinstance(value, dict), where
        for key, inner in wanted.items():
            assert key in value, f"{where}.{key} is missing"
            holds(value[key], inner, f"{where}.{key}")
    elif isinstance(wanted, list):
        assert isinstance(value, list), where
        for index, item in enumerate(value):
            holds(item, wanted[0], f"{where}[{index}]")
    else:
        assert isinstance(value, wanted), f"{where}: {value!r}"
        assert not (isinstance(value, bool) and wanted in (int, NUMBER)), where


def told(story: Story) -> Any:
    return json.loads(render(story, format="json"))


@pytest.mark.parametrize(
    "story", [echo(), without_calls(ECHO), hostile(HOSTILE[0])], ids=["whole", "foreign", "hostile"]
)
def test_every_field_of_the_contract_is_there(story: Story) -> None:
    """With its type; what is absent is null, never missing."""
    value = told(story)
    holds(value, CONTRACT)
    for packet in value["packets"]:
        assert packet["cause"]["kind"] in ("call", "kernel", "unknown")
        assert packet["cause"]["confidence"] in ("exact", "inferred", "unknown")
        assert all(len(part) == 3 for part in packet["cause"]["bytes"])


def test_calls_and_packets_are_numbered_in_order() -> None:
    """From 1; calls by entry, packets by when they were first seen."""
    value = told(echo())
    for kind, at in (("calls", "entered_ns"), ("packets", "sent_ns")):
        assert [item["n"] for item in value[kind]] == list(range(1, len(value[kind]) + 1))
        times = [item[at] for item in value[kind]]
        assert times == sorted(times)


def test_one_call_and_one_packet_to_the_letter() -> None:
    """Addresses as address:port, arguments by name, numbers relative and absolute, octets and states."""
    value = told(echo())
    write, segment = value["calls"][6], value["packets"][3]
    assert write["args"] == {"fd": 3, "buf": "hello", "count": 5}
    assert (write["call"], write["text"], write["result"], write["errno"]) == (
        "write",
        'write(3, "hello", 5) = 5',
        5,
        None,
    )
    assert (write["sent"], write["waited_for"], write["fd"]) == ([4], [], 3)
    assert value["calls"][4]["args"] == {"sockfd": 3, "addr": "10.0.0.2:7"}
    assert (segment["source"], segment["destination"], segment["from"], segment["to"]) == (
        "10.0.0.1:40000",
        "10.0.0.2:7",
        "client",
        "server",
    )
    assert (segment["seq"], segment["ack"], segment["length"], segment["flags"]) == (1, 1, 5, "P.")
    assert (segment["seq_absolute"], segment["ack_absolute"]) == (1001, 5001)
    assert segment["cause"]["bytes"] == [[7, 0, 5]]
    assert segment["states"] == {"client": "ESTABLISHED", "server": "ESTABLISHED"}
    assert segment["text"] == "IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [P.], seq 1:6, ack 1, win 502, length 5"


def test_what_was_lost_and_what_did_not_return() -> None:
    """null for the time that never came."""
    value = told(echo())
    lost, unreturned = value["packets"][4], value["calls"][9]
    assert (lost["lost"], lost["arrived_ns"], lost["to"]) == (True, None, "client")
    assert (unreturned["returned_ns"], unreturned["result"]) == (None, None)
    assert value["packets"][0]["ack_absolute"] is None


def test_references_lead_somewhere() -> None:
    """Every call and packet that is spoken of exists, and sent is the other side of a call's cause."""
    value = told(echo())
    calls, packets = len(value["calls"]), len(value["packets"])
    for packet in value["packets"]:
        assert all(1 <= n <= calls for n in packet["cause"]["calls"])
        assert all(1 <= n <= packets for n in packet["cause"]["packets"])
        if packet["cause"]["kind"] == "call":
            assert all(packet["n"] in value["calls"][n - 1]["sent"] for n in packet["cause"]["calls"])
    for call in value["calls"]:
        assert all(1 <= n <= packets for n in call["sent"] + call["waited_for"])


@pytest.mark.parametrize("word", HOSTILE)
def test_json_is_ascii_whatever_the_story_holds(word: str) -> None:
    """So that it may be printed; and what was hostile comes back as it was."""
    text = render(hostile(word), format="json")
    assert text.isascii()
    assert "\x1b" not in text
    value = json.loads(text)
    assert value["hosts"][0]["name"] == word
    assert value["calls"][6]["args"]["buf"] == word.encode().decode("latin-1")


def test_each_call_and_each_packet_stands_on_a_line_of_its_own() -> None:
    """So that grep and diff are of use."""
    lines = render(echo(), format="json").split("\n")
    assert sum('"call":' in line for line in lines) == 10
    assert sum('"cause":' in line for line in lines) == 8
