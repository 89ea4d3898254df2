"""Which flows are wanted: a small language over the columns of `model.columns.FLOWS`.

    tcp.retransmissions > 0                  == != < <= > >=; = as ==
    duration > 1s and bytes >= 1M            ns us ms s min h; k M G (1,000s), Ki Mi Gi (1,024s)
    port in (80, 443) or host == 10.0.0.0/8  either end; source, destination_port, …: one of them
    opened == "joined", notable contains zero
    not (protocol == udp), tcp.window_full   a number alone: above 0

`not` binds strongest, then `and`, then `or`; && || ! are the same. A row that lacks a column's value fulfils no
comparison but `!=`. How it works: words ─▶ a tree (`parse`) ─▶ a truth for each row (`Test.of`), column by column.
What does *not* belong here: where the columns come from (`columns.totals`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Protocol

from rawlab.errors import UsageError
from rawlab.model.columns import EITHER, FLOWS, Column

_MOST = 2000  # characters of an expression
_DEEPEST = 40  # parentheses and `not`s within each other
_WORD = re.compile(r"""\s*(?:("[^"]*"|'[^']*')|(&&|\|\||[=!<>]=|[=<>!(),])|([^\s()=!<>,&|"']+))""")
_SAME = {"&&": "and", "||": "or", "!": "not", "=": "=="}
_TIMES = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
_AMOUNTS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_ORDERS = ("<", "<=", ">", ">=")
_EQUALS = ("==", "!=", "in", "not in")
_OPERATORS = {"number": (*_EQUALS, *_ORDERS), "port": (*_EQUALS, *_ORDERS), "text": (*_EQUALS, "contains")}


class Rows(Protocol):
    """Where columns come from."""

    def values(self, name: str) -> Any:
        """An array, a value a row: whole numbers, -1 for none, or text, None for none."""


@dataclass(frozen=True, slots=True)
class Test:
    """A truth for each row."""

    of: Callable[[Rows], Any]


def column(name: str, option: str, known: Sequence[Column] = FLOWS, place: str = "") -> Column:
    """The column that a word names. Raises UsageError: the option, the place in it, the nearest."""
    wanted = name.strip().replace(".", "_").lower()
    names = {**{c.name.removesuffix("_ns"): c for c in known if c.name != "at_ns"}, **{c.name: c for c in known}}
    if wanted in names:
        return names[wanted]
    near = difflib.get_close_matches(wanted, names, 3, 0.5)
    hint = f"nearest: {', '.join(near)}" if near else f"{option} help lists them"
    raise UsageError(f"{option}{place}: {name!r} is no column; {hint}")


def parse(text: str) -> Test:
    """The test that an expression means. Raises UsageError: where, what was expected, what came."""
    if len(text) > _MOST:
        raise UsageError(f"--where: up to {_MOST} characters expected, {len(text)} came")
    return _Parser(list(_words(text))).whole()


def _words(text: str) -> Iterator[tuple[str, bool, int]]:
    """(word, whether it stood in quotes, its column from 1)."""
    at = 0
    while text[at:].strip():
        found = _WORD.match(text, at)
        if found is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise UsageError(f"--where, column {at + 1}: a word, a number or an operator expected, {text[at]!r} came")
        quoted = found[1] is not None
        word = found[1][1:-1] if quoted else found[found.lastindex or 0]
        yield word if quoted else _SAME.get(word, word), quoted, found.start(found.lastindex or 0) + 1
        at = found.end()


class _Parser:
    """Takes words from the left; each method takes what its name says."""

    def __init__(self, words: list[tuple[str, bool, int]]) -> None:
        self._words, self._at, self._depth = words, 0, 0

    def whole(self) -> Test:
        test = self._either()
        if self._at < len(self._words):
            raise self._expected("'and', 'or' or the end")
        return test

    def _peek(self) -> str:
        """The next word, '' at the end; one in quotes is no operator."""
        if self._at == len(self._words):
            return ""
        word, quoted, _ = self._words[self._at]
        return f'"{word}"' if quoted else word

    def _take(self, *known: str) -> bool:
        found = self._peek().lower() in known
        self._at += found
        return found

    def _expected(self, what: str) -> UsageError:
        if self._at < len(self._words):
            at = self._words[self._at][2]
        else:
            at = self._words[-1][2] + len(self._words[-1][0]) if self._words else 1
        came = repr(self._peek().strip('"')) if self._peek() else "the end"
        return UsageError(f"--where, column {at}: {what} expected, {came} came")

    def _either(self) -> Test:
        tests = [self._both()]
        while self._take("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else _any_of(tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._take("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else _all_of(tests)

    def _one(self) -> Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._expected(f"at most {_DEEPEST} levels")
        try:
            if self._take("not"):
                return _none_of(self._one())
            if self._take("("):
                test = self._either()
                if not self._take(")"):
                    raise self._expected("')'")
                return test
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Test:
        word = self._peek()
        if not word or word.startswith('"') or not (word[0].isalpha() or word[0] == "_"):
            raise self._expected("a column's name")
        found = column(word, "--where", (*FLOWS, *EITHER), f", column {self._words[self._at][2]}")
        self._at += 1
        known = _OPERATORS.get(found.type, _EQUALS)
        operator = self._operator()
        if not operator and found.type in ("number", "port"):
            return _compare(found, ">", 0)
        if operator not in known:
            if operator:
                self._at -= 1
            raise self._expected(f"of {found.name} one of {', '.join(known)}")
        if operator in ("in", "not in"):
            test = _any_of([_compare(found, "==", value) for value in self._list(found)])
            return _none_of(test) if operator == "not in" else test
        return _compare(found, operator, self._value(found))

    def _operator(self) -> str:
        """The next word where it is one, taken; else ''."""
        if self._peek().lower() == "not" and self._at + 1 < len(self._words):
            if self._words[self._at + 1][0].lower() == "in":
                self._at += 2
                return "not in"
            return ""
        word = self._peek().lower()
        if word in ("==", "!=", *_ORDERS, "in", "contains"):
            self._at += 1
            return word
        return ""

    def _list(self, found: Column) -> Iterator[Any]:
        if not self._take("("):
            raise self._expected("'(' and values, with commas,")
        yield self._value(found)
        while self._take(","):
            yield self._value(found)
        if not self._take(")"):
            raise self._expected("',' or ')'")

    def _value(self, found: Column) -> Any:
        """The next word as a value of that column."""
        word = self._words[self._at][0] if self._at < len(self._words) else None
        expected, value = _VALUES.get(found.type, _text)(word or "", found)
        if word is None or value is None or self._peek() in ("(", ")", ","):
            raise self._expected(f"of {found.name} {expected}")
        self._at += 1
        return value


def _text(word: str, _: Column) -> tuple[str, Any]:
    return "a word, or text in quotes", word.casefold()


def _number(word: str, found: Column) -> tuple[str, Any]:
    units = _TIMES if found.unit == "ns" else _AMOUNTS
    match = re.fullmatch(r"(\d{1,18})(?:\.(\d{1,9}))?([A-Za-zµ]*)", word, re.ASCII)
    expected = "a time as 1s, 20ms, 1.5" if found.unit == "ns" else "a number as 12, 1.5k, 1M, 1Mi"
    if match is None or match[3] not in units:
        return expected, None
    whole, part = int(match[1]) * units[match[3]], match[2] or ""
    return expected, whole + int(part or 0) * units[match[3]] // 10 ** len(part)


def _host(word: str, _: Column) -> tuple[str, Any]:
    expected = "an address or a network as 10.0.0.0/8"
    try:
        return expected, ip_network(word, strict=False)
    except ValueError:
        plain = word.lower()
        return expected, plain if re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2})+", plain) else None


_VALUES: dict[str, Callable[[str, Column], tuple[str, Any]]] = {"number": _number, "port": _number, "host": _host}


# ---------------------------------------------------------------------------------------------- evaluation


def _any_of(tests: Sequence[Test]) -> Test:
    def of(rows: Rows) -> Any:
        found = tests[0].of(rows)
        for test in tests[1:]:
            found = found | test.of(rows)
        return found

    return Test(of)


def _all_of(tests: Sequence[Test]) -> Test:
    def of(rows: Rows) -> Any:
        found = tests[0].of(rows)
        for test in tests[1:]:
            found = found & test.of(rows)
        return found

    return Test(of)


def _none_of(test: Test) -> Test:
    return Test(lambda rows: ~test.of(rows))


def _compare(found: Column, operator: str, value: Any) -> Test:
    """One column with one value."""
    if operator == "!=":
        return _none_of(_compare(found, "==", value))
    if found in EITHER:
        ends = [("source", "destination"), ("source_port", "destination_port")][found.name == "port"]
        return _any_of([_compare(column(name, ""), operator, value) for name in ends])
    if found.type in ("number", "port"):
        return Test(lambda rows: _ordered(rows.values(found.name), operator, value))
    if found.type == "host":
        return Test(lambda rows: _mapped(rows.values(found.name), _in_network(value)))
    if operator == "contains":
        return Test(lambda rows: _mapped(rows.values(found.name), lambda text: value in text.casefold()))
    return Test(lambda rows: _mapped(rows.values(found.name), lambda text: text.casefold() == value))


def _ordered(values: Any, operator: str, value: int) -> Any:
    there = values >= 0
    match operator:
        case "==":
            return values == value
        case "<":
            return there & (values < value)
        case "<=":
            return there & (values <= value)
        case ">":
            return values > value
        case _:
            return values >= value


def _mapped(values: Any, test: Callable[[str], bool]) -> Any:
    """Each text tested, once however often it stands there."""
    import numpy as np

    known: dict[str | None, bool] = {None: False}
    for text in values:
        if text not in known:
            known[text] = test(text)
    return np.fromiter((known[text] for text in values), bool, len(values))


def _in_network(wanted: IPv4Network | IPv6Network | str) -> Callable[[str], bool]:
    if isinstance(wanted, str):
        return lambda text: text == wanted

    def test(text: str) -> bool:
        try:
            return ip_address(text) in wanted
        except ValueError:
            return False

    return test
