"""C's constants by their names."""

from __future__ import annotations

import pytest

from rawlab.live import libc
from rawlab.model import constants
from rawlab.model.address import Endpoint
from rawlab.model.constants import MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, Symbol, any_address

SYMBOLS = {name: value for name, value in vars(constants).items() if isinstance(value, Symbol)}


@pytest.mark.parametrize("name", sorted(SYMBOLS))
def test_a_constant_is_its_own_name(name: str) -> None:
    """And one whose number `live.libc` finds."""
    assert SYMBOLS[name] == name
    assert isinstance(libc.number(name), int)


def test_flags_are_joined_as_in_c() -> None:
    """From the left, and with a name that is a plain string, too."""
    assert MSG_PEEK | MSG_DONTWAIT | MSG_NOSIGNAL == "MSG_PEEK|MSG_DONTWAIT|MSG_NOSIGNAL"
    assert isinstance(MSG_PEEK | "MSG_TRUNC", Symbol)


@pytest.mark.parametrize(("of", "expected"), [("10.0.0.2", "0.0.0.0"), ("fd00::2", "::")])
def test_the_wildcard_address_is_of_the_same_family(of: str, expected: str) -> None:
    """With the same port."""
    assert any_address(Endpoint(of, 7)) == Endpoint(expected, 7)
