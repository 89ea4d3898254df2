"""Descriptions of packets: scapy's and tcpdump's notation read as data, and nothing else read, let alone run."""

from __future__ import annotations

import builtins
import os
from keyword import iskeyword
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.errors import UsageError
from rawlab.wire.description import Description, Part, Value, describe, parse, parse_name, parse_setting


def part(layer: str, **fields: Value) -> Part:
    return Part(layer=layer, fields=tuple(fields.items()))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("IP()", [part("IP")]),
        ('IP(dst="10.0.0.2")/TCP(dport=7,flags="S")/"hello"',
         [part("IP", dst="10.0.0.2"), part("TCP", dport=7, flags="S"), part("Raw", load=b"hello")]),
        ('IP() / UDP(dport=[7, (9, 11)]) / b"\\x00\\xff"',
         [part("IP"), part("UDP", dport=[7, (9, 11)]), part("Raw", load=b"\0\xff")]),
        ('UDP(len=-1)/"é"', [part("UDP", len=-1), part("Raw", load="é".encode())]),
        ('DNS(qd=DNSQR(qname="a.b"), rd=True)', [part("DNS", qd=(part("DNSQR", qname="a.b"),), rd=1)]),
        ('TCP(options=[("MSS", 1460), ("NOP", None)])', [part("TCP", options=[("MSS", 1460), ("NOP", None)])]),
        ("  IP()\n", [part("IP")]),
    ],
)  # fmt: skip
def test_scapys_notation(text: str, parts: list[Part]) -> None:
    """Layers by name, fields by keyword, literals as values, a payload as a string; '/' puts one on another."""
    assert list(parse(text).parts) == parts


@pytest.mark.parametrize(
    ("text", "column", "expected", "came"),
    [
        ("", 1, "layers as IP()", "''"),
        ("IP", 1, "IP(), with parentheses", "'IP'"),
        ("IP()/", 6, "layers as IP()", "''"),
        ("IP()/TCP(7)", 10, "a field's name and '='", "'7)'"),
        ("IP()/TCP(**{})", 6, "a field's name and '='", "'TCP(**{})'"),
        ("IP()*3", 1, "a layer, as TCP(dport=7)", "'IP()*3'"),
        ("IP()//TCP()", 5, "one '/' between layers", "'//TCP()'"),
        ("IP()/7", 6, "a layer, as TCP(dport=7)", "'7'"),
        ("IP(dst=x)", 8, "a number, a string", "'x)'"),
        ("IP(dst={1})", 8, "a number, a string", "'{1})'"),
        ('IP()/TCP(dport=os.system("x"))', 16, "a layer, as TCP(dport=7)", "'os.system"),
        ("IP(ttl=1e999)", 8, "a number, a string", "'1e999)'"),
        ("IP(ttl=1j)", 8, "a number, a string", "'1j)'"),
        ("IP(ttl=lambda: 0)", 8, "a number, a string", "'lambda"),
        ('IP()/f"{x}"', 6, "a layer, as TCP(dport=7)", "'f\"{x}\"'"),
        ('IP(src="é", dst=x)', 17, "a number, a string", "'x)'"),
        ("IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [S, seq 0", 40, "flags as 'P.' and ']'", "'S, seq 0'"),
        ("IP 10.0.0.1.9 > 10.0.0.2.7: UDP, length x", 34, "'length ' and a number", "'length x'"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, column: int, expected: str, came: str) -> None:
    """The column, what was expected there, and what came instead."""
    with pytest.raises(UsageError) as error:
        parse(text)
    assert f": at column {column}: expected {expected}" in str(error.value)
    assert f"came {came}" in str(error.value)
    assert "\n" not in str(error.value)


words = st.from_regex(r"[A-Za-z_][A-Za-z_0-9]{0,9}", fullmatch=True).filter(lambda name: not iskeyword(name))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts | st.binary(max_size=12)


def parts_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Part]:
    named = st.dictionaries(words, values, max_size=3)
    layers = st.builds(lambda layer, fields: part(layer, **fields), words.filter(lambda name: name != "Raw"), named)
    return layers | st.binary(max_size=12).map(lambda load: part("Raw", load=load))


values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.lists(parts_of(inner), min_size=2, max_size=3).map(tuple)
    ),
    max_leaves=6,
)
descriptions = st.lists(parts_of(values), min_size=1, max_size=4).map(lambda parts: Description(parts=tuple(parts)))


@given(descriptions)
def test_what_is_written_can_be_read(description: Description) -> None:
    """parse(describe(x)) == x, whatever the names, numbers, strings, lists and packets inside."""
    assert parse(describe(description)) == description


HOSTILE = [
    '__import__("os").system("touch {file}")',
    'IP(dst=__import__("os").system("touch {file}"))',
    'IP()/open("{file}", "w")',
    '[open("{file}", "w") for x in [1]]',
    '(lambda: open("{file}", "w"))()',
    'IP(dst=f"{{open(chr(47), 1)}}")',
    "exec(\"open('{file}', 'w')\")",
    "().__class__.__base__.__subclasses__()",
    'IP()/eval(b"1")',
    "IP(x:=1)",
    "IP(*[1])",
    "await IP()",
    "9" * 5000,
    "IP()/" * 6000 + "IP()",
    "(" * 9000 + ")" * 9000,
    "IP(x=" + "[" * 9000,
    "-" * 19000 + "1",
    "a" + ".b" * 9000,
    "2" + "**2" * 5000,
    "lambda:" * 3000 + "1",
    "IP()\0",
    "\udcff",
    'IP(dst="\udcff")',
    "IP(\\",
    "x" * 40_000,
    "IP()\nTCP()",
    "IP 10.0.0.1.9 > 10.0.0.2.7: UDP, length 4000000000",
    "IP6 fd00::1 > fd00::2: ICMP6, router solicitation, length 99999999",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_run_nothing(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code stays text: no name is looked up, no file made, and nothing but a one-line UsageError comes out."""

    parse("IP 10.0.0.1 > 10.0.0.2: ip-proto-253 0")  # loads what a line of tcpdump's needs, before exec is barred

    def never(*_: object, **__: object) -> None:
        raise AssertionError("evaluated")

    file = tmp_path / "made"
    for name in ("eval", "exec"):
        monkeypatch.setattr(builtins, name, never)
    monkeypatch.setattr(os, "system", never)
    with pytest.raises(UsageError) as error:
        parse(text.replace("{file}", str(file)))
    assert not file.exists()
    assert "\n" not in str(error.value)


@given(st.text(max_size=60) | st.text("IPTCUD()/=,.'\"[]{}*+-:@\\ \n01", max_size=60))
def test_any_words_are_read_or_refused(text: str) -> None:
    """A description or a UsageError, nothing else."""
    try:
        parsed = parse(text)
    except UsageError:
        return
    assert parse(describe(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("tcp.flags=SA", "SA"),
        ("tcp.dport=0x50", 80),
        ("raw.load=b'\\x00'", b"\0"),
        ("ip.dst=10.0.0.9", "10.0.0.9"),
        ("ip.dst=fd00::2", "fd00::2"),
        ("tcp.options=[('NOP', None)]", [("NOP", None)]),
        ("raw.load=a=b", "a=b"),
        ("raw.load=", ""),
    ],
)
def test_a_setting_is_a_literal_or_the_words_themselves(text: str, value: Value) -> None:
    """LAYER.FIELD=VALUE; what is no literal is text."""
    assert parse_setting(text).value == value


@pytest.mark.parametrize("text", ["", "tcp", "tcp=1", "tcp.=1", ".x=1", "tcp.a.b=1", "t p.x=1"])
def test_a_setting_without_a_field_is_refused(text: str) -> None:
    """One line says what was expected."""
    with pytest.raises(UsageError, match=r"expected LAYER\.FIELD"):
        parse_setting(text)


def test_a_fields_name() -> None:
    """`ip.chksum`, as --keep wants it."""
    assert parse_name("ip.chksum") == ("ip", "chksum")
