"""What a roll-out does to services: pins in their files, their stacks, their pipelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from infra.clients.gitlab import GitLab
from infra.core.document import check_writable, read_text, write_text
from infra.operations import desired, pipeline_run
from infra.operations.pipeline_run import Job, PipelineRun
from infra.operations.work import Open, Work
from infra.programs.plan import Change
from infra.toolchain.toolchain import InstalledTool
from pipelines.catalogue import Catalogue
from pipelines.pin import repin


class Fleet(Protocol):
    """The services, as a roll-out sees them. The names are those of the catalogue."""

    def preview(self, pins: Mapping[str, str]) -> list[Change]:
        """What `bring` would change if these services had these pins."""

    def bring(self, pins: Mapping[str, str]) -> list[Change]:
        """Writes the pins into the services' files, brings exactly these services' stacks about; what changed."""

    def start(self, name: str) -> PipelineRun:
        """Starts the service's pipeline on its main branch."""

    def find(self, name: str, number: int) -> PipelineRun | None:
        """A pipeline that was started before, or None where it is gone."""

    def follow(self, runs: Sequence[PipelineRun], title: str) -> list[PipelineRun]:
        """The pipelines as they ended, with their jobs. Raises ServerError when one takes too long."""

    def log(self, name: str, job: Job) -> list[str]:
        """The last lines of a job's log."""


def write_pins(catalogue: Catalogue, pins: Mapping[str, str]) -> None:
    """Changes the pins in the services' files, and nothing else in them; each file as a whole or not at all.

    Raises BadInputError, before any file is changed, where one can't be.
    """
    changed: dict[Path, str] = {}
    for name, version in pins.items():
        path = catalogue.sources[name].resolve()
        text = read_text(path)
        new = repin(text, version, str(path))
        if new != text:
            changed[path] = new
    check_writable(changed)
    for path, text in changed.items():
        write_text(path, text)


def pinned(catalogue: Catalogue, pins: Mapping[str, str]) -> Catalogue:
    """The catalogue as it would be with these pins."""
    services = {
        service.name: service.model_copy(update={"pipeline": pins.get(service.name, service.pipeline)})
        for service in catalogue
    }
    return replace(catalogue, services=services)


@dataclass(frozen=True, kw_only=True)
class LiveFleet:
    """The services on the servers. `timeout` is how many seconds the pipelines of a wave may take."""

    work: Work
    opened: Open
    tools: Mapping[str, InstalledTool]
    gitlab: GitLab
    timeout: float

    def preview(self, pins: Mapping[str, str]) -> list[Change]:
        """What `bring` would change; asks no server."""
        stacks = desired.service_stacks(self.work.settings, pinned(self.work.catalogue, pins), pins)
        with self.work.phase("Preview") as self.opened.current.progress:
            return [change for plan in self.opened.session.preview(stacks) for change in plan.changes]

    def bring(self, pins: Mapping[str, str]) -> list[Change]:
        """Files first, then the stacks, so that what the files say is never behind the servers."""
        write_pins(self.work.catalogue, pins)
        stacks = desired.service_stacks(self.work.settings, pinned(self.work.catalogue, pins), pins)
        with self.work.phase("Services") as self.opened.current.progress:
            return [change for plan in self.opened.session.apply(stacks) for change in plan.changes]

    def start(self, name: str) -> PipelineRun:
        """Starts the service's pipeline on its main branch. Raises ServerError with what GitLab says against it."""
        return pipeline_run.start(self.gitlab, self.work.catalogue.service(name))

    def find(self, name: str, number: int) -> PipelineRun | None:
        """A pipeline that was started before."""
        return pipeline_run.find(self.gitlab, self.work.catalogue.service(name), number)

    def follow(self, runs: Sequence[PipelineRun], title: str) -> list[PipelineRun]:
        """The pipelines as they ended."""
        with self.work.phase(title) as progress:
            services = dict(self.work.catalogue.services)
            return pipeline_run.follow(self.gitlab, runs, services, progress, timeout=self.timeout)

    def log(self, name: str, job: Job) -> list[str]:
        """The last lines of a job's log."""
        return pipeline_run.last_lines(self.gitlab, self.work.catalogue.service(name), job)
