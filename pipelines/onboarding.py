"""A wish for a service, as text: checked against the catalogue, and made the catalogue's entry. Pure.

Every error is told with its place: the option of the command line, or the line of the file that the wishes are in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from infra.core.document import InvalidDocumentError, nearest, parse, place, read_text
from infra.core.finding import Finding, Severity
from infra.core.settings import Profile, Settings
from pipelines.catalogue import Catalogue, Environment, Language, Service, Tier
from pipelines.field import Line
from pipelines.port import free_port
from pipelines.service_name import collisions, look_alikes, name_problem

LANGUAGE_VERSIONS: Final[Mapping[Language, str]] = {
    Language.GENERIC: "1",
    Language.GO: "1.26",
    Language.JAVA: "17",
    Language.NODE: "20",
    Language.PYTHON: "3.11",
}
"""What a service is written for where no other service of its language says more: as the skeletons are."""

OPTIONS: Final = {
    "name": "NAME",
    "language": "--language",
    "language_version": "--language-version",
    "tier": "--tier",
    "owners": "--owner",
    "description": "--description",
    "port": "--port",
    "dependencies": "--depends-on",
    "source": "--from",
}
"""Where each key of a wish is said on the command line."""


class Wish(BaseModel):
    """What somebody wants: what is None is chosen for them, and never held against what is there already."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str
    language: Language
    tier: Tier
    owners: Annotated[tuple[str, ...], Field(min_length=1)]
    """Teams, with or without an @ before the name."""
    description: Line | None = None
    language_version: str | None = None
    port: int | None = None
    dependencies: tuple[str, ...] | None = None
    source: Annotated[str | None, Field(alias="from")] = None
    """A git repository whose history the service begins with: a folder or an address."""

    @property
    def teams(self) -> tuple[str, ...]:
        """The owners as the catalogue names them."""
        return tuple(owner.removeprefix("@") for owner in self.owners)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    services: tuple[Wish, ...]

    @field_validator("services")
    @classmethod
    def _some(cls, value: tuple[Wish, ...]) -> tuple[Wish, ...]:
        if not value:
            raise ValueError("has no service")
        return value


Place = Callable[[str], tuple[str, int, int]]
"""File (or option), line and column of a key of a wish."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A wish, and where each of its keys was said."""

    wish: Wish
    place: Place = field(default=lambda key: (OPTIONS[key], 0, 0))

    def finding(self, rule: str, key: str, message: str, fix: str = "", severity: Severity = Severity.ERROR) -> Finding:
        """A finding at the place of `key`."""
        file, line, column = self.place(key)
        return Finding(rule=rule, message=message, file=file, line=line, column=column, fix=fix, severity=severity)


def load_wishes(path: Path) -> list[Placed]:
    """The wishes in a file. Raises InvalidDocumentError with every error at its line."""
    text = read_text(path)
    wishes = parse(text, str(path), _File).services

    def at(index: int) -> Place:
        return lambda key: (str(path), *place(text, ("services", index, "from" if key == "source" else key)))

    return [Placed(wish=wish, place=at(index)) for index, wish in enumerate(wishes)]


@dataclass(frozen=True, kw_only=True)
class Entries:
    """What the wishes come to: the services as they will be (but for their pins), those of them that are new, and
    what people should know before they say yes.
    """

    services: tuple[Service, ...]
    new: frozenset[str]
    warnings: tuple[Finding, ...]


def entries(wishes: Sequence[Placed], catalogue: Catalogue, profile: Profile) -> Entries:
    """The services of the wishes. A new one is pinned to the catalogue's release until its own is known.

    Raises InvalidDocumentError with everything that is wrong with any of them.
    """
    known = catalogue
    findings: list[Finding] = []
    services: list[Service] = []
    new: set[str] = set()
    names = {placed.wish.name for placed in wishes}
    for placed in wishes:
        wish = placed.wish
        there = catalogue.services.get(wish.name)
        if wish.name in {service.name for service in services}:
            findings.append(placed.finding("duplicate-name", "name", f"{wish.name!r} is wished for twice"))
        elif there is not None:
            findings += _differences(placed, there, catalogue.sources[wish.name])
            services.append(there)
        elif problems := list(_problems(placed, known, names)):
            findings += problems
        else:
            service = _service(wish, known, profile)
            services.append(service)
            new.add(wish.name)
            known = replace(known, services={**known.services, wish.name: service})
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        raise InvalidDocumentError(errors)
    return Entries(services=tuple(services), new=frozenset(new), warnings=tuple(_warnings(wishes, known, new)))


def entry_text(service: Service) -> str:
    """The service's file in the catalogue, in the order and style of those that people write."""
    lines = [
        f"name: {service.name}",
        f"description: {_scalar(service.description)}",
        f"language: {service.language}",
        f'language_version: "{service.language_version}"',
        f"tier: {service.tier}",
        f"pipeline: {service.pipeline}",
        f"owners: [{', '.join(service.owners)}]",
        *([] if service.seeded else ["seeded: false"]),
        f"port: {service.port}",
        f"dependencies: [{', '.join(service.dependencies)}]",
    ]
    return "\n".join(lines) + "\n"


def _scalar(text: str) -> str:
    """The text as YAML has it: plain where it can be, else quoted."""
    plain = re.fullmatch(r"[A-Za-z][\w ,.()/'-]*", text) and text.strip() == text
    word = text.lower() in {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
    return text if plain and not word else json.dumps(text, ensure_ascii=False)


def _service(wish: Wish, known: Catalogue, profile: Profile) -> Service:
    return Service(
        name=wish.name,
        description=wish.description or f"The service {wish.name}",
        language=wish.language,
        language_version=wish.language_version or _language_version(wish.language, known),
        tier=wish.tier,
        owners=wish.teams,
        port=wish.port if wish.port is not None else free_port(known, profile),
        dependencies=wish.dependencies or (),
        pipeline=known.release,
        seeded=wish.source is None,
    )


def _language_version(language: Language, catalogue: Catalogue) -> str:
    """The newest that the language's other services are written for."""
    used = {service.language_version for service in catalogue if service.language is language}
    return max(used or {LANGUAGE_VERSIONS[language]}, key=lambda text: tuple(map(int, text.split("."))))


def _problems(placed: Placed, known: Catalogue, wished: set[str]) -> Iterator[Finding]:
    wish = placed.wish
    wrong = name_problem(wish.name, wish.language)
    if wrong is not None:
        yield placed.finding("name", "name", *wrong)
        return
    for line in collisions(wish.name, wish.language, known):
        yield placed.finding("name-collision", "name", f"{wish.name!r} can't be used: {line}", "choose another name")
    for owner in wish.teams:
        if owner not in known.teams:
            message = f"there is no team {owner!r}"
            yield placed.finding("unknown-owner", "owners", message, nearest(owner, known.teams))
    if len(set(wish.teams)) != len(wish.teams):
        yield placed.finding("owners", "owners", "names a team twice")
    for name in wish.dependencies or ():
        if name == wish.name or name not in {*known.services, *wished}:
            message = f"there is no other service {name!r} to depend on"
            yield placed.finding("unknown-dependency", "dependencies", message, nearest(name, known.services))
    version = wish.language_version
    if version is not None and not re.fullmatch(r"[1-9][0-9]{0,2}(\.[0-9]{1,3})?", version):
        fix = f"such as {LANGUAGE_VERSIONS[wish.language]}"
        yield placed.finding("language-version", "language_version", f"{version!r} is not a version", fix)
    taken = {service.port: service.name for service in known}
    if wish.port in taken:
        message = f"{wish.port} is already the port of {taken[wish.port]}"
        yield placed.finding("duplicate-port", "port", message, "leave the port out: a free one is chosen")
    if wish.port is not None and not 1024 <= wish.port <= 32767:
        yield placed.finding("port", "port", f"{wish.port} is not from 1024 to 32767", "leave it out: one is chosen")


def _differences(placed: Placed, there: Service, file: Path) -> Iterator[Finding]:
    """What the wish says otherwise than the entry that is there."""
    text = read_text(file)
    wish = placed.wish
    said: dict[str, Any] = {
        "language": wish.language,
        "language_version": wish.language_version,
        "tier": wish.tier,
        "owners": wish.teams,
        "description": wish.description,
        "port": wish.port,
        "dependencies": wish.dependencies,
    }
    for key, value in said.items():
        has = getattr(there, key)
        if value is not None and value != has:
            line, column = place(text, (key,))
            yield placed.finding(
                "exists",
                key,
                f"{wish.name} is in the catalogue with {key} {_shown(has)}, not {_shown(value)}",
                f"to change it edit {file}:{line}:{column}; to onboard another service choose another name",
            )
    if wish.source is not None and there.seeded:
        message = f"{wish.name} is in the catalogue, and was begun from a skeleton"
        yield placed.finding("exists", "source", message, "choose another name for the repository that is adopted")


def _shown(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else repr(str(value))


def _warnings(wishes: Sequence[Placed], known: Catalogue, new: set[str]) -> Iterator[Finding]:
    for placed in wishes:
        name = placed.wish.name
        alike = look_alikes(name, known.services) if name in new else []
        if alike:
            message = f"{name!r} looks like {', '.join(alike)}: people will take one for the other"
            yield placed.finding("look-alike", "name", message, "choose a name that differs more", Severity.WARNING)


def environments_of(service: Service, settings: Settings) -> list[dict[str, Any]]:
    """Where the service will run: environment, port, and the address that says whether it is healthy."""
    shown = []
    for environment in Environment:
        offset = settings.profile.environment_port_offsets.get(environment)
        if environment in service.environments and offset is not None:
            port = service.port + offset
            health = f"http://{settings.environment_address}:{port}/health"
            shown.append({"environment": str(environment), "port": port, "health": health})
    return shown
