"""How the bits of a header's field are written, for `wire.places` and its tables: addresses, names, hexadecimal."""

from __future__ import annotations

from collections.abc import Callable

from rawlab.wire import symbols
from rawlab.wire.ip import address4, address6

Show = Callable[[int], str]
"how a field's bits, as an unsigned number, are written"

Header = tuple[tuple[str, int, Show], ...]
"(name, bits, how it is written) of each field"


def mac(number: int) -> str:
    return number.to_bytes(6, "big").hex(":")


def ip4(number: int) -> str:
    return address4(number.to_bytes(4, "big"))


def ip6(number: int) -> str:
    return address6(number.to_bytes(16, "big"))


def as_hex(number: int) -> str:
    return f"0x{number:x}"


def as_sum(number: int) -> str:
    return f"0x{number:04x}"


def named(names: Callable[[int], str]) -> Show:
    def show(number: int) -> str:
        name = names(number)
        return name if name.endswith(str(number)) or name.startswith("0x") else f"{number} ({name})"

    return show


def ethertype(number: int) -> str:
    name = symbols.ethertype(number)
    return name if name.startswith("0x") else f"0x{number:04x} ({name})"


def little(octets: int, show: Show = str) -> Show:
    """Of a field of so many octets whose lowest comes first."""
    return lambda number: show(int.from_bytes(number.to_bytes(octets, "big"), "little"))
