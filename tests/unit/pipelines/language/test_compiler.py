"""The CI language, by folder: each folder of `cases` is a repository with what its configuration must give.

`expected.json`: `context` (source, variables by layer, changed paths, place of the entry file), then `errors` (all,
in order), `error_contains`, or what the pipeline has; of a job only the fields named are compared. Folders
`projects/GROUP@NAME/REF` are other projects. Adding a case is adding a folder.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pipelines.language.compiler import compile_pipeline, lint
from pipelines.language.error import ConfigError
from pipelines.language.model import (
    ConfigSource,
    Context,
    IncludeRef,
    JobSpec,
    Missing,
    MissingFileError,
    PipelineSource,
    Variable,
)
from pipelines.language.variable import job_variables

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.name for path in CASES.iterdir())


class Folder:
    """Repositories in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _root(self, project: str | None, ref: str | None) -> Path:
        if project is None:
            return self._folder
        root = self._folder / "projects" / project.replace("/", "@")
        if not root.is_dir():
            raise MissingFileError(Missing.PROJECT)
        if not (root / (ref or "main")).is_dir():
            raise MissingFileError(Missing.REF)
        return root / (ref or "main")

    def fetch(self, ref: IncludeRef) -> str:
        path = self._root(ref.project, ref.ref) / ref.path
        if not path.is_file():
            raise MissingFileError(Missing.FILE)
        return path.read_text()

    def paths(self, project: str | None, ref: str | None) -> Collection[str]:
        root = self._root(project, ref)
        return [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]


def _layer(values: dict[str, str]) -> tuple[Variable, ...]:
    return tuple(Variable(key=key, value=value) for key, value in values.items())


def _context(described: dict[str, Any]) -> Context:
    source = described.get("source", "push")
    predefined = {"CI_PIPELINE_SOURCE": source, "CI_COMMIT_BRANCH": "main", "CI_COMMIT_REF_NAME": "main"}
    scoped = [
        Variable(key=key, value=value, environment_scope=scope)
        for key, (value, scope) in described.get("scoped", {}).items()
    ]
    guarded = [
        Variable(key=key, value=value, protected=True)
        for key, value in described.get("protected_variables", {}).items()
    ]
    changed = described.get("changed")
    return Context(
        source=PipelineSource(source),
        ref="main",
        project_path="trading/example",
        predefined=_layer(predefined),
        group=_layer(described.get("group", {})),
        project=(*_layer(described.get("project", {})), *scoped, *guarded),
        pipeline=_layer(described.get("pipeline", {})),
        changed_paths=None if changed is None else frozenset(changed),
    )


def _source(folder: Path, described: dict[str, Any]) -> ConfigSource:
    project, ref = described.get("place", (None, None))
    return ConfigSource(
        text=(folder / ".gitlab-ci.yml").read_text(),
        files=Folder(folder),
        place=IncludeRef(path=".gitlab-ci.yml", project=project, ref=ref),
    )


def _field(job: JobSpec, name: str, context: Context, wanted: Any) -> Any:
    if name == "needs":
        return None if job.needs is None else [need.name for need in job.needs]
    if name == "needs_artifacts":
        return [need.artifacts for need in job.needs or ()]
    if name == "variables":
        return {variable.key: variable.value for variable in job.variables}
    if name == "expanded":
        values = {variable.key: variable.value for variable in job_variables(context, job)}
        return {key: values.get(key) for key in wanted}
    return json.loads(json.dumps(asdict(job)[name]))


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str) -> None:
    folder = CASES / name
    expected = json.loads((folder / "expected.json").read_text())
    context, source = _context(expected.get("context", {})), _source(folder, expected.get("context", {}))
    if "errors" in expected or "error_contains" in expected:
        with pytest.raises(ConfigError) as caught:
            compile_pipeline(source, context)
        if "errors" in expected:
            assert caught.value.messages == expected["errors"]
        else:
            assert any(expected["error_contains"] in message for message in caught.value.messages), caught.value
        assert list(lint(source, context, dry_run=True).errors) == caught.value.messages
        return
    pipeline = compile_pipeline(source, context)
    assert pipeline.created == expected.get("created", True), pipeline.reason
    assert pipeline.reason == expected.get("reason", "")
    for field in ("stages", "warnings", "name", "auto_cancel"):
        if field in expected:
            found = getattr(pipeline, field)
            assert json.loads(json.dumps(asdict(found) if field == "auto_cancel" else found)) == expected[field]
    jobs = {job.name: job for job in pipeline.jobs}
    assert set(jobs) == set(expected.get("jobs", {}))
    for job_name, fields in expected.get("jobs", {}).items():
        found = {field: _field(jobs[job_name], field, context, wanted) for field, wanted in fields.items()}
        assert found == fields, job_name


@pytest.mark.parametrize("name", NAMES)
def test_merged_yaml_gives_the_same_pipeline(name: str) -> None:
    folder = CASES / name
    expected = json.loads((folder / "expected.json").read_text())
    context, source = _context(expected.get("context", {})), _source(folder, expected.get("context", {}))
    result = lint(source, context)
    if not result.valid:
        assert "errors" in expected or "error_contains" in expected
        return
    flat = ConfigSource(text=result.merged_yaml, files=source.files)
    # `extends` is still shown; applying it again changes nothing, since the job's own keys win.
    assert lint(flat, context).jobs == result.jobs
    assert result.jobs


def test_lint_shows_all_jobs_whatever_their_rules_say() -> None:
    folder = CASES / "rules-when"
    result = lint(_source(folder, {}), _context({}))
    assert result.valid
    assert [job.name for job in result.jobs] == list("abcdefgh")
    assert [job.name for job in lint(_source(folder, {}), _context({}), dry_run=True).jobs] == list("acdfgh")
