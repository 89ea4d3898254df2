"""A packet described in words, read safely: scapy's notation, or tcpdump's.

    IP(dst="10.0.0.2")/TCP(dport=7, flags="S")/"hello"
    IP 10.0.0.1.40000 > 10.0.0.2.7: Flags [S], seq 0, win 64240, length 0

How it works: scapy's notation is Python's, so Python's own parser reads it (`ast`), and its tree is walked; of all
that Python can say, only names of layers, keywords with literals, `/`, strings and numbers are known here, and nothing
is ever evaluated. tcpdump's notation is read by `wire.packets`, and `wire.from_facts` says which layers it stands for.

What does not belong here: whether such a layer or field exists, and its octets (`wire.craft`).
"""

from __future__ import annotations

import ast
import dataclasses
import re
import warnings
from dataclasses import dataclass
from math import isfinite

from rawlab.errors import UsageError
from rawlab.wire.packets import parse_packet

MAX_TEXT = 32_768
"characters of one description; a packet has 1,500 octets"

Value = int | float | str | bytes | None | list["Value"] | tuple["Value", ...] | tuple["Part", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One layer, as it was described; a payload is the layer Raw with its one field `load`."""

    layer: str
    fields: tuple[tuple[str, Value], ...] = ()
    "names and values; a value that is a tuple of parts is a packet inside"
    column: int = dataclasses.field(default=1, compare=False)
    "where it stands in the text, from 1"
    columns: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    "where each field stands"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A packet's layers, from the outermost in."""

    parts: tuple[Part, ...]
    text: str = dataclasses.field(default="", compare=False)

    def error(self, expected: str, column: int) -> UsageError:
        """What is to be said of something at that column."""
        return _error(self.text, expected, column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """`tcp.flags=SA`: a field of a layer, and its new value."""

    layer: str
    field: str
    value: Value = None
    text: str = dataclasses.field(default="", compare=False)


def parse(text: str) -> Description:
    """The packet that the text describes. Raises UsageError: the column, what was expected there, what came."""
    if len(text) > MAX_TEXT:
        raise UsageError(f"{_short(text)!r}: {len(text)} characters, {MAX_TEXT} at the most expected")
    if re.match(r"\s*(IP6? |ARP, )", text):
        from rawlab.wire.from_facts import layers

        try:
            return Description(parts=layers(parse_packet(text.strip())), text=text)
        except ValueError as error:
            raise UsageError(str(error)) from None
    return Description(parts=_chain(_tree(text), text), text=text)


def describe(description: Description) -> str:
    """The description in scapy's notation: `parse(describe(x)) == x`."""
    return _words(description.parts)


def parse_setting(text: str) -> Setting:
    """`tcp.dport=80`, `raw.load=b"x"`, `ip.dst=10.0.0.2`: a literal, or else the words themselves.

    Raises UsageError.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{_short(text)!r}: expected LAYER.FIELD=VALUE, as tcp.flags=SA")
    layer, named = parse_name(name)
    try:
        read = _value(_tree(value), value)
    except UsageError:
        read = value
    return Setting(layer=layer, field=named, value=read, text=text)


def parse_name(text: str) -> tuple[str, str]:
    """`ip.chksum`: layer and field. Raises UsageError."""
    layer, _, named = text.strip().partition(".")
    if not re.fullmatch(r"\w+\.\w+", text.strip(), re.ASCII):
        raise UsageError(f"{_short(text)!r}: expected LAYER.FIELD, as ip.chksum")
    return layer, named


# ---- reading


def _tree(text: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" is a string to us, whatever Python thinks of it
            return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        what = str(error.msg).partition(";")[0]
        raise _error(text, f'layers as IP()/TCP(dport=7)/"hello" ({what})', _column(text, error)) from None
    except (ValueError, MemoryError, RecursionError):
        raise UsageError(f"{_short(text)!r}: expected layers as IP()/TCP(dport=7)/\"hello\"") from None


def _column(text: str, error: SyntaxError) -> int:
    """SyntaxError counts characters from 1, in the stripped text's line; 0 is the end."""
    if not error.offset:
        return len(text.rstrip()) + 1
    return _from_start(text, error.lineno or 1, max(error.offset, 1) - 1)


def _from_start(text: str, line: int, characters: int) -> int:
    begin = len(text) - len(text.lstrip())
    before = text.strip().splitlines(keepends=True)[: line - 1]
    return begin + sum(map(len, before)) + characters + 1


def _at(node: ast.expr, text: str) -> int:
    """The column of a node, from 1; ast counts octets of UTF-8."""
    lines = text.strip().splitlines()
    line = lines[node.lineno - 1] if node.lineno <= len(lines) else ""
    characters = len(line.encode()[: node.col_offset].decode(errors="ignore"))
    return _from_start(text, node.lineno, characters)


def _chain(node: ast.expr, text: str) -> tuple[Part, ...]:
    """Layers joined by '/', which Python reads from the right end of the text in."""
    parts: list[Part] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        parts.append(_part(node.right, text))
        node = node.left
    return (*((_part(node, text)),), *reversed(parts))


def _part(node: ast.expr, text: str) -> Part:
    at = _at(node, text)
    match node:
        case ast.Constant(value=str() | bytes() as load):
            return Part(layer="Raw", fields=(("load", _octets(load)),), column=at, columns=(at,))
        case ast.Call(func=ast.Name(id=layer), args=[], keywords=keywords):
            names = [_keyword(keyword, at, text) for keyword in keywords]
            fields = tuple((name, _value(keyword.value, text)) for name, keyword in zip(names, keywords, strict=True))
            columns = tuple(_at(keyword.value, text) for keyword in keywords)
            return Part(layer=layer, fields=fields, column=at, columns=columns)
        case ast.Call(func=ast.Name(id=layer), args=[first, *_]):
            raise _error(text, f"a field's name and '=' in {layer}(…)", _at(first, text))
        case ast.Name(id=layer):
            raise _error(text, f"{layer}(), with parentheses", at)
        case ast.BinOp(op=ast.FloorDiv(), right=right):
            raise _error(text, "one '/' between layers", text.rindex("//", 0, _at(right, text)) + 1)
    raise _error(text, 'a layer, as TCP(dport=7), or a payload, as "hello"', at)


def _keyword(keyword: ast.keyword, at: int, text: str) -> str:
    if keyword.arg is None:
        raise _error(text, "a field's name and '='", at)
    return keyword.arg


def _value(node: ast.expr, text: str) -> Value:
    match node:
        case ast.Constant(value=bool() as yes):
            return int(yes)
        case ast.Constant(value=float() as number) if not isfinite(number):
            pass
        case ast.Constant(value=int() | float() | str() | bytes() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)) if not isinstance(
            number, bool
        ) and isfinite(number):
            return -number
        case ast.List(elts=items):
            return [_value(item, text) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item, text) for item in items)
        case ast.Call() | ast.BinOp(op=ast.Div()):
            return _chain(node, text)
    raise _error(text, "a number, a string, b\"octets\", a list, a tuple or a layer", _at(node, text))


def _octets(load: str | bytes) -> bytes:
    return load if isinstance(load, bytes) else load.encode(errors="surrogatepass")


def _error(text: str, expected: str, column: int) -> UsageError:
    came = text[column - 1 : column + 23]
    return UsageError(f"{_short(text)!r}: at column {column}: expected {expected}, came {came!r}")


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


# ---- writing


def _words(parts: tuple[Part, ...]) -> str:
    return "/".join(map(_part_words, parts))


def _part_words(part: Part) -> str:
    if part.layer == "Raw" and len(part.fields) == 1 and isinstance(load := part.fields[0][1], bytes):
        return repr(load)
    return f"{part.layer}({', '.join(f'{name}={_value_words(value)}' for name, value in part.fields)})"


def _value_words(value: Value) -> str:
    if isinstance(value, tuple | list):
        inside = tuple(item for item in value if isinstance(item, Part))
        if inside:
            return _words(inside)
        items = ", ".join(_value_words(item) for item in value if not isinstance(item, Part))
        return f"[{items}]" if isinstance(value, list) else f"({items}{',' * (len(value) == 1)})"
    return repr(value)
