"""The file as a whole: it is YAML, it follows GitLab's schema, and GitLab would take it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema_rs

from infra.core.document import nearest
from infra.core.finding import Severity
from pipelines.language.document import Reference
from pipelines.rules.refusal import OTHER, is_about_includes, locate, refusals
from pipelines.rules.rule import Spot, rule
from pipelines.subject import Subject

_MESSAGE_LIMIT = 300


@rule("yaml", remedy="correct the YAML: an editor with GitLab's schema shows where it breaks")
def file_is_yaml(subject: Subject) -> Iterator[Spot]:
    """The file, and every file that it includes, is a YAML mapping within GitLab's limits."""
    for message in subject.problems:
        if is_about_includes(message):
            continue
        yield Spot(message=message.removeprefix("(<unknown>): "), location=locate(subject, message))


@rule("schema", remedy="use the keywords and values of https://docs.gitlab.com/ci/yaml/")
def file_follows_the_schema(subject: Subject) -> Iterator[Spot]:
    """Every key and value is one that GitLab's own JSON schema of CI files knows."""
    if subject.problems:
        return
    for error in map(_deepest, _validator().iter_errors(_plain(subject.written))):
        path = tuple(error.instance_path)
        fix = ""
        unexpected = getattr(error.kind, "unexpected", None)
        if unexpected:
            path = (*path, unexpected[0])
            fix = _nearest_key(error, unexpected[0])
        where = ".".join(map(str, path)) or "the file"
        yield Spot(message=f"{where}: {error.message[:_MESSAGE_LIMIT]}", location=subject.at(*path), fix=fix)


@rule(OTHER, remedy="change what GitLab names: it makes no pipeline of this file")
def gitlab_takes_the_file(subject: Subject) -> Iterator[Spot]:
    """GitLab makes a pipeline of the file on every occasion, or means to make none."""
    yield from refusals(subject, OTHER)


@rule(
    "include-unread",
    severity=Severity.NOTE,
    remedy="check the merged file, which GitLab's pipeline editor shows, to have everything proven",
)
def includes_are_read(subject: Subject) -> Iterator[Spot]:
    """Every included file can be read, so that nothing is left unproven."""
    for name in subject.unread:
        message = f"{name} is not followed: what it brings is not proven"
        severity = Severity.ERROR if subject.standard else None
        yield Spot(message=message, location=subject.at("include"), severity=severity)


@cache
def _schema() -> Any:
    """GitLab's schema, as check-jsonschema ships it. The package is not imported: that takes longer than a proof."""
    spec = find_spec("check_jsonschema")
    assert spec is not None and spec.origin is not None, "a dependency of this package"  # noqa: S101, PT018
    file = Path(spec.origin).parent / "builtin_schemas" / "vendor" / "gitlab-ci.json"
    return json.loads(file.read_text(encoding="utf-8"))


@cache
def _validator() -> Any:
    return jsonschema_rs.validator_for(_schema())


def _plain(value: Any) -> Any:
    """`value` as JSON has it. A reference that leads nowhere is left out: another rule speaks of it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not isinstance(item, Reference)}
    if isinstance(value, list):
        return [_plain(item) for item in value if not isinstance(item, Reference)]
    return value


def _deepest(error: Any) -> Any:
    """Where one of several schemas must fit: what is wrong by the one that fits best, as near to it as is known."""
    while True:
        inner = [one for branch in getattr(error.kind, "context", ()) for one in branch]
        deeper = [one for one in inner if len(one.instance_path) > len(error.instance_path)]
        if not deeper:
            return error
        error = max(deeper, key=lambda one: len(one.instance_path))


def _nearest_key(error: Any, name: str) -> str:
    """The remedy for a key that the schema at the error's place does not know."""
    schema: Any = _schema()
    for part in error.schema_path[:-1]:
        schema = schema.get(part, {}) if isinstance(schema, dict) else {}
        if isinstance(schema, dict) and "$ref" in schema:
            schema = _schema()["definitions"].get(schema["$ref"].rpartition("/")[2], {})
    known = schema.get("properties") if isinstance(schema, dict) else None
    return nearest(name, known) if known else ""
