"""The truth table: ten services on six occasions, each job with its `when` and needs; and what the occasions are."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from infra.core.settings import ROOT, load_settings
from pipelines.catalogue import Service, load_catalogue
from pipelines.context import PROTECTED, Occasion, occasion_context
from pipelines.language.error import ConfigError
from pipelines.language.variable import mapping
from pipelines.render import Context, render_pipeline
from pipelines.subject import Subject

CATALOGUE = load_catalogue()
CONTEXT = Context.of(CATALOGUE, load_settings({}))


def row(subject: Subject, occasion: Occasion) -> dict[str, object]:
    pipeline = subject.pipelines[occasion]
    assert not isinstance(pipeline, ConfigError), pipeline
    jobs = {
        job.name: {
            "when": str(job.when),
            "allow_failure": job.allow_failure,
            "needs": None if job.needs is None else [need.name for need in job.needs],
        }
        for job in pipeline.jobs
    }
    return {"created": pipeline.created, "jobs": jobs}


@pytest.mark.parametrize("service", list(CATALOGUE), ids=lambda service: service.name)
def test_the_table_is_the_golden_one(service: Service, golden: Callable[[str, str], None]) -> None:
    subject = Subject(file="x.yml", text=render_pipeline(service, CONTEXT), standard=True)
    table = {str(occasion): row(subject, occasion) for occasion in Occasion}
    golden(f"contexts/{service.name}.json", json.dumps(table, indent=1) + "\n")


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in (ROOT / "tests" / "golden" / "contexts").glob("*.json")} == set(CATALOGUE.services)


@pytest.mark.parametrize("occasion", Occasion)
def test_what_gitlab_leaves_out_is_left_out(occasion: Occasion) -> None:
    context = occasion_context(occasion, "trading/settlement")
    values = mapping(context.predefined)
    is_tag = occasion in (Occasion.RELEASE_TAG, Occasion.UNPROTECTED_TAG)
    is_merge_request = occasion is Occasion.MERGE_REQUEST
    assert ("CI_COMMIT_TAG" in values) is is_tag
    assert ("CI_COMMIT_BRANCH" in values) is (not is_tag and not is_merge_request)
    assert ("CI_MERGE_REQUEST_IID" in values) is is_merge_request
    assert values["CI_COMMIT_REF_PROTECTED"] == ("true" if occasion in PROTECTED else "false")
    assert context.protected is (occasion in PROTECTED)
    assert values["CI_PROJECT_NAME"] == "settlement"
    assert values["CI_PIPELINE_SOURCE"] == context.source
