"""Anything at all as pipeline file, catalogue entry or template value: findings or a ForgelineError, nothing else.

Ten thousand cases in all; `HYPOTHESIS_SEED` and hypothesis' own database bring a failing one back.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.core.document import parse
from infra.core.error import ForgelineError
from infra.core.settings import ROOT, load_settings
from pipelines.catalogue import Service, load_catalogue
from pipelines.check import NOT_TEXT
from pipelines.render import Context, render_pipeline
from pipelines.rules.registry import RULES
from pipelines.subject import Subject

CASES = {"bytes": 2500, "text": 1500, "pipeline": 200, "drawn": 1800, "script": 1000, "catalogue": 1500, "value": 1500}
CATALOGUE = load_catalogue()
CONTEXT = Context.of(CATALOGUE, load_settings({}))
KNOWING = replace(CONTEXT, ports=defaultdict(lambda: 8000, CONTEXT.ports))
"""Knows every service that somebody might depend on: the catalogue as a whole refuses those that are not there."""
GOOD = render_pipeline(CATALOGUE.service("market-data"), CONTEXT)
ENTRY = (ROOT / "pipelines" / "catalog" / "market-data.yaml").read_text(encoding="utf-8")

KEYS = (
    *("stages", "workflow", "include", "variables", "default", "image", "spec", "build", "unit-test", "publish"),
    *(".base", "script", "before_script", "stage", "needs", "rules", "if", "when", "extends", "dependencies"),
    *("artifacts", "paths", "reports", "dotenv", "environment", "name", "on_stop", "action", "timeout", "exit_codes"),
    *("allow_failure", "optional", "parallel", "matrix", "trigger", "services", "retry", "tags", "only", "except"),
    *("cache", "key", "id_tokens", "aud", "deployment_tier", "resource_group", "interruptible", "start_in", "<<"),
    *("project", "local", "job"),
)
WORDS = (
    *("build", "test", "deploy", "publish", "production", "manual", "never", "always", "on_failure", "delayed"),
    *("$CI_COMMIT_TAG", "$X == 'a'", "/a(/", "echo", "curl x | sh", "exit 0", "make || true", "python", "x:latest"),
    *("forgeline deploy x --environment production", "PASSWORD=abcdefgh", "\ud7ff", "a\nb\n", "$(", "'", "${A}"),
    *("", "1 day"),
)

scalars = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=12),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=True),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)),
    max_leaves=6,
)
jobs = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS[11:], values))
pipelines = st.dictionaries(st.sampled_from(KEYS), jobs, max_size=4)


def many(kind: str) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=CASES[kind], deadline=None, suppress_health_check=checks)


def look(text: str) -> None:
    """All rules of both kinds, but for those that start a program, which gets nothing but the text of scripts."""
    subject = Subject(file="x.yml", text=text, standard=len(text) % 2 == 0)
    for rule in RULES:
        for finding in rule.findings(subject):
            assert finding.line >= 0
            assert finding.message
            assert finding.fix
    for _, script in subject.scripts:
        assert all(line.location.file for line in script.lines)


def told(make: Callable[[], str]) -> str | None:
    """What `make` gives, or None where it says what is wrong."""
    with contextlib.suppress(ForgelineError):
        return make()
    return None


def damaged(text: str) -> st.SearchStrategy[str]:
    """`text` with a piece cut out, doubled or replaced."""

    def change(start: int, length: int, piece: str) -> str:
        return text[:start] + piece + text[start + length :]

    pieces = st.one_of(st.text(max_size=8), st.sampled_from(WORDS), st.sampled_from([f"{key}: " for key in KEYS]))
    return st.builds(change, st.integers(0, len(text)), st.integers(0, 80), pieces)


def test_there_are_ten_thousand_cases() -> None:
    assert sum(CASES.values()) >= 10_000


@many("bytes")
@given(raw=st.binary(max_size=200))
def test_bytes_as_pipeline(raw: bytes) -> None:
    look(raw.decode("utf-8", "surrogateescape"))
    assert NOT_TEXT == "yaml"


@many("text")
@given(text=st.one_of(damaged(GOOD[:4000]), st.text(max_size=200)))
def test_damaged_text_as_pipeline(text: str) -> None:
    look(text)


@many("pipeline")
@given(pipeline=pipelines)
def test_structures_as_pipeline(pipeline: dict[str, Any]) -> None:
    look(json.dumps(pipeline))


def drawn(random: Random, depth: int = 0) -> Any:
    """Any value that YAML has, of keys and words that mean something: a hundred times as quick as hypothesis' own."""
    kind = random.random()
    if depth > 4 or kind < 0.5:
        return random.choice((*WORDS, None, True, False, 0, -1, 3, 10**30, 0.5, [], {}, "é"))
    if kind < 0.7:
        return [drawn(random, depth + 1) for _ in range(random.randrange(4))]
    return {random.choice(KEYS): drawn(random, depth + 1) for _ in range(random.randrange(5))}


@pytest.mark.parametrize("part", range(2))
def test_drawn_structures_as_pipeline(part: int) -> None:
    for seed in range(part, CASES["drawn"], 2):
        random = Random(seed)  # The seed is in the message of a failing case.
        text = json.dumps({random.choice(KEYS): drawn(random, 1) for _ in range(random.randrange(6))})
        try:
            look(text)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {text}") from error


@many("script")
@given(script=st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=30)), max_size=6).map("\n".join))
def test_scripts(script: str) -> None:
    look(json.dumps({name: {"script": [script]} for name in ("unit-test", "publish", "deploy-production")}))


@many("catalogue")
@given(text=st.one_of(damaged(ENTRY), st.binary(max_size=120).map(lambda raw: raw.decode("utf-8", "replace"))))
def test_text_as_catalogue(text: str) -> None:
    told(lambda: render_pipeline(parse(text, "x.yaml", Service), KNOWING))


@many("value")
@given(field=st.sampled_from(sorted(Service.model_fields)), value=st.one_of(st.text(max_size=40), values))
def test_any_value_of_a_template_variable(field: str, value: Any) -> None:
    service = CATALOGUE.service("market-data")
    try:
        changed = Service.model_validate({**service.model_dump(mode="json"), field: value})
    except ValidationError:
        return
    text = told(lambda: render_pipeline(changed, KNOWING))
    if text is None:
        return
    subject = Subject(file="x.yml", text=text, standard=True)
    assert subject.problems == ()
    assert [rule.id for rule in RULES if rule.id == "schema" and any(True for _ in rule.find(subject))] == []


@pytest.mark.parametrize("name", ["a b", "$(id)", "x;y", "../x", "-x", "x\ny", "é", "x'"])
def test_names_that_could_be_syntax_are_refused(name: str) -> None:
    with pytest.raises(ForgelineError):
        parse(ENTRY.replace("name: market-data", f"name: {name!r}"), "x.yaml", Service)
