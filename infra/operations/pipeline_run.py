"""Starts services' pipelines and follows them to their end."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gitlab.exceptions import GitlabError

from infra.clients.gitlab import GitLab, NoAnswerError, absent, explain
from infra.core.error import ServerError
from infra.core.naming import MAIN
from infra.core.progress import Progress
from pipelines.catalogue import Service

ENDED = frozenset({"success", "failed", "canceled", "skipped", "manual"})
"""Statuses in which a pipeline stays until somebody does something."""

POLL_SECONDS = 1.0

PATIENCE = 120.0
"""Seconds for which a GitLab may not answer while pipelines are followed: it may be restarted meanwhile."""

LOG_LINES = 15

_TERMINAL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|section_(start|end):[0-9]+:[^\r\n]*\r?")
_STAMP = re.compile(r"^[0-9T:.-]+Z [0-9a-f]{2}[OE]\+? ?", re.MULTILINE)
"""Of a job's log: colours and marks of foldable sections, and what the runner puts before each line (a time, a stream,
and `+` where the line goes on). See https://docs.gitlab.com/ci/jobs/job_logs/."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job of a pipeline: `seconds` is None while it has not run."""

    id: int
    name: str
    stage: str
    status: str
    seconds: float | None
    web_url: str
    failure_reason: str = ""
    allow_failure: bool = False
    user: str = ""
    """Who started it: of a job that waits for a person, who that was."""


@dataclass(frozen=True, kw_only=True)
class PipelineRun:
    """A service's pipeline as GitLab reports it."""

    service: str
    id: int
    number: int
    """GitLab's `iid`: the pipeline's number in its project."""
    status: str
    ref: str
    sha: str
    web_url: str
    created_at: str = ""
    """When, as GitLab writes it: ISO 8601."""
    seconds: float | None = None
    jobs: tuple[Job, ...] = ()

    @property
    def green(self) -> bool:
        """Whether every job that had to pass has passed."""
        return self.status == "success"

    @property
    def failed_job(self) -> Job | None:
        """The first job that failed for good, or None where none did."""
        return next((job for job in self.jobs if job.status == "failed" and not job.allow_failure), None)

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.status in ENDED

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the fields of the run and its jobs."""
        own = {name: value for name, value in vars(self).items() if name != "jobs"}
        return {**own, "jobs": [vars(job) for job in self.jobs]}


def start(gitlab: GitLab, service: Service, ref: str = MAIN) -> PipelineRun:
    """Start a pipeline of `service` on `ref`. Raises ServerError with what GitLab says against it."""
    project = gitlab.project(service.project)
    try:
        made = project.pipelines.create({"ref": ref})
    except GitlabError as error:
        raise explain(error, f"{service.project} on {ref}") from error
    return _run(service.name, made.attributes)


def find(gitlab: GitLab, service: Service, number: int) -> PipelineRun | None:
    """The pipeline of `service` with GitLab's id `number`, without its jobs, or None where it is gone."""
    try:
        found = absent(lambda: gitlab.project(service.project).pipelines.get(number))
    except GitlabError as error:
        raise explain(error, service.project) from error
    return _run(service.name, found.attributes) if found else None


def last_lines(gitlab: GitLab, service: Service, job: Job, count: int = LOG_LINES) -> list[str]:
    """The last lines of a job's log, without what is only for a terminal."""
    try:
        raw = gitlab.project(service.project).jobs.get(job.id, lazy=True).trace()
    except GitlabError as error:
        raise explain(error, service.project) from error
    text = raw.decode("utf-8", errors="replace") if isinstance(raw, bytes) else str(raw or "")
    return plain_lines(text)[-count:]


def plain_lines(log: str) -> list[str]:
    """The lines of a job's log that say something, as they read on a terminal, without colours and times."""
    text = _TERMINAL.sub("", _STAMP.sub("", log))
    lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return [line for line in lines if line]


def latest(gitlab: GitLab, service: Service) -> PipelineRun | None:
    """The newest pipeline of `service`, without its jobs, or None where there is none yet."""
    return next(iter(last_runs(gitlab, service, 1)), None)


def last_runs(gitlab: GitLab, service: Service, count: int) -> list[PipelineRun]:
    """The newest pipelines of `service`, without their jobs, the newest first; none where it has no project."""
    try:
        pipelines = gitlab.project(service.project).pipelines
        found = absent(lambda: pipelines.list(per_page=count, page=1, get_all=False))
    except GitlabError as error:
        raise explain(error, service.project) from error
    return [_run(service.name, pipeline.attributes) for pipeline in found or ()]


def follow(
    gitlab: GitLab, runs: Sequence[PipelineRun], services: dict[str, Service], progress: Progress, *, timeout: float
) -> list[PipelineRun]:
    """The runs as they ended, with their jobs.

    Raises ServerError when one has not ended after `timeout` seconds, or when GitLab does not answer for `PATIENCE`.
    """
    answered = time.monotonic()
    deadline = answered + timeout
    waiting = {run.service: run for run in runs}
    ended: dict[str, PipelineRun] = {}
    while waiting:
        for name, run in list(waiting.items()):
            try:
                current = with_jobs(gitlab, services[name], run)
            except NoAnswerError:
                if time.monotonic() > answered + PATIENCE:
                    raise
                progress.start(name, "waiting for GitLab to answer")
                break
            answered = time.monotonic()
            if current.ended:
                ended[name] = current
                del waiting[name]
                (progress.done if current.green else progress.failed)(name, _outcome(current))
            else:
                progress.start(name, _doing(current))
        if waiting and time.monotonic() > deadline:
            raise ServerError(
                f"pipelines have not ended after {timeout:.0f} s: {', '.join(sorted(waiting))}",
                fix="`forgeline status` shows where they are; a longer --timeout waits for more",
            )
        if waiting:
            time.sleep(POLL_SECONDS)
    return [ended[run.service] for run in runs]


def with_jobs(gitlab: GitLab, service: Service, run: PipelineRun) -> PipelineRun:
    """The run as it is now, with its jobs."""
    try:
        pipeline = gitlab.project(service.project).pipelines.get(run.id)
        jobs = pipeline.jobs.list(get_all=True)
    except GitlabError as error:
        raise explain(error, service.project) from error
    return _run(service.name, pipeline.attributes, tuple(_job(job.attributes) for job in jobs))


def _run(service: str, fields: dict[str, Any], jobs: tuple[Job, ...] = ()) -> PipelineRun:
    return PipelineRun(
        service=service,
        id=fields["id"],
        number=fields["iid"],
        status=fields["status"],
        ref=fields["ref"],
        sha=fields["sha"],
        web_url=fields["web_url"],
        created_at=fields.get("created_at") or "",
        seconds=fields.get("duration"),
        jobs=tuple(sorted(jobs, key=lambda job: (job.stage, job.name))),
    )


def _job(fields: dict[str, Any]) -> Job:
    return Job(
        id=fields["id"],
        name=fields["name"],
        stage=fields["stage"],
        status=fields["status"],
        seconds=fields.get("duration"),
        web_url=fields["web_url"],
        failure_reason=fields.get("failure_reason") or "",
        allow_failure=bool(fields.get("allow_failure")),
        user=(fields.get("user") or {}).get("username", ""),
    )


def _doing(run: PipelineRun) -> str:
    passed = sum(job.status == "success" for job in run.jobs)
    running = ", ".join(job.name for job in run.jobs if job.status == "running")
    return f"{passed}/{len(run.jobs)} jobs passed" + (f", running: {running}" if running else f", {run.status}")


def _outcome(run: PipelineRun) -> str:
    if run.green:
        return f"pipeline #{run.number} passed, {len(run.jobs)} jobs"
    failed = run.failed_job
    if failed is None:
        return f"pipeline #{run.number} is {run.status}: {run.web_url}"
    return f"job {failed.name} failed ({failed.failure_reason or 'script_failure'}): {failed.web_url}"
