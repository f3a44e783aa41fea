"""Which services are followed on the long ways, and to their end."""

from __future__ import annotations

import time
from typing import Any

import pytest

from infra.operations.pipeline_run import ENDED
from pipelines.catalogue import Service, load_catalogue

ONE_A_LANGUAGE = ("client-reporting", "fund-valuation", "market-data", "settlement")
PATIENCE = 900
"""Seconds for a pipeline on two cores."""


def chosen(config: pytest.Config) -> list[Service]:
    """One service of each language; with `--all-services` all of the catalogue."""
    everything = config.getoption("--all-services")
    return [service for service in load_catalogue() if everything or service.name in ONE_A_LANGUAGE]


def ended(project: Any, number: int) -> Any:
    """The pipeline when nothing more happens in it by itself."""
    deadline = time.monotonic() + PATIENCE
    while (pipeline := project.pipelines.get(number)).status not in ENDED:
        assert time.monotonic() < deadline, f"{project.path} #{number} is {pipeline.status} after {PATIENCE} s"
        time.sleep(1)
    return pipeline


def green(project: Any, number: int) -> None:
    """Returns when the pipeline is green. Fails, with the log of its first red job, when it is not."""
    pipeline = ended(project, number)
    if pipeline.status != "success":
        failed = pipeline.jobs.list(scope="failed", get_all=True)
        log = project.jobs.get(failed[0].id).trace().decode() if failed else ""
        pytest.fail(f"{project.path} #{number} is {pipeline.status}: {[job.name for job in failed]}\n{log}")
