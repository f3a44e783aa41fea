"""GitLab's own description of its API, reduced to the endpoints that the stand-in has.

`python -m tests.likeness.openapi FILE` derives the table anew from GitLab's OpenAPI file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from infra.lab.gitlab.api.parameter import Kind, Parameter
from infra.lab.gitlab.api.route import Route
from infra.lab.gitlab.app import NOUNS

TABLE = Path(__file__).with_name("gitlab_openapi.json")
EXCEPTIONS = Path(__file__).with_name("openapi_exceptions.yaml")
_BASE = "/api/v4"
_TYPES = {
    Kind.STRING: {"string", "symbol", "number"},
    Kind.INTEGER: {"integer", "string"},
    Kind.BOOLEAN: {"boolean"},
    Kind.ARRAY: {"array", "string"},
    Kind.HASHES: {"array"},
    Kind.HASH: {"object", "array", "string"},
    Kind.DATE: {"string"},
    Kind.TIME: {"string"},
    Kind.FILE: {"file"},
}
_UNDESCRIBED = ("404", "401", "403", "501", "413", "400", "409", "422")
"""Codes that GitLab answers everywhere, also where its description doesn't say so."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method on one path, as GitLab describes it."""

    parameters: dict[str, dict[str, Any]]
    """By name: type, enum, required."""
    codes: list[str]
    entity: str | None
    """What it answers with, an entry of `entities`; None where the description doesn't say."""


def routes() -> list[Route]:
    """Every endpoint of the stand-in."""
    return [route for noun in NOUNS for route in noun.ROUTES]


def key_of(method: str, path: str) -> str:
    """An endpoint's name, whatever its placeholders are called."""
    parts = [":" if part.startswith((":", "{")) else part for part in path.strip("/").split("/")]
    return f"{method} /{'/'.join(parts)}"


@cache
def described() -> dict[str, Operation]:
    """What GitLab's description says of the stand-in's endpoints."""
    return {key: Operation(**row) for key, row in json.loads(TABLE.read_text())["operations"].items()}


@cache
def entities() -> dict[str, dict[str, dict[str, Any]]]:
    """Of each entity the fields, each with its own `entity` and `enum` where it has them."""
    table: dict[str, dict[str, dict[str, Any]]] = json.loads(TABLE.read_text())["entities"]
    return table


@cache
def exceptions() -> dict[str, dict[str, Any]]:
    """Where the stand-in knowingly differs, each with its reason."""
    table: dict[str, dict[str, Any]] = yaml.safe_load(EXCEPTIONS.read_text())
    return table


def parameter_problems(route: Route, operation: Operation, excepted: Mapping[str, Any]) -> list[str]:
    """Where the stand-in's parameters are not GitLab's."""
    wrong = []
    for parameter in route.parameters:
        known = operation.parameters.get(parameter.name)
        if known is None:
            if not _is_excepted(parameter.name, excepted.get("parameters", [])):
                wrong.append(f"{parameter.name}: GitLab has no such parameter")
        elif parameter.kind in _TYPES and known["type"] not in _TYPES[parameter.kind]:
            wrong.append(f"{parameter.name}: {parameter.kind}, where GitLab has {known['type']}")
        else:
            wrong += _value_problems(parameter, known)
    given = {parameter.name for parameter in route.parameters} | set(excepted.get("parameters", []))
    required = [name for name, known in operation.parameters.items() if known["required"]]
    return [*wrong, *(f"{name}: GitLab requires it" for name in required if name not in given)]


def _is_excepted(name: str, excepted: str | list[str]) -> bool:
    return excepted == "all" or name in excepted


def _value_problems(parameter: Parameter, known: dict[str, Any]) -> list[str]:
    allowed = known["enum"]
    extra = [value for value in parameter.values if allowed and str(value) not in allowed]
    wrong = [f"{parameter.name}: GitLab does not take {extra}"] if extra else []
    if parameter.required and not known["required"]:
        wrong.append(f"{parameter.name}: required, where GitLab does not require it")
    return wrong


def code_problems(operation: Operation, status: int, excepted: Mapping[str, Any]) -> list[str]:
    """Where a response has a code that GitLab does not describe."""
    known = {*operation.codes, *_UNDESCRIBED, *map(str, excepted.get("codes", []))}
    # Its description says 200 of many a POST that GitLab, as it documents, answers with 201.
    known |= {"200", "201"} & known and {"200", "201"}
    return [] if str(status) in known else [f"answers {status}, where GitLab has {operation.codes}"]


def derive(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The table of the stand-in's endpoints, and of the entities that they answer with."""
    wanted = {key_of(route.method, route.path) for route in routes()}
    rows: dict[str, Any] = {}
    found = _Entities(description["definitions"])
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            key = key_of(method.upper(), path.removeprefix(_BASE))
            if key in wanted and key not in rows:
                rows[key] = _row(key, operation, found)
    return {"operations": dict(sorted(rows.items())), "entities": dict(sorted(found.used.items()))}


class _Entities:
    """The entities that were come upon, with those in their fields."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self.definitions = definitions
        self.used: dict[str, dict[str, dict[str, Any]]] = {}

    def name(self, schema: dict[str, Any], place: str) -> str | None:
        """The entity of a schema, or of its items; one that is written out gets its place as its name."""
        schema = schema.get("items", schema)
        name = schema.get("$ref", "").rpartition("/")[2] or place
        schema = self.definitions[name] if "$ref" in schema else schema
        if "properties" not in schema:
            return None
        if name not in self.used:
            self.used[name] = {}
            self.used[name] = {
                field: self._field(each, f"{name}.{field}") for field, each in sorted(schema["properties"].items())
            }
        return name

    def _field(self, schema: dict[str, Any], place: str) -> dict[str, Any]:
        enum = schema.get("enum") or schema.get("items", {}).get("enum")
        inner = self.name(schema, place)
        return {**({"entity": inner} if inner else {}), **({"enum": [str(value) for value in enum]} if enum else {})}


def _row(key: str, operation: dict[str, Any], found: _Entities) -> dict[str, Any]:
    parameters: dict[str, dict[str, Any]] = {}
    for given in operation.get("parameters", []):
        if given["in"] == "path":
            continue
        if "schema" not in given:
            parameters[given["name"].partition("[")[0]] = _parameter(given, required=given.get("required", False))
            continue
        schema = _resolved(given["schema"], found.definitions)
        for name, each in schema.get("properties", {}).items():
            parameters[name] = _parameter(each, required=name in schema.get("required", []))
    codes = list(operation["responses"])
    good = next((row for code, row in operation["responses"].items() if code.startswith("2")), {})
    entity = found.name(good["schema"], key) if "schema" in good else None
    return {"parameters": parameters, "codes": codes, "entity": entity}


def _parameter(given: dict[str, Any], *, required: bool) -> dict[str, Any]:
    enum = given.get("enum") or given.get("items", {}).get("enum") or []
    return {"type": given.get("type", "object"), "enum": [str(value) for value in enum], "required": required}


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = definitions[name] if name else schema
    return found


if __name__ == "__main__":
    with Path(sys.argv[1]).open() as stream:
        table = derive(yaml.load(stream, Loader=yaml.CSafeLoader))
    parts = [
        f'"{name}": {{\n' + ",\n".join(f"{json.dumps(key)}: {json.dumps(row)}" for key, row in rows.items()) + "\n}"
        for name, rows in table.items()
    ]
    TABLE.write_text("{\n" + ",\n".join(parts) + "\n}\n")
