"""Publishes a pipeline release: looks at what is published, proves what is rendered, and brings the platform about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.core.blob import blob_ids
from infra.core.document import InvalidDocumentError, place, read_text
from infra.core.error import BadInputError, FindingsError
from infra.core.finding import Finding, Severity
from infra.core.naming import PIPELINES_PROJECT
from infra.core.settings import Settings
from infra.operations import desired
from infra.operations.published import GitLabReleases, Releases
from infra.operations.run_lock import only_run
from infra.operations.status import gitlab_client
from infra.operations.work import Work
from infra.programs.checkpoint import Checkpoints
from infra.programs.plan import Plan
from infra.programs.released import released
from pipelines.catalogue import Catalogue
from pipelines.release import (
    Effect,
    FileChange,
    altered,
    compare,
    named_version,
    newest,
    unpublished_pins,
    version_key,
)
from pipelines.render import LOCK
from pipelines.source import Source

Prove = Callable[[Mapping[str, str]], list[Finding]]

SHOWN = 20
"""Changes or findings that an error lists."""


@dataclass(frozen=True, kw_only=True)
class ReleasePlan:
    """What publishing `version` means. `changes` are against `previous`, the newest release before it."""

    version: str
    previous: str | None
    published: bool
    changes: tuple[FileChange, ...]
    pins: Mapping[str, str]
    """The release that each service of the catalogue is on now; publishing moves none."""
    stack: Plan | None = None
    """What is changed on the servers; None where the release is published and complete."""

    @property
    def affected(self) -> tuple[str, ...]:
        """The services whose pipeline will be another one when they are rolled out to `version`."""
        return tuple(change.service for change in self.changes if change.effect is not Effect.HEADER)

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the plan's parts."""
        return {
            "version": self.version,
            "previous": self.previous,
            "published": self.published,
            "files": [change.as_json() for change in self.changes],
            "affected": list(self.affected),
            "pins": dict(self.pins),
            "changes": [vars(change) for change in self.stack.changes] if self.stack else [],
        }


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a release in GitLab holds, and what is `wrong` with it, by path or for all of it by its version."""

    files: Mapping[str, str]
    wrong: Mapping[str, str]

    @property
    def told(self) -> list[str]:
        """What is wrong, a line each."""
        return [f"{path} {reason}" for path, reason in self.wrong.items()]


def decide(source: Source, releases: Releases, prove: Prove, *, file: Path) -> ReleasePlan:
    """What publishing the release of `source` means. `file` says which version that is.

    Raises BadInputError where the version is taken by other content or is not newer than what is published, and
    FindingsError where a proof fails.
    """
    version, versions = source.version, releases.versions()
    pins = {service.name: service.pipeline for service in source.catalogue}
    if version in versions:
        files = source.files()
        held = wrong_with(releases, version, None, files)
        if held.wrong:
            raise FindingsError(
                f"release {version} in GitLab is not what was published",
                where=PIPELINES_PROJECT,
                detail="\n".join(held.told[:SHOWN]),
                fix="somebody moved the tag: `forgeline pipelines drift` shows which services are on it",
            )
        changes = compare(held.files, files)
        if any(change.effect is not Effect.HEADER for change in changes):
            raise _taken(version, versions, changes, file)
        before = newest([other for other in versions if version_key(other) < version_key(version)])
        return ReleasePlan(version=version, previous=before, published=True, changes=changes, pins=pins)
    last = newest(versions)
    if last is not None and version_key(version) < version_key(last):
        raise BadInputError(
            f"{version} is not newer than {last}, which is published", where=_place(file), fix=_raise_version(last)
        )
    _prove(source.files(), prove)
    as_last = source.files(last) if last else source.files()
    changes = compare(releases.files(last, as_last) if last else {}, as_last)
    return ReleasePlan(version=version, previous=last, published=False, changes=changes, pins=pins)


def _taken(version: str, versions: list[str], changes: Iterable[FileChange], file: Path) -> BadInputError:
    last = newest(versions)
    what = "files changed without a new version" if version == last else f"{version} is published with other content"
    listed = [str(change) for change in changes]
    more = [f"and {len(listed) - SHOWN} more"] if len(listed) > SHOWN else []
    return BadInputError(
        f"{what}: a published release never changes",
        where=_place(file),
        detail="\n".join([*listed[:SHOWN], *more]),
        fix=_raise_version(last or version),
    )


def _raise_version(last: str) -> str:
    major, minor, patch = version_key(last)
    return f"raise `version`, to v{major}.{minor}.{patch + 1} or v{major}.{minor + 1}.0"


def _place(file: Path) -> str:
    line, column = place(read_text(file), ("version",))
    return f"{file}:{line}:{column}"


def _prove(files: Mapping[str, str], prove: Prove) -> None:
    findings = prove({path: text for path, text in files.items() if path.endswith(".yml")})
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        raise FindingsError(
            f"the proofs find {len(errors)} errors in the rendered pipelines",
            detail="\n".join(f"{found.where}: [{found.rule}] {found.message}" for found in errors[:SHOWN]),
            fix="`forgeline pipelines check` shows all of them",
        )


def check_pins(settings: Settings, catalogue: Catalogue, releases: Callable[[], Releases] | None) -> None:
    """Raises InvalidDocumentError, at the lines, for services that are pinned to a release that is nowhere.

    What the state knows is believed; only for another release the servers are asked, and nobody where `releases` is
    None.
    """
    known = {catalogue.release, *released(Checkpoints(settings.data("pulumi")))}
    findings = list(unpublished_pins(catalogue, known))
    if findings and releases is not None:
        findings = list(unpublished_pins(catalogue, known | set(releases().versions())))
    if findings:
        raise InvalidDocumentError(findings)


def wrong_with(releases: Releases, version: str, recorded: Mapping[str, str] | None, known: Mapping[str, str]) -> Held:
    """A published release's files, and what is wrong with them: against their lock, and against what was recorded."""
    files = releases.files(version, known)
    if not files:
        return Held(files={}, wrong={version: "is not there"})
    wrong = altered(files, version)
    if recorded is not None and not wrong:
        blobs = blob_ids(files)
        different = {path for path in {*blobs, *recorded} if blobs.get(path) != recorded.get(path)}
        # The lock's own difference says nothing more, unless it is the only one.
        wrong = dict.fromkeys(sorted(different - {LOCK} or different), "is not what was published")
    return Held(files=files, wrong=wrong)


def is_new(settings: Settings, version: str, files: Mapping[str, str]) -> bool:
    """Whether these files would be published as `version`, where something is published already."""
    known = released(Checkpoints(settings.data("pulumi")))
    return bool(known) and known.get(version) != blob_ids(files)


class Releasing:
    """One `forgeline pipelines release`."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._source = Source.of(work.settings, work.catalogue)

    def run(self, version: str | None, *, dry_run: bool = False) -> ReleasePlan:
        """Publish, or with `dry_run` tell what that would do. What is published already is only completed.

        Raises what `decide` raises, and StackError where the platform can't be brought about.
        """
        # The rules, with GitLab's schema and a grammar of bash, are loaded by who proves, not by every command.
        from pipelines.check import check_pipelines

        settings, file = self._work.settings, self._work.settings.release_file
        named_version(self._work.catalogue, version, str(file))
        with only_run(settings):
            with self._work.phase("Release") as progress:
                progress.start(self._source.version, "comparing with what is published, and proving")
                releases = GitLabReleases(gitlab_client(settings))
                plan = decide(self._source, releases, check_pipelines, file=file)
                progress.done(self._source.version, "is published" if plan.published else "can be published")
                if plan.published and newest(releases.versions()) != plan.version:
                    return plan
            return self._publish(plan, dry_run=dry_run)

    def _publish(self, plan: ReleasePlan, *, dry_run: bool) -> ReleasePlan:
        """The plan with what changes on the servers: the platform's stack is the one way of publishing."""
        work = self._work
        tools = work.tools()
        stack = desired.platform_stack(work.settings, work.catalogue, tools, work.environ)
        with work.session(tools) as opened, work.phase("Platform") as opened.current.progress:
            run = opened.session.preview if dry_run else opened.session.apply
            (done,) = run([stack])
        return replace(plan, stack=done)
