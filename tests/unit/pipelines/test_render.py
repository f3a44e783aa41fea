"""Rendering: the ten pipelines are the golden ones, the same bytes anywhere, and quote what they take in."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pytest

from infra.core.error import BadInputError
from infra.core.settings import ROOT, load_settings
from pipelines.catalogue import Language, Service, load_catalogue
from pipelines.check import check_pipelines
from pipelines.language.compiler import compile_pipeline
from pipelines.language.model import (
    ConfigSource,
    IncludeRef,
    Missing,
    MissingFileError,
    PipelineSource,
    PipelineSpec,
    RefType,
    Variable,
    When,
)
from pipelines.language.model import Context as CompileContext
from pipelines.language.variable import job_variables
from pipelines.render import LOCK, Context, render_pipeline, render_release
from pipelines.standard import GATES, STAGES
from pipelines.subject import Subject
from pipelines.template import TEMPLATES, Templates, literal_block, quote_shell, quote_yaml

CATALOGUE = load_catalogue()
CONTEXT = Context.of(CATALOGUE, load_settings({}))


@pytest.mark.parametrize("service", list(CATALOGUE), ids=lambda service: service.name)
def test_the_pipeline_is_the_golden_one(service: Service, golden: Callable[[str, str], None]) -> None:
    golden(f"pipelines/{service.name}.yml", render_pipeline(service, CONTEXT))


def test_the_pipeline_of_a_language_without_a_service_is_the_golden_one(golden: Callable[[str, str], None]) -> None:
    changes = {"name": "quotes", "language": Language.GENERIC, "description": "Quotes by programs of its own"}
    golden(
        "pipelines/generic/quotes.yml",
        render_pipeline(CATALOGUE.service("market-data").model_copy(update=changes), CONTEXT),
    )


def test_no_golden_file_is_left_over() -> None:
    known = {path.stem for path in (ROOT / "tests" / "golden" / "pipelines").glob("*.yml")}
    assert known == set(CATALOGUE.services)


ALL_JOBS = [job for jobs in STAGES.values() for job in jobs]
TO_SBOM = ALL_JOBS[: ALL_JOBS.index("sbom") + 1]
TO_TEST = ALL_JOBS[: ALL_JOBS.index("deploy-test") + 1]
JOBS = {
    "merge-request": TO_SBOM,
    "branch": TO_SBOM,
    "main": TO_TEST,
    "release-tag": ALL_JOBS,
    "schedule": TO_SBOM,
    "unprotected-tag": TO_SBOM,
    "protected tag that is no release": TO_SBOM,
}


def where(source: PipelineSource, ref: str, ref_type: RefType, protected: bool) -> CompileContext:
    kind = "CI_COMMIT_TAG" if ref_type is RefType.TAG else "CI_COMMIT_BRANCH"
    merge_request = source is PipelineSource.MERGE_REQUEST
    values = {
        "CI_PIPELINE_SOURCE": str(source),
        "CI_COMMIT_REF_PROTECTED": "true" if protected else "false",
        "CI_DEFAULT_BRANCH": "main",
        "CI_PIPELINE_IID": "7",
        **({} if merge_request else {kind: ref}),
    }
    return CompileContext(
        source=source,
        ref=ref,
        ref_type=ref_type,
        default_branch="main",
        protected=protected,
        project_path="trading/x",
        predefined=tuple(Variable(key=key, value=value) for key, value in values.items()),
    )


CONTEXTS = {
    "merge-request": where(PipelineSource.MERGE_REQUEST, "feature", RefType.BRANCH, False),
    "branch": where(PipelineSource.PUSH, "feature", RefType.BRANCH, False),
    "main": where(PipelineSource.PUSH, "main", RefType.BRANCH, True),
    "release-tag": where(PipelineSource.PUSH, "v1.2.3", RefType.TAG, True),
    "schedule": where(PipelineSource.SCHEDULE, "main", RefType.BRANCH, True),
    "unprotected-tag": where(PipelineSource.PUSH, "nightly", RefType.TAG, False),
    "protected tag that is no release": where(PipelineSource.PUSH, "version-two", RefType.TAG, True),
}


class NoFiles:
    """A rendered pipeline is one file: it includes nothing and asks for no path."""

    def fetch(self, ref: IncludeRef) -> str:
        raise MissingFileError(Missing.FILE)

    def paths(self, project: str | None, ref: str | None) -> Collection[str]:
        return ()


def compiled(service: Service, context: CompileContext, rendering: Context = CONTEXT) -> PipelineSpec:
    return compile_pipeline(ConfigSource(text=render_pipeline(service, rendering), files=NoFiles()), context)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("service", list(CATALOGUE), ids=lambda service: service.name)
def test_every_pipeline_has_the_jobs_of_the_standard(service: Service, context: str) -> None:
    pipeline = compiled(service, CONTEXTS[context])
    assert [job.name for job in pipeline.jobs] == JOBS[context]
    manual = {job.name for job in pipeline.jobs if job.when is When.MANUAL}
    assert manual == ({"approve-staging", "approve-production"} if context == "release-tag" else set())
    assert not any(job.allow_failure for job in pipeline.jobs)


def test_a_branch_with_an_open_merge_request_has_no_pipeline_of_its_own_and_main_always_has() -> None:
    service = CATALOGUE.service("market-data")
    opened = Variable(key="CI_OPEN_MERGE_REQUESTS", value="trading/market-data!1")
    for name, created in (("branch", False), ("main", True), ("schedule", True)):
        context = CONTEXTS[name]
        pipeline = compiled(service, replace(context, predefined=(*context.predefined, opened)))
        assert pipeline.created is created, name


@pytest.mark.parametrize("service", list(CATALOGUE), ids=lambda service: service.name)
def test_whatever_deploys_to_production_waits_for_every_gate(service: Service) -> None:
    needs = {
        job.name: [need.name for need in job.needs or ()] for job in compiled(service, CONTEXTS["release-tag"]).jobs
    }
    before: set[str] = set()
    waiting = ["deploy-production"]
    while waiting:
        found = [name for name in needs[waiting.pop()] if name not in before]
        before |= set(found)
        waiting += found
    assert set(GATES) <= before


@pytest.mark.parametrize(
    ("context", "version"),
    [("main", "1.0.7"), ("branch", "1.0.7"), ("unprotected-tag", "1.0.7"), ("release-tag", "v1.2.3")],
)
def test_the_version_is_counted_on_branches_and_named_by_release_tags(context: str, version: str) -> None:
    pipeline = compiled(CATALOGUE.service("market-data"), CONTEXTS[context])
    variables = {v.key: v.value for v in job_variables(CONTEXTS[context], pipeline.jobs[0])}
    assert variables["VERSION"] == version


@pytest.mark.parametrize("service", list(CATALOGUE), ids=lambda service: service.name)
def test_deployments_are_not_interrupted_and_one_at_a_time(service: Service) -> None:
    jobs = {job.name: job for job in compiled(service, CONTEXTS["release-tag"]).jobs}
    for environment in ("dev", "test", "staging", "production"):
        job = jobs[f"deploy-{environment}"]
        assert (job.resource_group, job.interruptible, job.retry.max) == (environment, False, 0)
        assert job.environment is not None
        assert job.environment.name == environment
    assert jobs["verify-production"].resource_group == "production"
    assert not any(job.interruptible for job in jobs.values() if job.name in {"publish", "verify-production"})


@pytest.mark.parametrize(
    ("environments", "last"),
    [(["dev"], "integration-test"), (["dev", "test"], "deploy-test"), (["dev", "test", "staging"], "deploy-staging")],
)
def test_a_service_may_end_before_production(environments: list[str], last: str) -> None:
    service = Service.model_validate({**CATALOGUE.service("market-data").model_dump(), "environments": environments})
    jobs = [job.name for job in compiled(service, CONTEXTS["release-tag"]).jobs]
    assert jobs == ALL_JOBS[: ALL_JOBS.index(last) + 1]


def test_a_profile_without_an_environment_ends_before_it() -> None:
    fewer = replace(CONTEXT, port_offsets={"dev": 0, "staging": 2})
    jobs = [job.name for job in compiled(CATALOGUE.service("market-data"), CONTEXTS["main"], fewer).jobs]
    assert jobs[-1] == "integration-test"


@pytest.mark.parametrize("context", ["merge-request", "branch", "schedule", "unprotected-tag"])
@pytest.mark.parametrize("service", list(CATALOGUE), ids=lambda service: service.name)
def test_what_runs_for_anybody_has_no_secret_but_the_reading_of_dependencies(service: Service, context: str) -> None:
    for job in compiled(service, CONTEXTS[context]).jobs:
        roles = set(re.findall(r"login role=(\S+)", "\n".join((*job.before_script, *job.script))))
        wanted = {f"build-{service.name}"} if job.id_tokens else set()
        assert roles == wanted, job.name
        assert service.language is Language.JAVA or not job.id_tokens
        assert job.environment is None


def overridden(**overrides: object) -> Service:
    service = CATALOGUE.service("market-data")
    return Service.model_validate({**service.model_dump(), "overrides": overrides})


def test_overrides_add() -> None:
    step = "if true; then\n  echo 'a: {{ b }}'\nfi # done"
    service = overridden(
        variables={"APP_MODE": "a $CI_JOB_TOKEN: 'b' \"c\""},
        cache=["data/"],
        before={"build": ["make generate", step]},
        after={"package": ["ls"]},
    )
    text = render_pipeline(service, CONTEXT)
    assert check_pipelines({"market-data.yml": text}) == []
    jobs = {job.name: job for job in compiled(service, CONTEXTS["main"]).jobs}
    assert [line.strip() for line in jobs["build"].script[:2]] == ["(\nmake generate\n)", f"(\n{step}\n)"]
    assert jobs["package"].script[-1].strip() == "(\nls\n)"
    variables = {v.key: v.value for v in job_variables(CONTEXTS["main"], jobs["unit-test"])}
    assert variables["APP_MODE"] == "a $CI_JOB_TOKEN: 'b' \"c\""
    assert "data/" in jobs["unit-test"].caches[0].paths


CONTAINER = {"image": f"postgres:17@sha256:{'0' * 64}", "alias": "database"}


def test_containers_need_a_runner_that_can_start_them() -> None:
    service = overridden(services=[CONTAINER])
    with pytest.raises(BadInputError, match="can't start containers") as caught:
        render_pipeline(service, CONTEXT)
    assert "overrides.services" in caught.value.where
    able = replace(CONTEXT, runner_services=True)
    jobs = Subject(file="x.yml", text=render_pipeline(service, able)).jobs
    assert jobs["unit-test"]["services"][0]["name"] == CONTAINER["image"]
    assert "services" not in jobs["publish"]


def test_what_a_paid_tier_has_is_used_only_where_the_profile_says_so() -> None:
    service = CATALOGUE.service("market-data")
    assert "cyclonedx:" not in render_pipeline(service, CONTEXT)
    assert "cyclonedx: sbom.cdx.json" in render_pipeline(service, replace(CONTEXT, cyclonedx_report=True))


def test_four_eyes_are_demanded_unless_the_profile_says_otherwise() -> None:
    service = CATALOGUE.service("market-data")
    assert render_pipeline(service, CONTEXT).count("--same-person") == 2
    assert "--same-person" not in render_pipeline(service, replace(CONTEXT, four_eyes=True))


def test_a_file_says_its_own_hash() -> None:
    text = render_pipeline(CATALOGUE.service("settlement"), CONTEXT)
    lines = text.splitlines(keepends=True)
    rest = "".join(line for line in lines if not line.startswith("# Content sha256 "))
    assert f"# Content sha256 {hashlib.sha256(rest.encode()).hexdigest()}\n" in lines


def test_a_release_locks_every_file() -> None:
    release = render_release(CATALOGUE, CONTEXT)
    lock = json.loads(release[LOCK])
    assert lock["release"] == CATALOGUE.release
    assert lock["sha256"] == {
        path: hashlib.sha256(text.encode()).hexdigest() for path, text in release.items() if path != LOCK
    }
    assert set(lock["sha256"]) == {f"{service.name}.yml" for service in CATALOGUE}


def test_the_same_bytes_with_another_hash_seed_and_folder(tmp_path: Path) -> None:
    program = (
        "from infra.core.settings import load_settings\n"
        "from pipelines.catalogue import load_catalogue\n"
        "from pipelines.render import Context, render_release\n"
        "c = load_catalogue()\n"
        "print(render_release(c, Context.of(c, load_settings({})))['release.lock.json'])\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == render_release(CATALOGUE, CONTEXT)[LOCK].strip()


def test_the_header_tells_what_made_the_file() -> None:
    first = render_pipeline(CATALOGUE.service("settlement"), CONTEXT).splitlines()[:3]
    assert "pipelines/catalog/settlement.yaml and templates/pipelines/java.yml.j2" in first[1]
    assert re.search(r"release v1\.0\.0; templates sha256 [0-9a-f]{64}; inputs sha256 [0-9a-f]{64}$", first[2])


def test_the_header_changes_with_the_input() -> None:
    service = CATALOGUE.service("settlement")
    other = replace(CONTEXT, address="127.0.0.2")
    assert render_pipeline(service, CONTEXT).splitlines()[2] != render_pipeline(service, other).splitlines()[2]


@pytest.mark.parametrize(
    "description",
    ["$(touch /tmp/x) `id`", "' \" : # {{ 7 * 7 }} {% raw %}", "- &a *b !c | >", "Ünï 漢字 🦀", "x\\"],
    ids=["shell", "jinja", "yaml", "unicode", "backslash"],
)
def test_a_description_stays_text(description: str) -> None:
    service = CATALOGUE.service("settlement").model_copy(update={"description": description})
    text = render_pipeline(service, CONTEXT)
    assert text.splitlines()[0] == f"# The pipeline of settlement: {description}"
    assert check_pipelines({"settlement.yml": text}) == []


def test_an_override_makes_the_limits_stricter_or_longer() -> None:
    service = CATALOGUE.service("client-reporting")
    overrides = service.overrides.model_copy(update={"coverage": 95, "timeout_minutes": 40})
    text = render_pipeline(service.model_copy(update={"overrides": overrides}), CONTEXT)
    assert "found + 0 >= 95" in text
    assert "timeout: 40 minutes" in text


def test_every_language_has_a_template() -> None:
    assert {f"{language}.yml.j2" for language in Language} <= set(Templates().names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ missing }}", "'missing' is undefined"),
        ("{{ service.missing }}", "no attribute 'missing'"),
        ("{% if %}", "Expected an expression"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ service.update({'tier': 'x'}) }}", "unsafe"),
    ],
    ids=["unknown value", "unknown key", "syntax", "sandbox", "changes its input"],
)
def test_a_bad_template_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    shutil.copytree(TEMPLATES, tmp_path, dirs_exist_ok=True)
    (tmp_path / "java.yml.j2").write_text(f"# first line\n{text}\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=message) as caught:
        render_pipeline(CATALOGUE.service("settlement"), CONTEXT, Templates(tmp_path))
    assert str(tmp_path) in caught.value.where


def test_filters_quote() -> None:
    assert quote_shell("a'b c") == """'a'"'"'b c'"""
    assert quote_yaml('a: "b"\n') == '"a: \\"b\\"\\n"'
    assert literal_block("\n\na\n\n  b  \n\n", 4) == "|\n    a\n\n      b\n"


def test_the_tools_that_the_pipelines_demand_are_the_ones_that_the_toolchain_builds() -> None:
    modules = (ROOT / "infra" / "toolchain" / "go" / "tools" / "go.mod").read_text(encoding="utf-8")
    assert f"gotest.tools/gotestsum {CATALOGUE.tools['gotestsum']} " in modules
    assert f"honnef.co/go/tools {CATALOGUE.tools['staticcheck']} " in modules
