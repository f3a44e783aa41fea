"""YAML from strangers: bounded, and an error of its own for whatever it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.language.compiler import lint
from pipelines.language.document import TOO_BIG, Reference, load
from pipelines.language.error import ConfigError
from pipelines.language.model import ConfigSource, Context, IncludeRef, Missing, MissingFileError, PipelineSource

CONTEXT = Context(source=PipelineSource.PUSH, ref="main")


class NoFiles:
    def fetch(self, ref: IncludeRef) -> str:
        raise MissingFileError(Missing.FILE)

    def paths(self, project: str | None, ref: str | None) -> list[str]:
        return []


def errors(text: str) -> tuple[str, ...]:
    return lint(ConfigSource(text=text, files=NoFiles()), CONTEXT, dry_run=True).errors


def _bomb(width: int, levels: int) -> str:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(_bomb(10, 10), id="alias-bomb"),
        pytest.param("a: " + "[" * 200 + "]" * 200, id="deep-sequence"),
        pytest.param("".join(" " * n + f"k{n}:\n" for n in range(150)), id="deep-mapping"),
        pytest.param("a: " + "x" * 1_100_000, id="too-long"),
        pytest.param("a: [" + "x," * 150_000 + "]", id="too-many-values"),
        pytest.param("a: &a [*a]", id="self-alias"),
    ],
)
def test_bombs_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.messages in ([TOO_BIG], ["Unknown alias: a"])


def test_references_that_multiply_are_refused() -> None:
    lines = [".j0: {script: [" + ", ".join(["x"] * 10) + "]}"]
    lines += [f".j{n}: {{script: [{', '.join([f'!reference [.j{n - 1}, script]'] * 10)}]}}" for n in range(1, 9)]
    assert errors("\n".join(lines)) == (TOO_BIG,)


def test_references_that_nest_deep_are_refused() -> None:
    deep = "{a: " * 60 + "1" + "}" * 60
    text = f"x: {deep}\ny: {'{b: ' * 60}!reference [x, a]{'}' * 60}\njob: {{script: echo}}"
    assert errors(text) == (TOO_BIG,)


def test_bases_that_multiply_are_refused() -> None:
    lines = [".j0: {script: echo}"] + [f".j{n}: {{extends: [{', '.join([f'.j{n - 1}'] * 10)}]}}" for n in range(1, 10)]
    (message,) = errors("\n".join([*lines, "job: {extends: .j9}"]))
    assert message.endswith(": nesting too deep in `extends`")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("On", True),
        ("OFF", False),
        ("y", "y"),
        ("n", "n"),
        ("~", None),
        ("", None),
        ("Null", None),
        ("1_000", 1000),
        ("1,000", 1000),
        ("010", 8),
        ("0x1f", 31),
        ("0b11", 3),
        ("1:30", 90),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("08", "08"),
        ("+", "+"),
        (".", "."),
        ("1" * 60, "1" * 60),
        ("'yes'", "yes"),
        ("!!str 1", "1"),
        ("!!int '1'", 1),
        ("2024-13-01", "2024-13-01"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    found = load(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_merge_keys_as_psych_merges_them() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {y: 0, <<: [*a, *b]}\nd: {<<: *a, y: 0}\ne: {'<<': 1}"
    loaded = load(text)
    assert loaded["c"] == {"x": 1, "y": 1, "z": 2}
    assert loaded["d"] == {"x": 1, "y": 0}
    assert loaded["e"] == {"<<": 1}


def test_the_last_of_two_equal_keys_counts() -> None:
    assert load("a: 1\na: 2") == {"a": 2}


def test_a_reference_is_kept_for_later() -> None:
    assert load("a: !reference [b, c]")["a"] == Reference(("b", "c"))


@pytest.mark.parametrize(
    "text",
    [
        "a: !reference b",
        "a: !reference []",
        "a: !reference [1]",
        "? [a]\n: b",
        "a: 2024-01-01",
        "a: 2024-02-31",
        "\x00",
        "a: *nope",
        "- a",
        "",
        "a: 1\n---\nb: 2",
        "a: !ruby/object:Foo {}",
        "%YAML 9.9\n---\na: b",
        "\ud800",
    ],
)
def test_every_error_is_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.messages
    assert errors(text)


_KEYWORDS = (
    *("script", "stage", "stages", "needs", "rules", "if", "when", "include", "extends", "default", "variables"),
    *(
        "workflow",
        "artifacts",
        "cache",
        "parallel",
        "matrix",
        "environment",
        "name",
        "retry",
        "paths",
        "reports",
        "key",
    ),
    *(
        "job",
        "test",
        ".hidden",
        "changes",
        "exists",
        "id_tokens",
        "aud",
        "inherit",
        "allow_failure",
        "local",
        "project",
    ),
    *("file", "ref", "only", "except", "tags", "timeout", "image", "hooks", "value", "expand", "options", "start_in"),
    *("delayed", "manual", "never", "1", "-1", "$A", "${B}", "/a+/", "&&", "main"),
)
_SCALARS = st.one_of(
    st.sampled_from(_KEYWORDS), st.none(), st.booleans(), st.integers(-5, 300), st.floats(allow_nan=False)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(_KEYWORDS), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(value=st.dictionaries(st.sampled_from(_KEYWORDS), _VALUES, max_size=5))
def test_no_configuration_gives_a_traceback(value: dict[str, object]) -> None:

    job = {"script": "echo"}
    for config in (value, {"job": {**job, **value}}, {"job": {**job, **dict.fromkeys(list(value)[:2], value)}}):
        errors(json.dumps(config))


@settings(max_examples=80, deadline=None)
@given(text=st.text(max_size=80))
def test_no_text_gives_a_traceback(text: str) -> None:
    errors(text)
    errors(f"job:\n  script: echo\n  rules:\n    - if: {text}\n")
