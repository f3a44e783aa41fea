"""What a repository that came with its history lacks for the pipeline: told by file, and helped where it can be.

A repository's own files are never changed: only what is not there is offered, in a merge request. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from infra.core.error import BadInputError
from infra.core.finding import Finding, Severity
from pipelines.catalogue import Language, Service
from pipelines.skeleton import python_package

CHECKS: Final = "integration/checks.json"
BUILD_FILES: Final[Mapping[str, Language]] = {
    "go.mod": Language.GO,
    "pom.xml": Language.JAVA,
    "pyproject.toml": Language.PYTHON,
    "requirements.txt": Language.PYTHON,
    "package.json": Language.NODE,
    "ci/build": Language.GENERIC,
}
"""What says in which language a repository is written, and with what it is built; the first that is there counts."""

_COMMON: Final = (".editorconfig", ".gitignore", "CODEOWNERS", "docs/delivery.md")
_OF_LANGUAGE: Final[Mapping[Language, tuple[str, ...]]] = {
    Language.GENERIC: (),
    Language.GO: (),
    Language.JAVA: ("checkstyle.xml",),
    Language.NODE: ("eslint.config.js",),
    Language.PYTHON: ("requirements-dev.in", "requirements-dev.lock"),
}
_SOURCES: Final[Mapping[Language, str]] = {
    Language.GENERIC: "",
    Language.GO: ".go",
    Language.JAVA: ".java",
    Language.NODE: ".js",
    Language.PYTHON: ".py",
}


class Content(Protocol):
    """A repository's last commit."""

    @property
    def paths(self) -> frozenset[str]:
        """Its files."""

    def read(self, path: str) -> str:
        """A file's text, or nothing where there is none."""

    def mentions(self, text: str, suffix: str) -> bool:
        """Whether a file whose name ends with `suffix` has the text in it."""


def detect(content: Content, source: str) -> tuple[Language, str]:
    """The language, and the file that says so. Raises BadInputError where nothing does."""
    paths = content.paths
    for file, language in BUILD_FILES.items():
        if file in paths:
            return language, file
    raise BadInputError(
        f"nothing says what it is written in: none of {', '.join(BUILD_FILES)} is there",
        where=source,
        fix="say it with --language",
    )


def boilerplate(service: Service, content: Content, skeleton: Mapping[str, str]) -> dict[str, str]:
    """The files that the pipeline needs, that say nothing about what the service does, and that are not there."""
    offered = {path: skeleton[path] for path in (*_COMMON, *_OF_LANGUAGE[service.language]) if path in skeleton}
    offered[CHECKS] = _checks(service)
    there = content.paths
    return {path: text for path, text in sorted(offered.items()) if path not in there}


def _checks(service: Service) -> str:
    expect = {"body": {"status": "ok", "service": service.name}}
    return json.dumps([{"name": "is healthy", "path": "/health", "expect": expect}], indent=2) + "\n"


def lacking(service: Service, content: Content) -> list[Finding]:
    """What the team must change for the gates to pass. Warnings: the merge request is made all the same."""
    paths = content.paths
    findings = [
        _finding("build-file", path, message, fix)
        for path, message, fix in (*_needed(service), *_REQUIRED[service.language])
        if path not in paths
    ]
    for rule in _RULES:
        findings += rule(service, content)
    return findings


def _finding(rule: str, file: str, message: str, fix: str) -> Finding:
    return Finding(rule=rule, message=message, file=file, fix=fix, severity=Severity.WARNING)


_REQUIRED: Final[Mapping[Language, tuple[tuple[str, str, str], ...]]] = {
    Language.GENERIC: tuple(
        (f"ci/{name}", "is not there: the pipeline runs it", "docs/pipelines.md of Forgeline says what it has to do")
        for name in ("build", "test", "lint", "sast", "sbom")
    ),
    Language.GO: (("go.mod", "is not there", "run `go mod init`"),),
    Language.JAVA: (("pom.xml", "is not there: the pipeline builds with Maven", "describe the build in a pom.xml"),),
    Language.NODE: (
        ("package.json", "is not there", "run `npm init`"),
        ("package-lock.json", "is not there: no dependency is pinned", "run `npm install`, and commit the lock"),
    ),
    Language.PYTHON: (
        ("pyproject.toml", "is not there: the tests' and linters' settings are read from it", "add one"),
        (
            "requirements.lock",
            "is not there: no dependency is pinned",
            "run `uv pip compile --generate-hashes requirements.in -o requirements.lock`",
        ),
    ),
}


def _needed(service: Service) -> tuple[tuple[str, str, str], ...]:
    """What the build job of the language begins with."""
    if service.language is Language.GO:
        path = f"cmd/{service.name}/main.go"
        return ((path, f"is not there: the pipeline builds ./cmd/{service.name}", "move the main package there"),)
    if service.language is Language.PYTHON:
        path = f"src/{python_package(service.name)}/__main__.py"
        return ((path, "is not there: the program begins with its function main", "move the package there"),)
    return ()


def _is_healthy_somewhere(service: Service, content: Content) -> Iterator[Finding]:
    for endpoint in ("/health", "/version"):
        if not content.mentions(endpoint, _SOURCES[service.language]):
            yield _finding(
                "no-endpoint",
                BUILD_FILE_OF[service.language],
                f"no source mentions {endpoint}: a deployment can't see whether it came up",
                f"answer GET {endpoint} as the README of a new service says",
            )


BUILD_FILE_OF: Final = {language: file for file, language in reversed(list(BUILD_FILES.items()))}


def _has_tests(service: Service, content: Content) -> Iterator[Finding]:
    pattern = {
        Language.GO: r".*_test\.go",
        Language.JAVA: r"(.*/)?src/test/.*\.java",
        Language.NODE: r"(.*/)?(test|tests)/.*\.[cm]?js|.*\.test\.[cm]?js",
        Language.PYTHON: r"(.*/)?(test_.*|.*_test)\.py",
    }.get(service.language)
    if pattern and not any(re.fullmatch(pattern, path) for path in content.paths):
        floor = service.coverage_floor
        message = f"there are no unit tests; the pipeline wants a coverage of {floor} per cent"
        yield _finding("no-tests", BUILD_FILE_OF[service.language], message, "write tests")


def _version_is_not_newer(service: Service, content: Content) -> Iterator[Finding]:
    said = {
        Language.GO: ("go.mod", r"^go ([0-9]+\.[0-9]+)"),
        Language.JAVA: ("pom.xml", r"<(?:maven\.compiler\.release|java\.version|release)>([0-9]+)<"),
        Language.NODE: ("package.json", r'"node":\s*"[^0-9"]*([0-9]+)'),
        Language.PYTHON: ("pyproject.toml", r'requires-python\s*=\s*"[^0-9"]*([0-9]+\.[0-9]+)'),
    }.get(service.language)
    if said is None:
        return
    file, pattern = said
    text = content.read(file)
    found = re.search(pattern, text, re.MULTILINE)
    if found and _key(found[1]) > _key(service.language_version):
        yield Finding(
            rule="language-version",
            message=f"is written for {found[1]}; the catalogue says {service.language_version}",
            file=file,
            line=text.count("\n", 0, found.start()) + 1,
            fix=f"give --language-version {found[1]}, where the runner has it",
            severity=Severity.WARNING,
        )


def _key(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _go_dependencies_are_locked(service: Service, content: Content) -> Iterator[Finding]:
    if service.language is Language.GO and "require" in content.read("go.mod") and "go.sum" not in content.paths:
        message = "is not there, and go.mod requires modules"
        yield _finding("no-lock", "go.sum", message, "run `go mod tidy`, and commit go.sum")


def _java_build_is_measured(service: Service, content: Content) -> Iterator[Finding]:
    if service.language is not Language.JAVA or not (pom := content.read("pom.xml")):
        return
    for text, why in (
        ("${revision}", "the version of a build is given as the property revision"),
        ("jacoco-maven-plugin", "the coverage is read from JaCoCo"),
        ("maven-checkstyle-plugin", "the lint job runs Checkstyle"),
        ("spotbugs-maven-plugin", "the static analysis is SpotBugs"),
        ("cyclonedx-maven-plugin", "the bill of materials is made by it"),
    ):
        if text not in pom:
            yield _finding(
                "build-tool", "pom.xml", f"has no {text}: {why}", "add it, as a new service's pom.xml has it"
            )


_RULES: Final[tuple[Callable[[Service, Content], Iterator[Finding]], ...]] = (
    _is_healthy_somewhere,
    _has_tests,
    _version_is_not_newer,
    _go_dependencies_are_locked,
    _java_build_is_measured,
)
