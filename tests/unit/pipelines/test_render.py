"""Rendering: the ten pipelines are the golden ones, the same bytes anywhere, and quote what they take in."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from infra.core.error import BadInputError
from infra.core.settings import ROOT, load_settings
from pipelines.catalogue import Language, Service, load_catalogue
from pipelines.check import check_pipelines
from pipelines.pipeline import parse_pipeline
from pipelines.render import LOCK, Context, render_pipeline, render_release
from pipelines.template import TEMPLATES, Templates, literal_block, quote_shell, quote_yaml

CATALOGUE = load_catalogue()
CONTEXT = Context.of(CATALOGUE, load_settings({}))


@pytest.mark.parametrize("service", list(CATALOGUE), ids=lambda service: service.name)
def test_the_pipeline_is_the_golden_one(service: Service, golden: Callable[[str, str], None]) -> None:
    golden(f"pipelines/{service.name}.yml", render_pipeline(service, CONTEXT))


def test_no_golden_file_is_left_over() -> None:
    known = {path.stem for path in (ROOT / "tests" / "golden" / "pipelines").glob("*.yml")}
    assert known == set(CATALOGUE.services)


@pytest.mark.parametrize("service", list(CATALOGUE), ids=lambda service: service.name)
def test_every_pipeline_has_the_jobs_of_the_standard(service: Service) -> None:
    pipeline = parse_pipeline(render_pipeline(service, CONTEXT), "x.yml")
    jobs = ["validate", "lint", "build", "unit-test", "package", "publish", "deploy-dev", "verify"]
    assert list(pipeline.jobs) == jobs
    assert pipeline.surely_before(pipeline.jobs["verify"]) == set(jobs) - {"verify"}


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
