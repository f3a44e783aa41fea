"""What each gate of the standard must do: the programs that it calls, what it leaves, and what would take its teeth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pipelines.shell.command import Command

Call = tuple[str, ...]
"""A program and words that it must be given (`*` at the end: words that begin so)."""


@dataclass(frozen=True, kw_only=True)
class Duty:
    """The work of one gate. `calls` are those of every language, `by_language` those of one."""

    calls: tuple[Call, ...] = ()
    by_language: Mapping[str, tuple[Call, ...]] | None = None
    paths: tuple[str, ...] = ()
    """Files that it must leave as artifacts."""
    reports: tuple[str, ...] = ()
    """Kinds of reports that it must give to GitLab."""
    reads_source: bool = False
    """Whether it looks at the repository's files: an empty folder would please it."""

    def all_calls(self, language: str) -> tuple[Call, ...]:
        """Everything that it calls in a pipeline of that language."""
        return (*self.calls, *(self.by_language or {}).get(language, ()))


_DEPLOYED = ("--version", "$VERSION")

DUTIES: Final[Mapping[str, Duty]] = {
    "validate": Duty(calls=(("[", "$CI_PROJECT_PATH"), ("git", "log"), ("[", "$subject")), reads_source=True),
    "unit-test": Duty(
        calls=(("awk", "BEGIN*"),),
        by_language={
            "go": (("gotestsum", "--junitfile", "./..."), ("go", "tool", "cover")),
            "java": (("mvn", "test"),),
            "node": (("c8", "node", "--test"),),
            "python": (("pytest", "--cov=src"),),
            "generic": (("ci/test",),),
        },
        reports=("junit", "coverage_report"),
        reads_source=True,
    ),
    "lint": Duty(
        by_language={
            "go": (("gofmt", "-l"), ("[", "-z", "$unformatted"), ("go", "vet", "./..."), ("staticcheck", "./...")),
            "java": (("mvn", "checkstyle:check"),),
            "node": (("eslint", "."),),
            "python": (("ruff", "check"), ("ruff", "format", "--check"), ("mypy", "src")),
            "generic": (("ci/lint",),),
        },
        reads_source=True,
    ),
    "secret-scan": Duty(calls=(("gitleaks", "git", "--report-path"),), paths=("secrets.sarif",), reads_source=True),
    "sast": Duty(
        by_language={
            "go": (("gosec", "./..."),),
            "java": (("mvn", "spotbugs:check"),),
            "node": (("eslint", "--config", "--no-inline-config", "src"),),
            "python": (("bandit", "--recursive", "src"),),
            "generic": (("ci/sast",),),
        },
        paths=("*",),
        reads_source=True,
    ),
    "dependency-audit": Duty(
        calls=(("forgeline", "gate", "audit", "sbom.cdx.json", "--fail-from", "--report"),), paths=("audit.json",)
    ),
    "license-check": Duty(calls=(("forgeline", "gate", "license", "sbom.cdx.json", "--policy"),)),
    "sbom": Duty(
        calls=(("forgeline", "gate", "sbom", "sbom.cdx.json"),),
        by_language={
            "go": (("go", "list", "-deps"), ("forgeline", "gate", "go-sbom")),
            "java": (("mvn", "org.cyclonedx:cyclonedx-maven-plugin:makeBom"),),
            "node": (("cyclonedx-npm",),),
            "python": (("cyclonedx-py", "environment"),),
            "generic": (("ci/sbom",),),
        },
        paths=("sbom.cdx.json",),
        reads_source=True,
    ),
    "publish": Duty(calls=(("publish()",),)),
    "integration-test": Duty(calls=(("forgeline", "gate", "integration", *_DEPLOYED),), reads_source=True),
    "deploy-test": Duty(calls=(("forgeline", "deploy", "--environment", "test", *_DEPLOYED),)),
    "approve-staging": Duty(
        calls=(("forgeline", "gate", "approval", "--environment", "staging", "--requester", *_DEPLOYED),)
    ),
    "approve-production": Duty(
        calls=(("forgeline", "gate", "approval", "--environment", "production", "--requester", *_DEPLOYED),)
    ),
}

LANGUAGES: Final = ("go", "java", "node", "python", "generic")
"""Those that have rows here. Another one is held to less: each gate must call some program and hear its failure."""

TOOTHLESS: Final[Mapping[str, tuple[str, ...]]] = {
    "gitleaks": ("--exit-code*", "--baseline-path*", "-b", "--max-target-megabytes*", "--log-opts*", "--enable-rule*"),
    "gosec": ("-no-fail", "-exclude", "-exclude=*", "-include*", "-exclude-dir*", "-severity*", "-confidence*"),
    "bandit": (
        *("--exit-zero", "--skip*", "-s", "-l", "-ll", "-lll", "--severity-level*", "--confidence-level*"),
        *("-i", "-ii", "-iii", "--exclude*", "-x", "--baseline*", "-b", "--tests*", "-t"),
    ),
    "ruff": ("--exit-zero", "-e", "--ignore*", "--select*", "--exclude*", "--fix*", "--extend-exclude*"),
    "mypy": ("--ignore-errors", "--exclude*", "--disable-error-code*", "--follow-imports=skip"),
    "eslint": ("--quiet", "--rule*", "--ignore-pattern*", "--fix*", "--pass-on-no-patterns", "--max-warnings*"),
    "mvn": (
        *("-DskipTests*", "-Dmaven.test.skip*", "-Dmaven.test.failure.ignore*", "-fn", "--fail-never", "-fae"),
        *("-Dcheckstyle.skip*", "-Dcheckstyle.failOnViolation*", "-Dspotbugs.skip*", "-Dspotbugs.failOnError*"),
        *("-Djacoco.skip*", "-Dtest=*", "-Dcyclonedx.skip*", "-N", "--non-recursive"),
    ),
    "gotestsum": ("--rerun-fails*", "-run*", "-skip*", "-short", "--watch", "--ignore-non-json-output-lines"),
    "go": ("-run*", "-skip*", "-short", "-n", "-vettool*"),
    "staticcheck": ("-checks*", "-fail*"),
    "pytest": ("-k", "-m", "--collect-only", "--co", "--deselect*", "--ignore*", "--no-cov", "--lf", "--last-failed"),
    "node": ("--test-name-pattern*", "--test-skip-pattern*", "--test-only"),
    "c8": ("--exclude*", "-x"),
    "cyclonedx-npm": ("--ignore-npm-errors",),
    "forgeline": ("--dry-run",),
}
"""Options with which a tool of a gate looks at less or finds nothing wrong."""

_HELPERS: Final = frozenset(
    {":", "[", ".", "awk", "cat", "cd", "cp", "cut", "date", "echo", "env", "eval", "exec", "exit", "export", "false"}
    | {"find", "forgeline", "git", "grep", "head", "install", "ln", "ls", "mkdir", "mktemp", "mv", "printf", "pwd"}
    | {"read", "return", "rm", "sed", "set", "sha256sum", "shift", "sleep", "sort", "source", "tail", "tee", "test"}
    | {"touch", "tr", "trap", "true", "umask", "unset", "wc"}
)
"""Programs that are no tool of any language: a language without a row of its own must call another one in each gate."""

USELESS: Final = ("--help", "-h", "--dry-run")
"""Options with which no tool does its work."""


def unmet(duty: Duty, language: str, commands: tuple[Command, ...]) -> Iterator[Call]:
    """The calls that none of the commands makes such that its failure ends the job."""
    if duty.by_language and language not in LANGUAGES and not any(map(_is_tool, commands)):
        yield ("a tool of the language",)
    for call in duty.all_calls(language):
        if not any(one.counts and one.calls(*call) and not set(USELESS) & set(one.words) for one in commands):
            yield call


def _is_tool(command: Command) -> bool:
    return command.counts and not command.function and command.program not in _HELPERS


def toothless(command: Command) -> Iterator[str]:
    """Options of a command that make the tool that it runs harmless."""
    for tool, options in TOOTHLESS.items():
        if command.calls(tool):
            for word in command.words[1:]:
                if any(word.startswith(one[:-1]) if one.endswith("*") else word == one for one in options):
                    yield word
