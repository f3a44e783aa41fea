"""What a service may be called: its name becomes part of many others, and each of those has rules and a past.

Two names that differ may still be one name in what is derived from them (`order-gateway` and `ordergateway` have the
same Java package), and two that do not collide may look alike to people.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from infra.core import naming
from infra.core.naming import SERVICE_NAME, SERVICE_NAME_LIMIT
from pipelines.artifact import MAVEN_GROUP_ID
from pipelines.catalogue import Catalogue, Environment, Language
from pipelines.skeleton import go_module, is_reserved, java_package, python_package

GITLAB_RESERVED: Final = frozenset(
    {"badges", "blame", "blob", "builds", "commits", "create", "edit", "files", "new", "preview", "raw", "refs"}
    | {"tree", "update", "wikis"}
)
"""Names that a project can't have: https://docs.gitlab.com/user/reserved_names/#reserved-project-names."""

FORGELINE_RESERVED: Final = frozenset({"all", "catalog", "foundation", "platform", "release", "services", "teams"})
"""Words that commands, files and stacks of this project use for something else."""

_ALIKE: Final = str.maketrans({"-": "", "0": "o", "1": "l", "i": "l", "5": "s", "2": "z", "8": "b"})


def name_problem(name: str, language: Language) -> tuple[str, str] | None:
    """What is wrong with a name by itself and how to mend it, or None."""
    return _form_problem(name) or _reserved_problem(name, language)


def _form_problem(name: str) -> tuple[str, str] | None:
    odd = next((sign for sign in name if not sign.isascii()), "")
    problems = (
        (not name, "the name is empty", "give it one, such as market-data"),
        (
            bool(odd),
            f"{name!r} has {odd!r} ({unicodedata.name(odd, 'unnamed') if odd else ''}), which is not ASCII",
            "use the letters a to z, digits and hyphens",
        ),
        (
            not _PLAIN.fullmatch(name),
            f"{name!r} has signs that mean something to a shell, a path or an address",
            _SHAPE,
        ),
        (name != name.lower(), f"{name!r} has capital letters", f"write {name.lower()!r}"),
        (
            len(name) > SERVICE_NAME_LIMIT,
            f"{name!r} has {len(name)} characters; the limit is {SERVICE_NAME_LIMIT}",
            "choose a shorter one",
        ),
        (not SERVICE_NAME.fullmatch(name), f"{name!r} is not a service's name", _SHAPE),
    )
    return next(((message, fix) for wrong, message, fix in problems if wrong), None)


def _reserved_problem(name: str, language: Language) -> tuple[str, str] | None:
    fix = f"add a word, such as {name}-service"
    if name in GITLAB_RESERVED:
        return f"{name!r} is a word that GitLab keeps for itself: no project can have it", fix
    if name in FORGELINE_RESERVED or name in set(map(str, Environment)):
        return f"{name!r} is a word that Forgeline uses for something else", fix
    if is_reserved(name, language):
        return f"{name!r} has a meaning of its own in {language}", fix
    return None


_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]*")
_SHAPE: Final = "use lower-case letters, digits and single hyphens, beginning with a letter: such as market-data"


def derived_names(name: str, language: Language) -> dict[str, str]:
    """Every name that comes from a service's, by what it is."""
    derived = {
        "GitLab project": naming.service_project(name),
        "stack": naming.service_stack(name),
        "pipeline file": f"{name}.yml",
        "build role": naming.build_role(name),
        "publishing role": naming.publish_role(name),
        "path in Nexus": f"/{name}/",
        "Maven coordinates": f"{MAVEN_GROUP_ID}:{name}",
    }
    for environment in Environment:
        derived[f"deployment role in {environment}"] = naming.deploy_role(name, environment)
        derived[f"program in {environment}"] = f"{environment}-{name}"
    package = {
        Language.JAVA: ("Java package", java_package),
        Language.PYTHON: ("Python package", python_package),
        Language.GO: ("Go module", go_module),
    }.get(language)
    return derived if package is None else {**derived, package[0]: package[1](name)}


def collisions(name: str, language: Language, catalogue: Catalogue) -> Iterator[str]:
    """Which derived names another service has already, one line each."""
    own = derived_names(name, language)
    for other in catalogue:
        if other.name == name:
            continue
        theirs = {value: label for label, value in derived_names(other.name, other.language).items()}
        theirs.setdefault(other.project, "GitLab project")
        for label, value in own.items():
            if value in theirs:
                yield f"the {label} {value} is already the {theirs[value]} of {other.name}"


def look_alikes(name: str, names: Iterable[str]) -> list[str]:
    """The names that people could take for `name`: equal but for hyphens and signs that look alike, or a letter off."""
    plain = name.translate(_ALIKE)
    return sorted(
        other for other in names if other != name and (other.translate(_ALIKE) == plain or _one_off(name, other))
    )


def _one_off(one: str, other: str) -> bool:
    """Whether one sign more, less or different, or two that changed places, makes one of the other."""
    if abs(len(one) - len(other)) > 1 or min(len(one), len(other)) < 4:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    one, other = one[start:], other[start:]
    swapped = one[:2] == other[:2][::-1] and one[2:] == other[2:]
    return one[1:] == other[1:] or one[1:] == other or one == other[1:] or swapped
