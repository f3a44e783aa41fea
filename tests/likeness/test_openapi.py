"""GitLab's own description of its API against the stand-in's endpoints.

What the tests of tests/unit/lab/gitlab are answered is compared there, with the same table: see its conftest.
"""

from __future__ import annotations

from typing import Any

import pytest

from infra.lab.gitlab.api.parameter import integer, string
from infra.lab.gitlab.api.route import Request, Route, get
from tests.likeness.openapi import (
    Operation,
    described,
    exceptions,
    key_of,
    parameter_problems,
    response_problems,
    routes,
)

ROUTES = {key_of(route.method, route.path): route for route in routes()}
DESCRIBED = sorted(ROUTES.keys() & described().keys())


@pytest.mark.oracle("GitLab's OpenAPI file: parameters")
@pytest.mark.parametrize("key", DESCRIBED)
def test_parameters_are_gitlabs(key: str) -> None:
    assert parameter_problems(ROUTES[key], described()[key], exceptions().get(key, {})) == []


def test_every_exception_is_of_an_endpoint_and_has_a_reason() -> None:
    assert exceptions().keys() - set(DESCRIBED) == set()
    assert all(each["because"] for each in exceptions().values())


def _handler(_request: Request) -> None: ...


KNOWN = Operation(
    parameters={"name": {"type": "string", "enum": ["a", "b"], "required": True}}, codes=["200"], fields=["id"]
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


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        pytest.param(200, [{"id": 1}], "", id="right"),
        pytest.param(404, {"message": "x"}, "", id="error"),
        pytest.param(200, {"id": 1, "new": 2}, "['new']", id="field"),
        pytest.param(206, {"id": 1}, "answers 206", id="code"),
    ],
)
def test_wrong_responses_are_told(status: int, body: Any, told: str) -> None:
    found = response_problems(KNOWN, status, body, {})
    assert [told in each for each in found] == ([True] if told else [])
