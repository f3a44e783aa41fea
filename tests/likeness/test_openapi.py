"""GitLab's own description of its API against the stand-in's endpoints.

What the tests of tests/unit/lab/gitlab are answered is compared there, with the same table: see its conftest.
"""

from __future__ import annotations

from typing import Any

import pytest

from infra.lab.gitlab.api.parameter import integer, string
from infra.lab.gitlab.api.route import Request, Route, get
from tests.likeness.answer import Place, _problems, answer_problems, is_described
from tests.likeness.openapi import (
    Operation,
    described,
    entities,
    exceptions,
    key_of,
    parameter_problems,
    routes,
)

ROUTES = {key_of(route.method, route.path): route for route in routes()}
DESCRIBED = sorted(ROUTES.keys() & described().keys())


@pytest.mark.oracle("GitLab's OpenAPI file: parameters")
@pytest.mark.parametrize("key", DESCRIBED)
def test_parameters_are_gitlabs(key: str) -> None:
    assert parameter_problems(ROUTES[key], described()[key], exceptions().get(key, {})) == []


def test_every_exception_is_of_an_endpoint_and_has_a_reason() -> None:
    assert exceptions().keys() - set(ROUTES) == set()
    assert {each["as"] for each in exceptions().values() if "as" in each} - set(ROUTES) == set()
    assert all(each["because"] for each in exceptions().values())


def _handler(_request: Request) -> None: ...


KNOWN = Operation(
    parameters={"name": {"type": "string", "enum": ["a", "b"], "required": True}}, codes=["200"], entity=None
)


@pytest.mark.parametrize(
    ("route", "told"),
    [
        pytest.param(get("/x", _handler, string("name", values=("a",), required=True)), "", id="right"),
        pytest.param(get("/x", _handler, string("name"), string("more")), "more: GitLab has no such", id="unknown"),
        pytest.param(get("/x", _handler, string("name", values=("c",))), "does not take ['c']", id="value"),
        pytest.param(get("/x", _handler, integer("name")), "", id="a-number-in-a-text"),
        pytest.param(get("/x", _handler), "name: GitLab requires it", id="missing"),
    ],
)
def test_wrong_parameters_are_told(route: Route, told: str) -> None:
    found = parameter_problems(route, KNOWN, {})
    assert [told in each for each in found] == ([True] if told else [])


PROJECT = {"id": 1, "namespace": {"id": 2, "kind": "group"}}


@pytest.mark.parametrize(
    ("key", "status", "body", "told"),
    [
        pytest.param("GET /projects/:", 200, PROJECT, "", id="right"),
        pytest.param("GET /projects/:", 404, {"message": "x"}, "", id="error"),
        pytest.param("GET /projects/:", 200, {**PROJECT, "new": 2}, "the field new,", id="field"),
        pytest.param("GET /projects/:", 200, {"namespace": {"new": 2}}, "the field namespace.new,", id="nested"),
        pytest.param("GET /projects/:/jobs", 200, [{"pipeline": {"new": 1}}], "pipeline.new", id="nested-in-a-list"),
        pytest.param("GET /projects/:", 206, PROJECT, "answers 206", id="code"),
        pytest.param("GET /application/settings", 200, {"new": 1}, "the field new,", id="known-by-the-client-only"),
        pytest.param("GET /projects", 200, [{"description_html": ""}], "", id="as-another"),
        pytest.param("GET /projects", 200, [{"new": ""}], "the field new,", id="nor-as-another"),
    ],
)
def test_wrong_answers_are_told(key: str, status: int, body: Any, told: str) -> None:
    found = answer_problems(key, status, body)
    assert [told in each for each in found] == ([True] if told else [])


def test_a_value_that_gitlab_does_not_have_is_told() -> None:
    [(entity, field)] = [
        (entity, field)
        for entity, fields in sorted(entities().items())
        for field, said in sorted(fields.items())
        if "enum" in said
    ][:1]
    place = Place(entity=entity)
    [problem] = _problems({field: "never heard of"}, place, "", ())
    assert "has never heard of as" in problem
    assert list(_problems({field: entities()[entity][field]["enum"][0]}, place, "", ())) == []


UNDESCRIBED = 29
"""Endpoints whose answers neither GitLab's file nor its client describes: a number that only ever gets smaller."""


def test_most_endpoints_are_described() -> None:
    answering = [
        key
        for key in ROUTES
        if not key.startswith("DELETE") and not any(word in key for word in ("artifacts", "archive", "uploads/:"))
    ]
    assert sum(not is_described(key) for key in answering) == UNDESCRIBED
