"""Plain Python values to and from Pulumi's `PropertyValue`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.runtime.rpc import UNKNOWN as UNKNOWN_ON_THE_WIRE

Properties = dict[str, PropertyValue]


class Unknown:
    """The one value of something that is not known before another resource exists."""

    def __repr__(self) -> str:
        return "(known after it is made)"


UNKNOWN = Unknown()


def to_python(value: PropertyValue) -> Any:
    """The plain value; UNKNOWN where any part of it is not known. Whole numbers come back as int."""
    inner = value.value
    if isinstance(inner, Computed) or inner == UNKNOWN_ON_THE_WIRE:
        return UNKNOWN
    if isinstance(inner, float) and inner.is_integer():
        return int(inner)
    if isinstance(inner, Mapping):
        items = {key: to_python(item) for key, item in inner.items()}
        return UNKNOWN if UNKNOWN in items.values() else items
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        listed = [to_python(item) for item in inner]
        return UNKNOWN if UNKNOWN in listed else listed
    return inner


def to_property(value: Any) -> PropertyValue:
    """A property of a plain value. Raises TypeError for what has no JSON form."""
    if value is UNKNOWN:
        # The SDK can't put its own computed value on the wire.
        return PropertyValue(UNKNOWN_ON_THE_WIRE)
    if value is None or isinstance(value, bool | str):
        return PropertyValue(value)
    if isinstance(value, int | float):
        return PropertyValue(float(value))
    if isinstance(value, Mapping):
        return PropertyValue({str(key): to_property(item) for key, item in value.items() if item is not None})
    if isinstance(value, Sequence):
        return PropertyValue([to_property(item) for item in value])
    raise TypeError(f"a {type(value).__name__} can't be a property")


def fields_of(properties: Mapping[str, PropertyValue]) -> dict[str, Any]:
    """The plain fields, without what is null."""
    fields = {name: to_python(value) for name, value in properties.items() if not name.startswith("__")}
    return {name: value for name, value in fields.items() if value is not None}


def properties_of(fields: Mapping[str, Any]) -> Properties:
    """Properties of the fields, without what is None."""
    return {name: to_property(value) for name, value in fields.items() if value is not None}
