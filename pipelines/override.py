"""What a service may change of its pipeline: it adds, lengthens and tightens, and never weakens a gate."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from infra.core.document import nearest
from pipelines.shell.problem import syntax_problems
from pipelines.standard import EXTENSION_POINTS, GATES, STAGES

TIMEOUT_MINUTES: Final = 15
"""How long a job may take if nobody says more."""

TAKEN_NAMES: Final = frozenset(
    {"CI", "DEBUG", "ENV", "EXIT", "HOME", "IFS", "LANG", "LC_ALL", "LOGNAME", "OLDPWD", "OPTIND", "PATH", "PPID"}
    | {"PS1", "PS2", "PS3", "PS4", "PWD", "SHELL", "SHELLOPTS", "SHLVL", "TERM", "TMPDIR", "TZ", "UID", "USER"}
    | {
        "VERSION",
        "VIRTUAL_ENV",
        "CGO_ENABLED",
        "JDK_JAVA_OPTIONS",
        "CLASSPATH",
        "TAR_OPTIONS",
        "GZIP",
        "XDG_CONFIG_HOME",
    }
)
TAKEN_PREFIXES: Final = (
    *("CI_", "GITLAB_", "RUNNER_", "FF_", "GIT_", "FORGELINE_", "NEXUS_", "OPENBAO_", "BAO_", "VAULT_", "PULUMI_"),
    *("LD_", "DYLD_", "BASH", "SSL_", "CURL_", "HTTP_", "HTTPS_", "NO_PROXY", "ALL_PROXY", "AWS_", "DOCKER_"),
    *("GO", "STATICCHECK", "PYTHON", "PYTEST", "COVERAGE", "MYPY", "RUFF", "BANDIT", "PIP_", "UV_"),
    *("NODE", "NPM", "ESLINT", "C8_", "JAVA", "MAVEN", "MVN", "M2_", "SPOTBUGS", "CHECKSTYLE", "JACOCO"),
    *("GITLEAKS", "GOSEC", "SAST_", "SECRET_", "CYCLONEDX", "ANSIBLE_", "SHELLCHECK"),
)
"""Variables that GitLab, the shell, the pipeline's own scripts or its tools read: a service can't set them."""

_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,79}")
_CACHE_PATH: Final = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._/*-]{0,199}")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Container(_Model):
    """A container that runs beside the jobs that build and test."""

    image: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/:-]{0,200}@sha256:[0-9a-f]{64}$")]
    """With its digest: `postgres:17@sha256:…`."""
    alias: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]


Step = Annotated[str, Field(min_length=1, max_length=4000)]
Steps = Mapping[str, tuple[Step, ...]]


class Overrides(_Model):
    """What a service may change of its pipeline. Nothing here can weaken a gate."""

    coverage: int | None = Field(default=None, ge=0, le=100)
    """A stricter coverage floor in per cent than the tier's."""
    timeout_minutes: int | None = Field(default=None, ge=TIMEOUT_MINUTES, le=240)
    """A longer limit for each job that builds, tests or looks at the code."""
    variables: Mapping[str, Annotated[str, Field(max_length=2000)]] = {}
    """More variables of every job. Plain text: secrets are in OpenBao."""
    cache: tuple[str, ...] = ()
    """More folders, inside the project, that jobs keep for the next pipeline."""
    services: tuple[Container, ...] = ()
    """Containers beside the jobs that build and test, where the profile's runner can start them."""
    before: Steps = {}
    """Shell steps before what the job `build` or `package` does."""
    after: Steps = {}
    """Shell steps after what the job `build` or `package` does."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why an override can't be: the key's path below `overrides`, what is wrong, and the remedy."""

    loc: tuple[int | str, ...]
    message: str
    fix: str


def gate_refusal(key: str) -> tuple[str, str] | None:
    """Message and remedy for an override whose key is the name of a job; None if it is none."""
    jobs = [job for names in STAGES.values() for job in names]
    if key not in jobs:
        return None
    kind = "a gate" if key in GATES else "a job of the standard"
    fix = "remove it; what a service may change is in docs/pipelines.md, and a stricter limit goes in `coverage`"
    return f"{key!r} is {kind}, which no override can touch", fix


def refusals(overrides: Overrides, floor: int) -> Iterator[Refusal]:
    """Everything that is wrong with the overrides of a service whose tier demands the coverage `floor`."""
    if overrides.coverage is not None and overrides.coverage < floor:
        message = f"{overrides.coverage} is less than the {floor} that gate 'unit-test' demands of this tier"
        yield Refusal(loc=("coverage",), message=message, fix=f"give more than {floor}, or leave it out")
    yield from _variable_refusals(overrides.variables)
    for index, path in enumerate(overrides.cache):
        if not _CACHE_PATH.fullmatch(path) or posixpath.normpath(path).split("/")[0] in {"..", ".git"}:
            fix = "name a folder inside the project, such as .cache/data or build/"
            yield Refusal(loc=("cache", index), message=f"{path!r} is not a path inside the project", fix=fix)
    for place, steps in (("before", overrides.before), ("after", overrides.after)):
        for job, texts in steps.items():
            yield from _step_refusals(place, job, texts)


def _variable_refusals(variables: Mapping[str, str]) -> Iterator[Refusal]:
    for name, value in variables.items():
        loc = ("variables", name)
        if not _VARIABLE.fullmatch(name):
            fix = "use capital letters, digits and underscores, such as MARKET_CALENDAR"
            yield Refusal(loc=loc, message=f"{name!r} is not a variable's name", fix=fix)
        elif name in TAKEN_NAMES or name.startswith(TAKEN_PREFIXES):
            message = f"{name!r} is read by GitLab, the shell or a tool of a gate, and could change what the gate does"
            yield Refusal(loc=loc, message=message, fix=f"give it a name of the service's own, such as APP_{name}")
        elif not value.isprintable():
            yield Refusal(loc=loc, message="must be one line of printable text", fix="put longer text into a file")


def _step_refusals(place: str, job: str, texts: tuple[str, ...]) -> Iterator[Refusal]:
    if job not in EXTENSION_POINTS:
        jobs = [name for names in STAGES.values() for name in names]
        where = " and ".join(repr(point) for point in EXTENSION_POINTS)
        if job in GATES:
            message = f"{job!r} is a gate: no step can be put {place} it"
        elif job in jobs:
            message = f"{job!r} holds credentials: no step can be put {place} it"
        else:
            message = f"there is no job {job!r} ({nearest(job, jobs)})"
        yield Refusal(loc=(place, job), message=message, fix=f"steps can be put {place} {where}")
        return
    for index, text in enumerate(texts):
        if not all(line.isprintable() for line in text.split("\n")):
            yield Refusal(loc=(place, job, index), message="has characters that are no text", fix="write it plainly")
            continue
        for problem in syntax_problems(text):
            message = f"is not shell: {problem.message}"
            yield Refusal(loc=(place, job, index), message=message, fix="see that it runs with `bash -n`")
