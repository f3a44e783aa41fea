"""The catalogue: one YAML file a service, from which its pipeline, repository, roles and deployments come.

Reading it finds the errors of all files in one go, each at its line and column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from infra.core.document import InvalidDocumentError, nearest, parse, place, read_text
from infra.core.error import BadInputError
from infra.core.finding import Finding
from infra.core.naming import (
    SERVICE_NAME,
    SERVICE_NAME_LIMIT,
    SERVICES_GROUP,
    pipeline_place,
    service_project,
    team_group,
    under,
)
from infra.core.settings import PIPELINES, Settings
from pipelines.field import Line, TeamName
from pipelines.override import Overrides, gate_refusal, refusals
from pipelines.team import Team, load_teams

CATALOG: Final = PIPELINES / "catalog"
RELEASE: Final = PIPELINES / "release.yaml"

PIPELINE_VERSION = r"^v(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})$"
REPOSITORY = rf"^{SERVICES_GROUP}/[a-z0-9](-?[a-z0-9])*$"

PipelineVersion = Annotated[str, Field(pattern=PIPELINE_VERSION)]
ToolName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
Name = Annotated[str, Field(max_length=SERVICE_NAME_LIMIT, pattern=f"^{SERVICE_NAME.pattern}$")]


class Language(StrEnum):
    """Languages that have a pipeline template and a skeleton."""

    GENERIC = "generic"
    """Whatever its own scripts in `ci/` build and test; needs a shell and nothing else."""
    GO = "go"
    JAVA = "java"
    NODE = "node"
    PYTHON = "python"


class Tier(StrEnum):
    """How important a service is."""

    CORE = "core"
    IMPORTANT = "important"
    NORMAL = "normal"


class Environment(StrEnum):
    """Where a service runs, in the order in which a version travels."""

    DEV = "dev"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"


COVERAGE_FLOORS: Final[Mapping[Tier, int]] = {Tier.CORE: 80, Tier.IMPORTANT: 75, Tier.NORMAL: 70}
"""Lines (Go: statements) in per cent that unit tests must reach."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hold(_Model):
    """Why a service stays on its pipeline release while others are rolled out."""

    reason: Line


class Service(_Model):
    """A service of the catalogue."""

    name: Name
    description: Line
    language: Language
    language_version: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}(\.[0-9]{1,3})?$")]
    """The version that the service is written for, such as "17", "1.26", "3.11", "20": the oldest that builds it."""
    tier: Tier
    owners: Annotated[tuple[TeamName, ...], Field(min_length=1)]
    """Teams of `teams.yaml`."""
    repository: Annotated[str, Field(pattern=REPOSITORY)] | None = None
    """The full path of the GitLab project, if it is not the service's name in the services' group."""
    port: Annotated[int, Field(ge=1024, le=32767)]
    """What an environment's offset is added to."""
    dependencies: tuple[Name, ...] = ()
    """Services that this one calls."""
    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = tuple(Environment)
    """From dev on without a gap: a version goes through each of them on its way to the last."""
    pipeline: PipelineVersion
    """The pipeline release that this service is on. `forgeline pipelines rollout` changes it; publishing does not."""
    seeded: bool = True
    """Whether its repository begins with a skeleton; one that came with its own history does not."""
    canary: bool = False
    """Whether a roll-out begins with it, whatever its tier."""
    hold: Hold | None = None
    """A service with it is left alone by roll-outs."""
    overrides: Overrides = Overrides()
    _base: str = PrivateAttr(default="")
    """No property of the service: the profile says it."""

    @field_validator("owners", "dependencies", "environments")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names something twice")
        return value

    @field_validator("environments")
    @classmethod
    def _without_gaps(cls, value: tuple[Environment, ...]) -> tuple[Environment, ...]:
        if value != tuple(Environment)[: len(value)]:
            raise ValueError(f"must be {', '.join(Environment)} in this order, or the first of them")
        return value

    @property
    def coverage_floor(self) -> int:
        """Coverage in per cent below which the unit tests' job fails."""
        return max(COVERAGE_FLOORS[self.tier], self.overrides.coverage or 0)

    @property
    def base_group(self) -> str:
        """The GitLab group below which everything is; empty for the top."""
        return self._base

    @property
    def project(self) -> str:
        """The full path of the service's GitLab project."""
        return under(self.base_group, self.repository or service_project(self.name))

    @property
    def owner_groups(self) -> tuple[str, ...]:
        """The full paths of the GitLab groups of its owners."""
        return tuple(under(self.base_group, team_group(owner)) for owner in self.owners)

    def pipeline_place(self, version: str) -> str:
        """Where its pipeline of a release is, as GitLab's project setting `ci_config_path` has it."""
        return pipeline_place(self.name, version, self.base_group)

    def below(self, base: str) -> Service:
        """The same service in a GitLab where everything is below the group `base`."""
        copy = self.model_copy()
        copy._base = base
        return copy


class ReleaseFile(_Model):
    """`pipelines/release.yaml`: the version of the pipelines that this checkout makes, and the tools they need."""

    version: PipelineVersion
    tools: Mapping[ToolName, Annotated[str, Field(pattern=r"^v?[0-9][0-9A-Za-z.+-]{0,40}$")]] = {}


Drafts = Mapping[Path, str | None]
"""What files would hold, in place of what they hold; None for a file that would not be there."""

_NONE: Final[Drafts] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All services by name (in the order of names), and the pipeline release that the templates make."""

    services: Mapping[str, Service]
    release: str
    """The version of the pipelines that are rendered from this checkout: `vX.Y.Z`."""
    tools: Mapping[str, str] = field(default_factory=dict)
    """Versions that the pipelines demand of tools that a service's own lock files do not pin."""
    sources: Mapping[str, Path] = field(default_factory=dict)
    """The file of each service."""
    teams: Mapping[str, Team] = field(default_factory=dict)
    """The teams that may own services, by name."""

    @staticmethod
    def of(settings: Settings, drafts: Drafts | None = None) -> Catalogue:
        """The catalogue that the settings name, as `drafts` would make it. Raises what `load_catalogue` raises."""
        drafts = drafts or {}
        found = load_catalogue(settings.catalog, release=settings.release_file, teams=settings.teams, drafts=drafts)
        base = settings.base_group
        return replace(found, services={name: one.below(base) for name, one in found.services.items()})

    def __iter__(self) -> Iterator[Service]:
        return iter(self.services.values())

    def __len__(self) -> int:
        return len(self.services)

    def service(self, name: str) -> Service:
        """The service `name`. Raises BadInputError, with the nearest name, if there is none."""
        if name not in self.services:
            raise BadInputError(f"there is no service {name!r} in the catalogue", fix=nearest(name, self.services))
        return self.services[name]


def load_catalogue(
    folder: Path = CATALOG, *, release: Path = RELEASE, teams: Path | None = None, drafts: Drafts = _NONE
) -> Catalogue:
    """The services in `folder/*.yaml`, and the release version in the file `release`.

    Their owners must be in the file `teams`, where one is given. `drafts` stand for what is in files.
    Raises InvalidDocumentError with the findings of all files, BadInputError for a folder that has none.
    """
    there = {*folder.glob("*.yaml"), *(path for path in drafts if path.parent == folder)}
    files = sorted(path for path in there if drafts.get(path, "") is not None)
    if not files:
        raise BadInputError("has no *.yaml file", where=str(folder), fix="add a service: one YAML file a service")
    findings: list[Finding] = []
    entries: list[_Entry] = []
    for path in files:
        try:
            text = drafts.get(path) or read_text(path)
            entries.append(_Entry(path, text, parse(text, str(path), Service)))
        except InvalidDocumentError as error:
            findings += map(_named_gate, error.findings)
        except BadInputError as error:
            findings.append(Finding(rule="file", message=error.what, file=str(path)))
    known = {path.stem for path in files} | {entry.service.name for entry in entries}
    findings += [finding for rule in _RULES for finding in rule(entries, known)]
    made: ReleaseFile | None = None
    owners: Mapping[str, Team] = {}
    try:
        made = parse(drafts.get(release) or read_text(release), str(release), ReleaseFile)
        if teams is not None:
            owners = load_teams(teams)
            findings += _owners_are_teams(entries, owners)
    except InvalidDocumentError as error:
        findings += error.findings
    if findings or made is None:
        raise InvalidDocumentError(sorted(findings, key=lambda f: (f.file, f.line, f.column)))
    services = {entry.service.name: entry.service for entry in sorted(entries, key=lambda e: e.service.name)}
    sources = {entry.service.name: entry.path for entry in entries}
    return Catalogue(services=services, release=made.version, tools=made.tools, sources=sources, teams=owners)


def catalogue_schema() -> dict[str, Any]:
    """The JSON Schema of a catalogue file, for editors."""
    schema = Service.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Forgeline service"}


@dataclass(frozen=True)
class _Entry:
    """A file that is a valid service by itself."""

    path: Path
    text: str
    service: Service

    def finding(self, rule: str, loc: tuple[int | str, ...], message: str, fix: str = "") -> Finding:
        line, column = place(self.text, loc)
        return Finding(rule=rule, message=message, file=str(self.path), line=line, column=column, fix=fix)


def _file_is_named_as_service(entries: list[_Entry], _known: set[str]) -> Iterator[Finding]:
    for entry in entries:
        if entry.path.stem != entry.service.name:
            fix = f"rename the file to {entry.service.name}.yaml"
            yield entry.finding("file-name", ("name",), f"name: is {entry.service.name!r}, not the file's name", fix)


def _names_are_distinct(entries: list[_Entry], _known: set[str]) -> Iterator[Finding]:
    seen: dict[str, _Entry] = {}
    for entry in entries:
        first = seen.setdefault(entry.service.name, entry)
        if first is not entry:
            message = f"name: {entry.service.name!r} is already the name in {first.path.name}"
            yield entry.finding("duplicate-name", ("name",), message)


def _repositories_are_distinct(entries: list[_Entry], _known: set[str]) -> Iterator[Finding]:
    seen: dict[str, _Entry] = {}
    for entry in entries:
        first = seen.setdefault(entry.service.project, entry)
        if first.service.name != entry.service.name:
            message = f"repository: {entry.service.project!r} is already the repository of {first.service.name}"
            yield entry.finding("duplicate-repository", ("repository",), message)


def _ports_are_distinct(entries: list[_Entry], _known: set[str]) -> Iterator[Finding]:
    seen: dict[int, _Entry] = {}
    taken = {entry.service.port for entry in entries}
    for entry in entries:
        first = seen.setdefault(entry.service.port, entry)
        if first is not entry:
            free = next(port for port in range(entry.service.port, 65536) if port not in taken)
            message = f"port: {entry.service.port} is already the port of {first.service.name}"
            yield entry.finding("duplicate-port", ("port",), message, f"{free} is free")


def _dependencies_are_known(entries: list[_Entry], known: set[str]) -> Iterator[Finding]:
    for entry in entries:
        for index, name in enumerate(entry.service.dependencies):
            if name not in known:
                message = f"dependencies: there is no service {name!r}"
                yield entry.finding("unknown-dependency", ("dependencies", index), message, nearest(name, known))


def _owners_are_teams(entries: list[_Entry], teams: Mapping[str, Team]) -> Iterator[Finding]:
    for entry in entries:
        for index, owner in enumerate(entry.service.owners):
            if owner not in teams:
                yield entry.finding(
                    "unknown-owner", ("owners", index), f"owners: there is no team {owner!r}", nearest(owner, teams)
                )


def _dependencies_have_no_cycle(entries: list[_Entry], _known: set[str]) -> Iterator[Finding]:
    by_name = {entry.service.name: entry for entry in entries}
    finished: set[str] = set()
    for start in sorted(by_name):
        path: list[str] = []
        stack = [(start, iter(by_name[start].service.dependencies))] if start not in finished else []
        if stack:
            path.append(start)
        while stack:
            name, rest = stack[-1]
            target = next((item for item in rest if item in by_name and item not in finished), None)
            if target is None:
                finished.add(path.pop())
                stack.pop()
            elif target in path:
                cycle = " -> ".join([*path[path.index(target) :], target])
                loc = ("dependencies", by_name[name].service.dependencies.index(target))
                yield by_name[name].finding("dependency-cycle", loc, f"dependencies: go round in a circle: {cycle}")
            else:
                path.append(target)
                stack.append((target, iter(by_name[target].service.dependencies)))


def _overrides_do_not_weaken(entries: list[_Entry], _known: set[str]) -> Iterator[Finding]:
    for entry in entries:
        for refusal in refusals(entry.service.overrides, COVERAGE_FLOORS[entry.service.tier]):
            key = ".".join(str(part) for part in refusal.loc)
            message = f"overrides.{key}: {refusal.message}"
            yield entry.finding("override", ("overrides", *refusal.loc), message, refusal.fix)


def _named_gate(finding: Finding) -> Finding:
    """The finding, saying of an unknown key of `overrides` that it is a gate, if it is one."""
    key = finding.message.partition(":")[0]
    first, _, name = key.partition(".")
    refused = gate_refusal(name.partition(".")[0]) if first == "overrides" else None
    if refused is None:
        return finding
    return replace(finding, rule="override", message=f"{key}: {refused[0]}", fix=refused[1])


_RULES = (
    _file_is_named_as_service,
    _names_are_distinct,
    _repositories_are_distinct,
    _overrides_do_not_weaken,
    _ports_are_distinct,
    _dependencies_are_known,
    _dependencies_have_no_cycle,
)
