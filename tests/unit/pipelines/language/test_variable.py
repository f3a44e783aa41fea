"""Expansion and precedence of variables."""

from __future__ import annotations

import pytest

from pipelines.language.error import ConfigError
from pipelines.language.model import Context, Environment, JobSpec, PipelineSource, Variable
from pipelines.language.slug import environment_slug, slug
from pipelines.language.variable import expand, expand_all, job_variables, mapping, scope_matches


@pytest.mark.parametrize(
    ("text", "keep", "expanded"),
    [
        ("$A", False, "a"),
        ("${A}x", False, "ax"),
        ("%A%", False, "a"),
        ("$A$B-$AB", False, "ab-"),
        ("$NOPE", False, ""),
        ("$NOPE", True, "$NOPE"),
        ("${NOPE}", True, "${NOPE}"),
        ("100%", False, "100%"),
        ("$1 $", False, "$1 $"),
        ("${A", False, "${A"),
    ],
)
def test_expand(text: str, keep: bool, expanded: str) -> None:
    assert expand(text, {"A": "a", "B": "b"}, keep_missing=keep) == expanded


def _all(**values: str) -> dict[str, str]:
    return mapping(expand_all([Variable(key=key, value=value) for key, value in values.items()]))


def test_expand_all_in_any_order() -> None:
    assert _all(A="$B", B="$C/x", C="c") == {"A": "c/x", "B": "c/x", "C": "c"}
    assert _all(A="$$B $NOPE", B="b") == {"A": "$$B $NOPE", "B": "b"}


def test_raw_values_are_not_expanded_but_may_be_referred_to() -> None:
    variables = [Variable(key="A", value="$B", raw=True), Variable(key="B", value="b"), Variable(key="C", value="$A")]
    assert mapping(expand_all(variables)) == {"A": "$B", "B": "b", "C": "$B"}


def test_flags_travel() -> None:
    (variable,) = expand_all([Variable(key="A", value="a", masked=True, file=True, public=False)])
    assert (variable.masked, variable.file, variable.public) == (True, True, False)


def test_a_circle_is_an_error() -> None:
    with pytest.raises(ConfigError, match="circular variable reference detected"):
        _all(A="$B", B="$A")
    with pytest.raises(ConfigError, match="circular variable reference detected"):
        _all(A="x$A")


def test_values_that_double_each_other_are_stopped() -> None:
    values = {"V0": "x" * 1000} | {f"V{n}": f"$V{n - 1}" * 10 for n in range(1, 9)}
    with pytest.raises(ConfigError, match="too long"):
        _all(**values)


def test_values_are_not_shown() -> None:
    assert "hunter2" not in repr(Variable(key="A", value="hunter2"))


def _context(**layers: tuple[Variable, ...]) -> Context:
    return Context(source=PipelineSource.PUSH, ref="main", **layers)  # type: ignore[arg-type]


def _job(**fields: object) -> JobSpec:
    return JobSpec(name="a b", group="a b", stage="test", stage_index=1, script=("echo",), **fields)  # type: ignore[arg-type]


def test_precedence_of_a_job() -> None:
    layers = ("predefined", "instance", "group", "project", "pipeline")
    job = _job(variables=(Variable(key="A", value="job"),))
    dotenv = (Variable(key="A", value="dotenv"),)

    def value(*present: str, of: JobSpec = job, extra: tuple[Variable, ...] = ()) -> str:
        context = _context(**{layer: (Variable(key="A", value=layer),) for layer in present})
        return mapping(job_variables(context, of, dotenv=extra))["A"]

    assert value(*layers, extra=dotenv) == "pipeline"
    assert value(*layers[:4], extra=dotenv) == "project"
    assert value(*layers[:3], extra=dotenv) == "group"
    assert value(*layers[:2], extra=dotenv) == "instance"
    assert value(*layers[:1], extra=dotenv) == "dotenv"
    assert value(*layers[:1]) == "job"
    assert value(*layers[:1], of=_job()) == "predefined"


def test_the_closest_environment_scope_wins() -> None:
    variables = (
        Variable(key="A", value="review", environment_scope="review/*"),
        Variable(key="A", value="exact", environment_scope="review/x"),
        Variable(key="A", value="all"),
    )
    context = _context(project=variables)

    def value(name: str) -> str:
        environment = Environment(name=name, template=name)
        return mapping(job_variables(context, _job(environment=environment)))["A"]

    assert [value("review/x"), value("review/y"), value("production")] == ["exact", "review", "all"]


@pytest.mark.parametrize(
    ("scope", "environment", "matched"),
    [
        ("*", None, True),
        ("production", None, False),
        ("production", "production", True),
        ("production", "production2", False),
        ("review/*", "review/a/b", True),
        ("review/*", "review", False),
        ("*/x", "review/x", True),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("aa*aa", "aaa", False),
    ],
)
def test_scope(scope: str, environment: str | None, matched: bool) -> None:
    assert scope_matches(scope, environment) is matched


def test_slugs() -> None:
    assert slug("Feature/My_Branch!") == "feature-my-branch"
    assert len(slug("a" * 100)) == 63
    assert environment_slug("production") == "production"
    changed = environment_slug("review/My Branch")
    assert changed.startswith("review-my-branch-")
    assert len(environment_slug("x" * 60)) == 24
    assert environment_slug("1st").startswith("env-1st-")
