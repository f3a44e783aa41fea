"""Takes a service out of work: nothing runs, nobody has access, and what it made and proved stays.

Repository, artifacts, secrets and evidence are kept. The catalogue's entry goes last, so that a run that was killed is
finished by the same command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gitlab.exceptions import GitlabError

from infra.clients.gitlab import GitLab, explain
from infra.clients.supervisor import Supervisor
from infra.core.document import InvalidDocumentError, place, read_text
from infra.core.finding import Finding
from infra.core.naming import service_stack
from infra.core.settings import Settings
from infra.operations import desired
from infra.operations.onboard import PATIENCE
from infra.operations.proposal import Proposal, propose
from infra.operations.published import GitLabReleases
from infra.operations.run_lock import turn
from infra.operations.status import gitlab_client
from infra.operations.work import Open, Work
from infra.programs import service as service_program
from infra.programs.checkpoint import Checkpoints
from infra.programs.plan import Change, changes_of
from infra.programs.stack import Stack
from infra.provider.gitlab.project import PROJECT
from pipelines.catalogue import Catalogue, Environment, Service

UNFINISHED = ("created", "waiting_for_resource", "preparing", "pending", "running", "manual", "scheduled")
"""Statuses of a pipeline that may still do something."""


@dataclass(frozen=True, kw_only=True)
class OffboardPlan:
    """What taking a service out of work does. Empty where it is done."""

    name: str
    programs: tuple[str, ...] = ()
    """What is stopped."""
    proposal: Proposal | None = None
    stacks: tuple[Stack, ...] = ()
    """The service's, of which only its archived project is left, and the platform's, for a release without it."""
    changes: tuple[Change, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether it is out of work already."""
        return self.proposal is None

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the plan's parts."""
        return {
            "service": self.name,
            "stops": list(self.programs),
            "release": self.proposal.release.as_json() if self.proposal else None,
            "files": {str(path): text for path, text in self.proposal.files.items()} if self.proposal else {},
            "changes": [vars(change) for change in self.changes],
        }


@dataclass(frozen=True, kw_only=True)
class Offboarding:
    """One `forgeline offboard`. `confirm` is asked before anything is changed, and raises to stop."""

    work: Work
    confirm: Callable[[OffboardPlan], None] | None = None
    patience: float = PATIENCE

    def run(self, name: str, *, dry_run: bool = False) -> OffboardPlan:
        """Take the service out of work, or with `dry_run` tell what that would do; what was changed is in the answer.

        Raises BadInputError for a service that isn't there, or that others depend on, before anything is touched.
        """
        work = self.work
        # What is wrong is told at once; another run may change the files before it is our turn.
        self._present(name)
        with turn(work, patience=0 if dry_run else self.patience, wanted=not dry_run):
            work.catalogue = Catalogue.of(work.settings)
            service = self._present(name)
            if service is None:
                return OffboardPlan(name=name)
            gitlab = gitlab_client(work.settings)
            with work.session(work.tools()) as opened:
                plan = self._plan(service, gitlab, opened)
                if dry_run or self.confirm is not None:
                    with work.phase("Preview") as opened.current.progress:
                        plan = replace(plan, changes=changes_of(opened.session.preview(plan.stacks)))
                if dry_run:
                    return plan
                if self.confirm is not None:
                    self.confirm(plan)
                return replace(plan, changes=self._carry_out(plan, service, gitlab, opened))

    def _present(self, name: str) -> Service | None:
        """The service, or None where it is out of work already. Raises BadInputError where it can't be taken out."""
        if name not in self.work.catalogue.services and retired(self.work.settings, name):
            return None
        service = self.work.catalogue.service(name)
        check_dependents(self.work.catalogue, name)
        return service

    def _plan(self, service: Service, gitlab: GitLab, opened: Open) -> OffboardPlan:
        work, name = self.work, service.name
        with work.phase("Plan") as progress:
            progress.start("catalogue", "rendering and proving the release without it")
            file = work.catalogue.sources[name]
            proposal = propose(work.settings, GitLabReleases(gitlab), lambda _: {file: None})
            progress.done("catalogue", f"release {proposal.release.version}")
        (alive,) = desired.service_stacks(work.settings, work.catalogue, [name])
        platform = desired.platform_stack(work.settings, proposal.catalogue, opened.tools, work.environ)
        return OffboardPlan(
            name=name,
            programs=programs_of(work.settings, name),
            proposal=proposal,
            stacks=(service_program.stack(replace(alive.inputs, retired=True, nightly="")), platform),
        )

    def _carry_out(self, plan: OffboardPlan, service: Service, gitlab: GitLab, opened: Open) -> tuple[Change, ...]:
        own, platform = plan.stacks
        with self.work.phase("Access") as opened.current.progress:
            cancel_pipelines(gitlab, service)
            plans = opened.session.apply([own])
        with self.work.phase("Deployments") as progress:
            supervisor = Supervisor(self.work.settings.state, observe=self.work.observe)
            for program in plan.programs:
                progress.start(program, "stopping")
                supervisor.remove(program)
                progress.done(program, "stopped, its releases are kept")
        with self.work.phase("Release") as opened.current.progress:
            plans += opened.session.apply([platform])
            if plan.proposal is not None:
                plan.proposal.write()
        return changes_of(plans)


def retired(settings: Settings, name: str) -> bool:
    """Whether the service was taken out of work: its project is recorded as archived."""
    recorded = Checkpoints(settings.data("pulumi")).resources(service_stack(name))
    return any(one.type == PROJECT.type_name and one.inputs.get("archived") for one in recorded)


def check_dependents(catalogue: Catalogue, name: str) -> None:
    """Raises InvalidDocumentError, at their lines, where other services depend on this one."""
    findings = list(_dependents(catalogue, name))
    if findings:
        raise InvalidDocumentError(findings)


def _dependents(catalogue: Catalogue, name: str) -> Iterator[Finding]:
    for other in catalogue:
        if name in other.dependencies:
            file = catalogue.sources[other.name]
            line, column = place(read_text(file), ("dependencies", other.dependencies.index(name)))
            yield Finding(
                rule="depended-on",
                message=f"{other.name} depends on {name}",
                file=str(file),
                line=line,
                column=column,
                fix=f"take {name} out of its dependencies first, and roll that out",
            )


def programs_of(settings: Settings, name: str) -> tuple[str, ...]:
    """The programs under which the service runs here."""
    there = Supervisor(settings.state).programs()
    return tuple(program for environment in Environment if (program := f"{environment}-{name}") in there)


def cancel_pipelines(gitlab: GitLab, service: Service) -> None:
    """Cancels what may still run. Raises ServerError where GitLab refuses."""
    project = gitlab.find_project(service.project)
    if project is None or project.archived:
        return
    try:
        for pipeline in _unfinished(project):
            pipeline.cancel()
    except GitlabError as error:
        raise explain(error, service.project) from error


def _unfinished(project: Any) -> Sequence[Any]:
    return [one for status in UNFINISHED for one in project.pipelines.list(status=status, get_all=True)]
