"""What comes from elsewhere comes in a version that somebody chose."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

from infra.core.finding import Severity
from pipelines.rules.rule import Spot, rule
from pipelines.shell.command import Command
from pipelines.subject import Path_, Subject

MOVING: Final = frozenset({"latest", "stable", "edge", "nightly", "main", "master", "lts", "current", "dev"})
"""Tags and branches that mean another thing tomorrow."""

_OPTIONS_WITH_VALUE = frozenset({"-i", "--index-url", "--extra-index-url", "-t", "--target", "-c", "--constraint"})
_VERSIONED_REQUIREMENT = re.compile(r"(==|===|~=|@|\.whl$|\.tar\.gz$|^git\+.*@)")


@rule("image-unpinned", remedy="name a version (`image: python:3.12.7`), best with its digest (`@sha256:…`)")
def images_are_pinned(subject: Subject) -> Iterator[Spot]:
    """Every container image has a digest, or a tag that names a version."""
    for path, name in _images(subject):
        tag = name.rpartition("/")[2].partition(":")[2]
        if "@sha256:" in name or "$" in name:
            continue
        if not tag or tag.partition("-")[0] in MOVING:
            said = f"has the tag {tag!r}, which moves" if tag else "has no tag, which means `latest`"
            yield Spot(message=f"image {name!r} {said}", location=subject.at(*path))


def _images(subject: Subject) -> Iterator[tuple[Path_, str]]:
    default = subject.merged.get("default")
    holders: list[tuple[Path_, Any]] = [((), subject.merged), (("default",), default)]
    holders += [((job,), value) for job, value in subject.jobs.items()]
    for path, holder in holders:
        if not isinstance(holder, dict):
            continue
        services = holder.get("services")
        entries: list[tuple[Path_, Any]] = [((*path, "image"), holder.get("image"))]
        entries += [
            ((*path, "services", i), one) for i, one in enumerate(services if isinstance(services, list) else ())
        ]
        for place, value in entries:
            name = value.get("name") if isinstance(value, dict) else value
            if isinstance(name, str) and name:
                yield place, name


@rule(
    "include-unpinned",
    severity=Severity.WARNING,
    remedy="name a tag or a commit with `ref`, or for `remote` the file's hash with `integrity`",
)
def includes_are_pinned(subject: Subject) -> Iterator[Spot]:
    """Every file included from elsewhere is of a version that does not move."""
    value = subject.document.value.get("include")
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        path: Path_ = ("include", index) if isinstance(value, list) else ("include",)
        if not isinstance(item, dict):
            continue
        if "project" in item and (item.get("ref") is None or item["ref"] in MOVING):
            message = f"the files of project {item['project']!r} are included from a branch, which moves"
            yield Spot(message=message, location=subject.at(*path))
        component = item.get("component")
        if isinstance(component, str) and component.rpartition("@")[2].lstrip("~") in MOVING:
            yield Spot(message=f"component {component!r} is of a version that moves", location=subject.at(*path))
        if "remote" in item and "integrity" not in item:
            message = f"{item['remote']!r} is included without its hash"
            yield Spot(message=message, location=subject.at(*path))


@rule(
    "tool-unpinned",
    severity=Severity.WARNING,
    remedy="name the version that was tested, or install from a lock file with hashes",
)
def tools_are_pinned(subject: Subject) -> Iterator[Spot]:
    """Every tool that a script installs or runs from a registry has a version."""
    for job, script in subject.scripts:
        for command in script.does.commands:
            for name in chain.from_iterable(installer(command) for installer in _INSTALLERS):
                message = f"job {job!r} takes {name!r} in whatever version there is ({' '.join(command.words[:3])})"
                yield Spot(message=message, location=script.at(command.line))


def _operands(words: tuple[str, ...]) -> list[str]:
    """What is no option and no option's value."""
    found = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in _OPTIONS_WITH_VALUE:
            skip = True
        elif not word.startswith("-"):
            found.append(word)
    return found


def _pip(command: Command) -> Iterator[str]:
    words = command.words
    if "install" not in words or not any(one.rpartition("/")[2] in ("pip", "pip3") for one in words[:4]):
        return
    rest = words[words.index("install") + 1 :]
    if {"-r", "--requirement", "-e", "--require-hashes"} & set(rest):
        return
    for name in _operands(rest):
        if not _VERSIONED_REQUIREMENT.search(name) and not name.startswith((".", "/", "$")):
            yield name


def _npm(command: Command) -> Iterator[str]:
    words = command.words
    is_install = command.program in ("npm", "pnpm", "yarn") and set(words[1:3]) & {"install", "i", "add"}
    if is_install and {"-g", "--global", "add", "global"} & set(words):
        yield from (
            name for name in _operands(words[1:])[1:] if "@" not in name[1:] and not name.startswith((".", "$"))
        )
    if command.program == "npx" and not {"--no-install", "--no", "--offline"} & set(words):
        packages = _operands(words[1:])[:1]
        yield from (name for name in packages if "@" not in name[1:] and not name.startswith((".", "$")))


def _go(command: Command) -> Iterator[str]:
    if command.program == "go" and command.words[1:2] in (("install",), ("run",)):
        for name in _operands(command.words[2:])[:1]:
            if "." in name.partition("/")[0].strip(".") and name.rpartition("@")[2] in (name, *MOVING):
                yield name


def _others(command: Command) -> Iterator[str]:
    words = command.words
    options = set(words)
    if command.program == "gem" and words[1:2] == ("install",) and not {"-v", "--version"} & options:
        yield from (name for name in _operands(words[2:]) if ":" not in name)
    if command.program == "cargo" and words[1:2] == ("install",) and not {"--version", "--path"} & options:
        yield from (name for name in _operands(words[2:]) if "@" not in name)
    if command.program in ("uvx", "pipx") or words[:3] == ("uv", "tool", "install"):
        names = [name for name in _operands(words[1:]) if name not in ("run", "install", "tool")]
        yield from (name for name in names[:1] if not _VERSIONED_REQUIREMENT.search(name))
    if command.program in ("docker", "podman") and words[1:2] in (("run",), ("pull",)):
        yield from (name for name in _operands(words[2:])[:1] if name.rpartition(":")[2] in MOVING)
    if command.program in ("curl", "wget"):
        yield from (word for word in words[1:] if "://" in word and "/latest/" in word)


_INSTALLERS: Final[tuple[Callable[[Command], Iterator[str]], ...]] = (_pip, _npm, _go, _others)
