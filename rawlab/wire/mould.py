"""Making many frozen values fast.

A frozen dataclass pays `object.__setattr__` for each field when it is made: 2 to 4 µs for an IP header, where
the whole frame should be decoded in that time. `mould()` gives a class of the same slots that is not frozen,
whose values then become the frozen class's. Only `wire`'s decoders should need this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, make_dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = TypeVar("Value", bound="DataclassInstance")


def mould(frozen: type[Value]) -> Callable[..., Value]:
    """What makes a value with the slots of the dataclass `frozen`, all its fields given by position.

    The caller then sets the value's `__class__` to `frozen`, which Python allows between classes of equal
    layout; from there on it is an ordinary, frozen value.
    """
    names = [field.name for field in fields(frozen)]
    unfrozen: Callable[..., Value] = make_dataclass(f"{frozen.__name__}Mould", names, slots=True)
    return unfrozen
