"""Parameters as GitLab's API checks them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest

from infra.lab.gitlab.api.error import ApiError
from infra.lab.gitlab.api.parameter import (
    Parameter,
    array,
    boolean,
    check,
    day,
    hash_of,
    hashes,
    integer,
    moment,
    nest,
    string,
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("a=1&b=2", {"a": "1", "b": "2"}, id="plain"),
        pytest.param("a[]=1&a[]=2", {"a": ["1", "2"]}, id="array"),
        pytest.param("a[x]=1&a[y]=2", {"a": {"x": "1", "y": "2"}}, id="hash"),
        pytest.param("a[x][]=1", {"a": {"x": ["1"]}}, id="array-in-hash"),
        pytest.param("v[][k]=a&v[][x]=1&v[][k]=b", {"v": [{"k": "a", "x": "1"}, {"k": "b"}]}, id="array-of-hashes"),
        pytest.param("v[0][k]=a&v[1][k]=b", {"v": {"0": {"k": "a"}, "1": {"k": "b"}}}, id="numbered"),
        pytest.param("a=1&a[x]=2", {"a": {"x": "2"}}, id="clash"),
        pytest.param("a[=1", {"a": "1"}, id="unclosed"),
        pytest.param("[" * 2000 + "=1", {"": "1"}, id="deep"),
    ],
)
def test_names_spell_a_tree(query: str, expected: dict[str, Any]) -> None:
    assert nest(parse_qsl(query, keep_blank_values=True)) == expected


@pytest.mark.parametrize(
    ("parameter", "given", "expected"),
    [
        pytest.param(integer("x"), "12", 12, id="integer"),
        pytest.param(boolean("x"), "1", True, id="true"),
        pytest.param(boolean("x"), False, False, id="false"),
        pytest.param(boolean("x"), "off", False, id="off"),
        pytest.param(string("x"), 5, "5", id="number-as-text"),
        pytest.param(string("x"), "", "", id="empty-text"),
        pytest.param(array("x"), "a, b", ["a", "b"], id="commas"),
        pytest.param(array("x"), ["a,b"], ["a,b"], id="list"),
        pytest.param(day("x"), "2026-01-31", "2026-01-31", id="day"),
        pytest.param(integer("x"), None, None, id="null"),
        pytest.param(hashes("x", string("k")), {"0": {"k": "a"}}, [{"k": "a"}], id="numbered-hashes"),
        pytest.param(hash_of("x"), {"any": 1}, {"any": 1}, id="free-hash"),
    ],
)
def test_values_are_converted(parameter: Parameter, given: Any, expected: Any) -> None:
    assert check([parameter], {"x": given, "undeclared": 1}) == {"x": expected}


@pytest.mark.parametrize(
    ("parameter", "given", "error"),
    [
        pytest.param(string("x", required=True), {}, "x is missing", id="missing"),
        pytest.param(integer("x"), {"x": "a"}, "x is invalid", id="not-a-number"),
        pytest.param(integer("x"), {"x": "9" * 30}, "x is invalid", id="too-large"),
        pytest.param(integer("x"), {"x": True}, "x is invalid", id="truth-is-no-number"),
        pytest.param(boolean("x"), {"x": "maybe"}, "x is invalid", id="not-a-truth"),
        pytest.param(string("x"), {"x": {"a": 1}}, "x is invalid", id="hash-for-text"),
        pytest.param(string("x", values=("a",)), {"x": "b"}, "x does not have a valid value", id="enum"),
        pytest.param(array("x", values=("a",)), {"x": ["a", "b"]}, "x does not have a valid value", id="array-enum"),
        pytest.param(array("x"), {"x": [["a"]]}, "x is invalid", id="nested-array"),
        pytest.param(day("x"), {"x": "2026-02-30"}, "x is invalid", id="no-such-day"),
        pytest.param(moment("x"), {"x": "soon"}, "x is invalid", id="no-moment"),
        pytest.param(hashes("x", string("k", required=True)), {"x": [{}]}, "x[0][k] is missing", id="nested-missing"),
        pytest.param(hashes("x"), {"x": ["a"]}, "x is invalid", id="text-for-hash"),
        pytest.param(hash_of("x", string("k", required=True)), {"x": {}}, "x[k] is missing", id="hash-missing"),
    ],
)
def test_wrong_values_are_named(parameter: Parameter, given: dict[str, Any], error: str) -> None:
    with pytest.raises(ApiError) as refused:
        check([parameter], given)
    assert (refused.value.status, refused.value.body) == (400, {"error": error})


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ApiError) as refused:
        check([string("a", required=True), integer("b")], {"b": "x"})
    assert refused.value.body == {"error": "a is missing, b is invalid"}
