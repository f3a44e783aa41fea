"""Takes what is already on the servers into Pulumi's state, for a state that was lost or servers configured by hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.core.candidate import Candidate, Verdict
from infra.core.naming import service_stack
from infra.operations import desired
from infra.operations.published import GitLabReleases
from infra.operations.run_lock import only_run
from infra.operations.work import Work
from infra.programs import platform
from infra.programs.checkpoint import Checkpoints
from infra.programs.plan import Adoption, urn_name, urn_type
from infra.programs.stack import Stack
from infra.provider.connection import Connections
from infra.toolchain.toolchain import InstalledTool
from pipelines.source import Source


@dataclass(frozen=True, kw_only=True)
class AdoptionResult:
    """What was found and taken; with `dry_run`, what would be. `writes` counts requests that may change something."""

    adoptions: tuple[Adoption, ...]
    take: bool
    dry_run: bool
    writes: int

    @property
    def left(self) -> bool:
        """Whether something is on a server, but other than declared, and was not taken."""
        return not self.take and any(
            one.verdict is Verdict.DIFFERENT for adoption in self.adoptions for one in adoption.candidates
        )

    def as_json(self) -> dict[str, Any]:
        """A JSON object with each resource that the state did not know."""
        resources = [self._resource(adoption, one) for adoption in self.adoptions for one in adoption.candidates]
        return {"dry_run": self.dry_run, "writes": self.writes, "resources": resources}

    def _resource(self, adoption: Adoption, candidate: Candidate) -> dict[str, Any]:
        return {
            "stack": adoption.stack,
            "kind": urn_type(candidate.urn),
            "name": urn_name(candidate.urn),
            "id": candidate.id,
            "verdict": str(candidate.verdict),
            "fields": list(candidate.fields),
            "adopted": not self.dry_run and candidate in adoption.taken(different=self.take),
        }


@dataclass(frozen=True, kw_only=True)
class Adopting:
    """One `forgeline adopt`."""

    work: Work

    def run(self, services: Sequence[str] = (), *, take: bool = False, dry_run: bool = False) -> AdoptionResult:
        """Adopt what these services have, or without names everything that the profile declares.

        With `take`, also what is other than declared: the state then has the server's values. Raises BadInputError for
        an unknown name, StackError where a server can't be read.
        """
        work = self.work
        names = {service_stack(work.catalogue.service(name).name) for name in services}
        with only_run(work.settings):
            tools = work.tools()
            with work.session(tools, start=False) as opened, work.phase("Adopting") as opened.current.progress:
                stacks = self._stacks(opened.connections, tools, names)
                adoptions = opened.session.adopt(stacks, different=take, dry_run=dry_run)
        return AdoptionResult(adoptions=tuple(adoptions), take=take, dry_run=dry_run, writes=work.writes)

    def _stacks(
        self, connections: Connections, tools: Mapping[str, InstalledTool], names: Collection[str]
    ) -> list[Stack]:
        """The stacks to look at. What was published before is asked of GitLab where the state does not know it."""
        work = self.work
        checkpoints = Checkpoints(work.settings.data("pulumi"))
        releases = None
        if not checkpoints.exists(platform.NAME):
            published = GitLabReleases(connections.gitlab())
            files = Source.of(work.settings, work.catalogue).files()
            releases = desired.PastReleases(
                last_files=published.files(work.catalogue.release, files),
                blobs={version: published.blobs(version) for version in published.versions()},
            )
        found = desired.stacks(work.settings, work.catalogue, tools, work.environ, releases=releases)
        return [stack for stack in found if not names or stack.name in names]
