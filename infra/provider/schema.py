"""The package's Pulumi schema, derived from the kinds."""

from __future__ import annotations

import inspect
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from infra import provider
from infra.provider.kind import PACKAGE, Kind
from infra.provider.registry import KINDS

VERSION = "0.1.0"

_SCALARS = {str: "string", int: "integer", bool: "boolean", float: "number"}


def type_schema(annotation: Any) -> dict[str, Any]:
    """The schema of a Python type. Raises TypeError for one that the provider does not use."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return {"$ref": "pulumi.json#/Any"}
    if origin in {Annotated, Union, UnionType}:
        (inner,) = {
            argument for argument in arguments[: 1 if origin is Annotated else None] if argument is not NoneType
        }
        return type_schema(inner)
    if origin is list:
        return {"type": "array", "items": type_schema(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": type_schema(arguments[1])}
    name = "string" if origin is Literal else _SCALARS.get(annotation)
    if name is None:
        raise TypeError(f"no schema for {annotation!r}")
    return {"type": name}


def resource_schema(kind: Kind[Any]) -> dict[str, Any]:
    """The schema of one kind."""
    inputs: dict[str, Any] = {}
    for name, info in kind.inputs.model_fields.items():
        inputs[name] = type_schema(info.annotation)
        if info.description:
            inputs[name]["description"] = info.description
        if kind.forces_replacement(name):
            inputs[name]["willReplaceOnChanges"] = True
    required = [name for name, info in kind.inputs.model_fields.items() if info.is_required()]
    return {
        "description": inspect.getdoc(kind.inputs) or "",
        "inputProperties": inputs,
        "requiredInputs": required,
        "properties": {**inputs, **{name: type_schema(annotation) for name, annotation in kind.computed.items()}},
        "required": [*required, *kind.computed],
    }


def package_schema() -> dict[str, Any]:
    """The whole package."""
    return {
        "name": PACKAGE,
        "version": VERSION,
        "description": inspect.getdoc(provider) or "",
        "license": "Apache-2.0",
        "meta": {"moduleFormat": "(.*)"},
        "resources": {token: resource_schema(kind) for token, kind in sorted(KINDS.items())},
    }
