"""The first pipelines of services: the first push or merge request starts them; here they are found and followed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from infra.clients.gitlab import GitLab
from infra.core.progress import Progress
from infra.operations.pipeline_run import POLL_SECONDS, PipelineRun, follow, latest, start
from infra.operations.work import Work
from pipelines.catalogue import Service

GRACE = 10.0
"""Seconds within which GitLab makes the pipeline of a push; after them it is started."""


def first_pipelines(
    gitlab: GitLab, services: Sequence[Service], work: Work, *, timeout: float | None
) -> list[PipelineRun]:
    """The newest pipeline of each service; with `timeout` followed for so many seconds, as `follow` does."""
    with work.phase(f"{len(services)} pipelines" if len(services) > 1 else "First pipeline") as progress:
        runs = _found(gitlab, services, progress)
        if timeout is None:
            return runs
        known = {service.name: service for service in services}
        return follow(gitlab, runs, known, progress, timeout=timeout)


def _found(gitlab: GitLab, services: Sequence[Service], progress: Progress) -> list[PipelineRun]:
    deadline = time.monotonic() + GRACE
    runs: dict[str, PipelineRun] = {}
    while True:
        for service in services:
            run = latest(gitlab, service) if service.name not in runs else None
            # A history that is pushed starts nothing; GitLab may tell so by a pipeline that was skipped.
            if run is not None and (service.seeded or run.status != "skipped"):
                runs[service.name] = run
                progress.start(service.name, f"pipeline #{run.number} is {run.status}")
        missing = [service for service in services if service.name not in runs]
        if not missing:
            break
        if time.monotonic() > deadline:
            runs |= {service.name: start(gitlab, service) for service in missing}
            break
        time.sleep(POLL_SECONDS)
    return [runs[service.name] for service in services]
