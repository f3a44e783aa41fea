"""A service's first files: the boiler-plate of its language and its own domain, rendered from `templates/services`.

Three folders are laid over each other: `common`, the language's, and `domain/NAME/LANGUAGE` (`domain/_default/LANGUAGE`
for a service that has no domain there yet). Every file `PATH.j2` makes the file PATH; `*.part.j2` are pieces that
others include. In paths, `SERVICE`, `PYTHON_PACKAGE` and `JAVA_PACKAGE` stand for what is derived from the name.
"""

from __future__ import annotations

import json
import keyword
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol
from xml.sax.saxutils import escape

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from infra.core.error import BadInputError
from infra.core.naming import SERVICE_NAME, SERVICE_NAME_LIMIT, dependency_variable, team_group, under
from infra.core.settings import ROOT

GO_MODULES: Final = "forgeline.internal/trading"
"""Where Go modules are. Nobody outside imports them; `internal` is a top-level domain that is never delegated."""

JAVA_GROUP: Final = "com.forgeline.trading"

_JAVA_WORDS = frozenset(
    "abstract assert boolean break byte case catch char class const continue "  # noqa: SIM905 - a list is sixty lines
    "default do double else enum extends false "
    "final finally float for goto if implements import instanceof int interface long native new null package private "
    "protected public return short static strictfp super switch synchronized this throw throws transient true try void "
    "volatile while".split()
)
_GO_FOLDERS = frozenset({"internal", "testdata", "vendor"})
_PYTHON_TOOLS = frozenset({"coverage", "mypy", "pluggy", "pytest", "ruff", "tests"})


class SkeletonService(Protocol):
    """What a skeleton needs to know of a service: `pipelines.catalogue.Service` has it."""

    @property
    def name(self) -> str:
        """The service's name, such as `market-data`."""

    @property
    def description(self) -> str:
        """What the service is for: one line."""

    @property
    def language(self) -> str:
        """A folder of `templates/services`."""

    @property
    def tier(self) -> str:
        """How important the service is."""

    @property
    def owners(self) -> Iterable[str]:
        """Teams."""

    @property
    def base_group(self) -> str:
        """The GitLab group below which everything is; empty for the top."""

    @property
    def port(self) -> int:
        """The port on which the service listens if nobody says otherwise."""

    @property
    def dependencies(self) -> Iterable[str]:
        """Services that this one calls."""


def render_skeleton(service: SkeletonService, *, root: Path = ROOT) -> dict[str, str]:
    """The files of `service`'s repository: path to text, in the order of paths. `root` is the checkout.

    Raises BadInputError for a name or description that can't be used, a language without a skeleton, and a template
    that can't be rendered.
    """
    templates = root / "templates" / "services"
    language = str(service.language)
    _check(service, templates)
    domain = f"domain/{service.name}"
    if not (templates / domain / language).is_dir():
        domain = "domain/_default"
    context = {
        "name": service.name,
        "description": service.description,
        "language": language,
        "tier": str(service.tier),
        "owners": tuple(service.owners),
        "port": service.port,
        "dependencies": tuple(service.dependencies),
        "language_readme": f"{language}/README.part.j2",
        "domain_readme": f"{domain}/README.part.j2",
        "domain_checks": f"{domain}/checks.part.j2",
    }
    environment = _environment(templates, service.base_group)
    files: dict[str, str] = {}
    for layer in ("common", language, f"{domain}/{language}"):
        for template in _templates(templates / layer):
            path = _path(template, service.name)
            if path in files:
                raise BadInputError(f"{path} is made by another template too", where=f"{layer}/{template}.j2")
            files[path] = _render(environment, f"{layer}/{template}.j2", context)
    return dict(sorted(files.items()))


def python_package(name: str) -> str:
    """The Python package of a service: `market_data`."""
    return name.replace("-", "_")


def java_package(name: str) -> str:
    """The Java package of a service: `com.forgeline.trading.marketdata`."""
    return f"{JAVA_GROUP}.{name.replace('-', '')}"


def go_module(name: str) -> str:
    """The Go module of a service: `forgeline.internal/trading/market-data`."""
    return f"{GO_MODULES}/{name}"


def code_owners(owners: Iterable[str], base: str = "") -> str:
    """Teams as CODEOWNERS spells them, by their GitLab groups: `@teams/risk @teams/trading-core`."""
    return " ".join("@" + under(base, team_group(owner.removeprefix("@"))) for owner in owners)


def _check(service: SkeletonService, templates: Path) -> None:
    """Refuse what would make files that are broken, or that say something else than text."""
    name = service.name
    if not SERVICE_NAME.fullmatch(name) or len(name) > SERVICE_NAME_LIMIT:
        fix = f"use lower-case letters, digits and single hyphens, at most {SERVICE_NAME_LIMIT}: such as market-data"
        raise BadInputError(f"{name!r} is not a service's name", where="name", fix=fix)
    known = sorted(path.name for path in (templates / "domain" / "_default").iterdir() if path.is_dir())
    if service.language not in known:
        fix = f"use one of {', '.join(known)}"
        raise BadInputError(f"there is no skeleton for {str(service.language)!r}", where="language", fix=fix)
    if is_reserved(name, service.language):
        message = f"{name!r} has a meaning of its own in {service.language}"
        raise BadInputError(message, where="name", fix=f"add a word, such as {name}-service")
    if not service.description.isprintable():
        raise BadInputError("is not one line of printable text", where="description")
    for owner in service.owners:
        if not SERVICE_NAME.fullmatch(owner.removeprefix("@")):
            raise BadInputError(f"{owner!r} is not a team's name", where="owners")


def is_reserved(name: str, language: str) -> bool:
    """Whether what is derived from `name` would be a keyword, or would hide something that the service needs."""
    if language == "python":
        package = python_package(name)
        return keyword.iskeyword(package) or package in sys.stdlib_module_names or package in _PYTHON_TOOLS
    if language == "java":
        return name.replace("-", "") in _JAVA_WORDS
    return language == "go" and name in _GO_FOLDERS


def _environment(templates: Path, base: str) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        autoescape=False,  # the output is source code; the filters `xml` and `json` escape where a format needs it
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        code_owners=lambda owners: code_owners(owners, base),
        go_module=go_module,
        java_package=java_package,
        json=lambda value: json.dumps(value, ensure_ascii=False),
        python_package=python_package,
        variable=dependency_variable,
        xml=escape,
    )
    return environment


def _templates(folder: Path) -> list[str]:
    """Paths below `folder`, without `.j2`, of the templates that make a file."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*.j2") if path.is_file())
    return sorted(path.removesuffix(".j2") for path in found if not path.endswith(".part.j2"))


def _path(template: str, name: str) -> str:
    """Where the file of `template` goes in the repository of the service `name`."""
    derived = {
        "SERVICE": name,
        "PYTHON_PACKAGE": python_package(name),
        "JAVA_PACKAGE": java_package(name).replace(".", "/"),
    }
    return "/".join(derived.get(part, part) for part in template.split("/"))


def _render(environment: ImmutableSandboxedEnvironment, template: str, context: Mapping[str, Any]) -> str:
    try:
        return environment.get_template(template).render(context)
    except TemplateSyntaxError as error:
        raise BadInputError(str(error.message), where=f"{error.name}:{error.lineno}") from error
    except TemplateError as error:
        raise BadInputError(f"can't be rendered: {error.message}", where=template) from error
