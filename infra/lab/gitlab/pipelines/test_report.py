"""The JUnit reports of a pipeline's jobs, one suite a job name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.artifact import file_of
from infra.lab.gitlab.pipelines.report import ReportError, TestCase, junit, unpacked
from infra.lab.gitlab.store.artifact import Artifact
from infra.lab.gitlab.store.job import Job, latest_jobs
from infra.lab.gitlab.store.pipeline import Pipeline


def pipeline_report(instance: Instance, session: Session, pipeline: Pipeline) -> dict[str, Any]:
    """TestReportEntity."""
    suites = [_suite(instance, job, artifact) for job, artifact in _reports(session, pipeline)]
    return {**_totals(suites), "test_suites": suites}


def pipeline_summary(instance: Instance, session: Session, pipeline: Pipeline) -> dict[str, Any]:
    """TestReportSummaryEntity."""
    reports = _reports(session, pipeline)
    suites = [_suite(instance, job, artifact) for job, artifact in reports]
    totals = _totals(suites)
    shown = [
        {key: value for key, value in suite.items() if key != "test_cases"} | {"build_ids": [job.id]}
        for suite, (job, _) in zip(suites, reports, strict=True)
    ]
    total = {
        "time": totals["total_time"],
        "count": totals["total_count"],
        "success": totals["success_count"],
        "failed": totals["failed_count"],
        "skipped": totals["skipped_count"],
        "error": totals["error_count"],
        "suite_error": None,
    }
    return {"total": total, "test_suites": shown}


def _reports(session: Session, pipeline: Pipeline) -> list[tuple[Job, Artifact]]:
    jobs = {job.id: job for job in latest_jobs(session, pipeline.id)}
    statement = select(Artifact).where(Artifact.job_id.in_(jobs), Artifact.file_type == "junit").order_by(Artifact.id)
    return [(jobs[artifact.job_id], artifact) for artifact in session.scalars(statement)]


def _suite(instance: Instance, job: Job, artifact: Artifact) -> dict[str, Any]:
    cases: tuple[TestCase, ...] = ()
    error = None
    try:
        cases = junit(unpacked(file_of(instance, artifact)))
    except (ReportError, FileNotFoundError) as problem:
        error = str(problem)
    count = {
        status: sum(case.status == status for case in cases) for status in ("success", "failed", "skipped", "error")
    }
    return {
        "name": job.spec.group,
        "total_time": round(sum(case.execution_time for case in cases), 6),
        "total_count": len(cases),
        "success_count": count["success"],
        "failed_count": count["failed"],
        "skipped_count": count["skipped"],
        "error_count": count["error"],
        "suite_error": error,
        "test_cases": [_case(case) for case in cases],
    }


def _case(case: TestCase) -> dict[str, Any]:
    return {
        "status": case.status,
        "name": case.name,
        "classname": case.classname,
        "file": case.file,
        "execution_time": case.execution_time,
        "system_output": case.system_output,
        "stack_trace": None,
        "recent_failures": None,
    }


def _totals(suites: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("total_time", "total_count", "success_count", "failed_count", "skipped_count", "error_count")
    return {name: sum(suite[name] for suite in suites) for name in names}
