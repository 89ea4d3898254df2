"""Making many frozen values fast.

A frozen dataclass pays `object.__setattr__` for each field when it is made: 2 to 4 µs for an IP header, where
the whole frame should be decoded in that time. `mould()` gives a class of the same slots that is not frozen,
whose values then become the frozen class's. Only `wire`'s decoders should need this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, make_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = TypeVar("Value", bound="DataclassInstance")


def mould(frozen: type[Value]) -> Callable[..., Value]:
    """What makes a value with the slots of the dataclass `frozen`, all its fields given by position.

    The caller then sets the value's `__class__` to `frozen`, which Python allows between classes of equal
    layout; from there on it is an ordinary, frozen value.
    """
    names = [field.name for field in fields(frozen)]
    name = f"{frozen.__name__}Mould"
    base: Any = frozen.__base__
    told = {"__doc__": f"{frozen.__name__}, not frozen."}  # of one without, dataclass() asks inspect for a signature
    unfrozen: Callable[..., Value] = make_dataclass(name, names, namespace=told, slots=base is object)
    if base is object:
        return unfrozen
    # Equal layout asks for the same base too, which is frozen: its guards of `__setattr__` are taken off.
    namespace = {
        "__slots__": frozen.__slots__,  # type: ignore[attr-defined]
        "__init__": vars(unfrozen)["__init__"],
        "__setattr__": object.__setattr__,
        "__delattr__": object.__delattr__,
    }
    unfrozen = type(name, (base,), namespace)
    return unfrozen
