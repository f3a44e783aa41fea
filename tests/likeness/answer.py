"""Answers of the stand-in against what GitLab says of its own: its OpenAPI file and its Go client, at every depth.

A field is right if one of the two has a name for it. What neither describes any further (a hash of free keys, an answer
that both pass over) is not looked into.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.likeness.client_go import answers
from tests.likeness.openapi import code_problems, described, entities, exceptions


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where something stands in an answer, in both tables; empty: that table says nothing of it."""

    entity: str | None = None
    type: str | None = None
    enum: tuple[str, ...] = ()

    def fields(self) -> dict[str, Place]:
        """What is known below it, by name."""
        ours = entities().get(self.entity or "", {})
        theirs = answers()["types"].get(self.type or "", {})
        return {
            name: Place(
                entity=ours.get(name, {}).get("entity"),
                type=theirs.get(name),
                enum=tuple(ours.get(name, {}).get("enum", ())),
            )
            for name in {*ours, *theirs}
        }


def answer_problems(key: str, status: int, body: Any) -> list[str]:
    """Where an answer of an endpoint is none that GitLab gives: its code, a field, a value."""
    operation, excepted = described().get(key), exceptions().get(key, {})
    wrong = code_problems(operation, status, excepted) if operation else []
    if status >= 300:
        return wrong
    # Where GitLab answers as another endpoint does, that one's description counts too.
    places = [_place(each) for each in (key, excepted.get("as")) if each]
    found = [set(_problems(body, place, "", excepted.get("answers", ()))) for place in places]
    return wrong + sorted(set.intersection(*found))


def _place(key: str) -> Place:
    operation = described().get(key)
    return Place(entity=operation.entity if operation else None, type=answers()["endpoints"].get(key))


def is_described(key: str) -> bool:
    """Whether one of the two says what an endpoint answers with."""
    operation = described().get(key)
    return key in answers()["endpoints"] or (operation is not None and operation.entity is not None)


def _problems(value: Any, place: Place, path: str, excepted: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _problems(item, place, path, excepted)
    elif isinstance(value, dict):
        known = place.fields()
        for name, inner in value.items() if known else ():
            here = f"{path}.{name}" if path else name
            if here in excepted:
                continue
            if name not in known:
                yield f"has the field {here}, which GitLab has not"
            else:
                yield from _problems(inner, known[name], here, excepted)
    elif place.enum and value is not None and str(value) not in place.enum:
        yield f"has {value} as {path}, where GitLab has {list(place.enum)}"
