"""Onboards services: catalogue, pipeline release, project, access, first pipeline; finished by running it again.

Everything is worked out before anything is touched. Then the release is published, which moves nobody; then the files
are written; then the services' stacks are brought about. Nothing of it is undone by a kill, and each step is skipped
where it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from infra.clients.gitlab import GitLab
from infra.clients.repository import Repository
from infra.core.error import BadInputError
from infra.core.finding import Finding
from infra.operations import desired
from infra.operations.first_pipeline import first_pipelines
from infra.operations.history import Adoption, adopt, plan_adoption, without_branch
from infra.operations.pipeline_run import PipelineRun
from infra.operations.proposal import Proposal, propose
from infra.operations.published import GitLabReleases
from infra.operations.run_lock import turn
from infra.operations.status import gitlab_client
from infra.operations.work import Open, Work
from infra.programs import service as service_program
from infra.programs.plan import Change, changes_of
from infra.programs.stack import Layer, Stack
from pipelines.catalogue import Catalogue, Drafts, Service
from pipelines.onboarding import Entries, Placed, entries, entry_text, environments_of

PATIENCE = 900.0
"""Seconds for which another run is waited for."""


@dataclass(frozen=True, kw_only=True)
class OnboardPlan:
    """What onboarding does: what is shown is what is carried out."""

    services: tuple[Service, ...]
    new: frozenset[str]
    warnings: tuple[Finding, ...]
    proposal: Proposal
    adoptions: tuple[Adoption, ...]
    """Of the services that come with a history."""
    stacks: tuple[Stack, ...]
    """The platform's, which publishes the release, and after it one a service."""
    environments: Mapping[str, Sequence[Mapping[str, Any]]]
    changes: tuple[Change, ...] | None = None
    """What changes on the servers; None where nobody asked beforehand."""

    @property
    def seeds(self) -> dict[str, Mapping[str, str]]:
        """The first files of each new service's repository."""
        services = (stack.inputs for stack in self.stacks if stack.layer is Layer.SERVICE)
        return {inputs.name: inputs.seed for inputs in services if inputs.name in self.new}

    @property
    def nothing(self) -> bool:
        """Whether all of it is there."""
        return not self.proposal.files and not self.changes and self.changes is not None

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the plan's parts, the files with their whole content."""
        return {
            "services": [service.model_dump(mode="json") for service in self.services],
            "new": sorted(self.new),
            "warnings": [finding.as_json() for finding in self.warnings],
            "release": self.proposal.release.as_json(),
            "files": {str(path): text for path, text in self.proposal.files.items()},
            "repositories": {name: dict(files) for name, files in self.seeds.items()},
            "adopted": {adoption.service.name: adoption.as_json() for adoption in self.adoptions},
            "environments": {name: list(shown) for name, shown in self.environments.items()},
            "changes": [vars(change) for change in self.changes or ()],
        }


@dataclass(frozen=True, kw_only=True)
class Onboarded:
    """What was done, or with a dry run would be. `runs` are the first pipelines, followed if that was wanted."""

    plan: OnboardPlan
    dry_run: bool
    changes: tuple[Change, ...]
    """What changed on the servers."""
    runs: tuple[PipelineRun, ...] = ()
    requests: Mapping[str, str] = field(default_factory=dict)
    """The merge request of each service that came with a history and lacks something."""

    @property
    def changed(self) -> bool:
        """Whether anything is other than before."""
        return not self.dry_run and bool(self.plan.proposal.files or self.changes)

    @property
    def green(self) -> bool:
        """Whether no pipeline that ended is anything else."""
        return all(run.green for run in self.runs if run.ended)

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the plan and what became of it."""
        return {
            **self.plan.as_json(),
            "dry_run": self.dry_run,
            "changed": self.changed,
            "changes": [vars(change) for change in self.changes],
            "merge_requests": dict(self.requests),
            "pipelines": [run.as_json() for run in self.runs],
        }


@dataclass(frozen=True, kw_only=True)
class Onboarding:
    """One `forgeline onboard`. `confirm` is asked before anything is changed, and raises to stop; None asks nobody.

    `timeout` is how many seconds the first pipelines are followed; None only starts them.
    """

    work: Work
    confirm: Callable[[OnboardPlan], None] | None = None
    timeout: float | None = None
    patience: float = PATIENCE
    origins: Mapping[str, Repository] = field(default_factory=dict)
    """The repositories that services are to begin with, by the service's name."""

    def run(self, wishes: Sequence[Placed], *, dry_run: bool = False) -> Onboarded:
        """Onboard, or with `dry_run` tell what that would do.

        Raises BadInputError before anything is touched for what can't be; StackError where the servers fail: what is
        done then stays, and the same call goes on from there.
        """
        # What is wrong with the wishes is told at once; another run may change the files before it is our turn.
        entries(wishes, self.work.catalogue, self.work.settings.profile)
        with turn(self.work, patience=self.patience, wanted=not dry_run):
            self.work.catalogue = Catalogue.of(self.work.settings)
            gitlab = gitlab_client(self.work.settings)
            with self.work.session(self.work.tools()) as opened:
                plan = self._plan(wishes, gitlab, opened)
                if dry_run or self.confirm is not None:
                    with self.work.phase("Preview") as opened.current.progress:
                        plan = replace(plan, changes=changes_of(opened.session.preview(plan.stacks)))
                if dry_run:
                    return Onboarded(plan=plan, dry_run=True, changes=plan.changes or ())
                if self.confirm is not None and not plan.nothing:
                    self.confirm(plan)
                changes, requests = self._carry_out(plan, gitlab, opened)
            runs = first_pipelines(gitlab, plan.services, self.work, timeout=self.timeout)
            return Onboarded(plan=plan, dry_run=False, changes=changes, runs=tuple(runs), requests=requests)

    def _plan(self, wishes: Sequence[Placed], gitlab: GitLab, opened: Open) -> OnboardPlan:
        work = self.work
        with work.phase("Plan") as progress:
            progress.start("catalogue", "checking names, rendering and proving")
            found = entries(wishes, work.catalogue, work.settings.profile)
            proposal = propose(work.settings, GitLabReleases(gitlab), lambda version: _drafts(work, found, version))
            check_free(gitlab, [proposal.catalogue.service(name) for name in sorted(found.new)])
            progress.done("catalogue", f"{len(found.new)} new, release {proposal.release.version}")
        names = {service.name for service in found.services}
        settings, catalogue = work.settings, proposal.catalogue
        stacks = (
            # Jobs look their service up in the catalogue, and where that is, is told to the runner.
            *desired.foundation_stack(settings, opened.tools, work.environ),
            desired.platform_stack(settings, catalogue, opened.tools, work.environ),
            *desired.service_stacks(settings, catalogue, names),
        )
        services = tuple(catalogue.service(service.name) for service in found.services)
        return OnboardPlan(
            services=services,
            new=found.new,
            warnings=found.warnings,
            proposal=proposal,
            adoptions=tuple(
                plan_adoption(service, self.origins[service.name], settings)
                for service in services
                if service.name in self.origins
            ),
            stacks=stacks,
            environments={service.name: environments_of(service, settings) for service in services},
        )

    def _carry_out(
        self, plan: OnboardPlan, gitlab: GitLab, opened: Open
    ) -> tuple[tuple[Change, ...], Mapping[str, str]]:
        """What changed on the servers, and the merge requests' addresses by service."""
        services = [stack for stack in plan.stacks if stack.layer is Layer.SERVICE]
        with self.work.phase("Release") as opened.current.progress:
            plans = opened.session.apply([stack for stack in plan.stacks if stack.layer is Layer.FOUNDATION])
            plans += opened.session.apply([stack for stack in plan.stacks if stack.layer is Layer.PLATFORM])
            plan.proposal.write()
        empty = {adoption.service.name for adoption in plan.adoptions if without_branch(adoption, gitlab)}
        with self.work.phase("Services") as opened.current.progress:
            plans += opened.session.apply(
                [_before_history(one) if one.inputs.name in empty else one for one in services]
            )
        requests: dict[str, str] = {}
        if plan.adoptions:
            with self.work.phase("Repositories") as progress:
                made = {one.service.name: adopt(one, gitlab, self.work.settings, progress) for one in plan.adoptions}
            requests = {name: address for name, address in made.items() if address is not None}
        if empty:
            with self.work.phase("Schedules") as opened.current.progress:
                plans += opened.session.apply([one for one in services if one.inputs.name in empty])
        return changes_of(plans), requests


def _before_history(stack: Stack) -> Stack:
    """The service's stack as long as its repository has no branch, of which a schedule could be."""
    return service_program.stack(replace(stack.inputs, nightly=""))


def check_free(gitlab: GitLab, services: Sequence[Service]) -> None:
    """Raises BadInputError where GitLab has a project of a service that is not in the catalogue yet."""
    for service in services:
        project = gitlab.find_project(service.project)
        if project is not None:
            archived = " and is archived" if project.archived else ""
            raise BadInputError(
                f"there is a project {service.project} already, which belongs to no service{archived}",
                where=project.web_url,
                fix="choose another name, or move that project out of the way in GitLab",
            )


def _drafts(work: Work, found: Entries, version: str) -> Drafts:
    return {
        work.settings.catalog / f"{service.name}.yaml": entry_text(service.model_copy(update={"pipeline": version}))
        for service in found.services
        if service.name in found.new
    }
