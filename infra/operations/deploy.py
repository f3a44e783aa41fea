"""One version of a service into one environment of this machine, by `playbooks/deploy_service.yml`."""

from __future__ import annotations

import fcntl
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.clients import trust
from infra.clients.supervisor import Supervisor
from infra.core.document import nearest
from infra.core.error import BadInputError, ToolError
from infra.core.naming import dependency_variable
from infra.core.progress import Progress
from infra.core.secret import SecretValue
from infra.core.settings import Settings
from infra.operations.ansible import run_playbook
from pipelines.artifact import artifact_path
from pipelines.catalogue import Catalogue, Language, Service

VERSION: Final = re.compile(r"[0-9A-Za-z]+([.+_-][0-9A-Za-z]+)*")
VERSION_LIMIT: Final = 60

_COMMANDS: Final[Mapping[Language, tuple[str, ...]]] = {
    # A small service on a shared machine: one compiler tier and the serial collector save half of a JVM's memory.
    Language.JAVA: (
        "java",
        "-Xmx64m",
        "-Xss512k",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:ReservedCodeCacheSize=24m",
        "-jar",
        "RELEASE/{name}-{version}.jar",
    ),
    Language.NODE: ("node", "--max-old-space-size=64", "RELEASE/{entry}"),
    Language.PYTHON: ("python3", "RELEASE/{name}.pyz"),
}
"""How an artifact is run that is no program named as its service. A first word without a slash is a tool of this
machine."""

_PROGRAM: Final = ("RELEASE/{name}",)

NODE_ENTRY: Final = "src/main.js"


@dataclass(frozen=True, kw_only=True)
class DeployResult:
    """A version that serves in its environment."""

    service: str
    environment: str
    version: str
    url: str
    changed: tuple[str, ...]
    """What had to be done; empty if the version was there already and healthy."""


def deploy(
    settings: Settings,
    catalogue: Catalogue,
    service: Service,
    environment: str,
    version: str,
    progress: Progress,
    environ: Mapping[str, str],
    *,
    attempts: int = 40,
) -> DeployResult:
    """Fetch, check, switch to and prove `version`; on failure the previous release is back before this raises.

    `catalogue` says where the services are that this one calls. `environ` has NEXUS_USERNAME and NEXUS_PASSWORD,
    short-lived and only able to read. The new process is asked `attempts` times, half a second apart, before it counts
    as broken.
    Raises BadInputError for an environment or version that can't be, ToolError with what the playbook says.
    """
    _check(settings, service, environment, version)
    credentials = _credentials(environ)
    changed = _play(
        settings, catalogue, service, environment, version, progress, environ, credentials, attempts=attempts
    )
    return _result(settings, service, environment, version, changed)


def go_back(
    settings: Settings,
    catalogue: Catalogue,
    service: Service,
    environment: str,
    version: str,
    progress: Progress,
    environ: Mapping[str, str],
) -> DeployResult:
    """Return to the release that ran before `version`; if another than `version` runs, that is done already.

    Needs no credentials, for the release is kept. Raises BadInputError if there was none before, ToolError if it
    does not serve either.
    """
    _check(settings, service, environment, version)
    folder = settings.deployments(environment) / service.name
    current = _linked(folder / "current")
    if current not in {"", version}:
        return _result(settings, service, environment, current, ())
    previous = _linked(folder / "previous")
    if not current or previous in {"", current} or not (folder / "releases" / previous).is_dir():
        raise BadInputError(
            f"there is no release of {service.name} before {version} in {environment}",
            where=str(folder),
            fix="deploy a version that is known to be good",
        )
    changed = _play(
        settings, catalogue, service, environment, previous, progress, environ, _NOTHING_TO_FETCH, remember=False
    )
    return _result(settings, service, environment, previous, changed)


_NOTHING_TO_FETCH: Final = ("nobody", SecretValue("none"))
"""Stands for credentials where the release is on this machine already."""


def _linked(link: Path) -> str:
    """The version that the link leads to, or nothing."""
    return link.readlink().name if link.is_symlink() else ""


def _result(
    settings: Settings, service: Service, environment: str, version: str, changed: tuple[str, ...]
) -> DeployResult:
    url = _url(settings, service, environment)
    return DeployResult(service=service.name, environment=environment, version=version, url=url, changed=changed)


def _url(settings: Settings, service: Service, environment: str) -> str:
    return f"http://{settings.environment_address}:{settings.service_port(service.port, environment)}"


def _play(
    settings: Settings,
    catalogue: Catalogue,
    service: Service,
    environment: str,
    version: str,
    progress: Progress,
    environ: Mapping[str, str],
    credentials: tuple[str, SecretValue],
    *,
    attempts: int = 40,
    remember: bool = True,
) -> tuple[str, ...]:
    """Run the playbook; the names of the tasks that changed something."""
    username, password = credentials
    folder = settings.deployments(environment) / service.name
    item = f"{service.name} in {environment}"
    progress.start(item, f"deploying {version}")
    with _only_one(folder, item):
        if settings.existing:
            # Where Forgeline runs servers, the supervisor came with them; here services are all that it looks after.
            Supervisor(settings.state).ensure_running()
        try:
            run = run_playbook(
                "deploy_service",
                variables={
                    **_variables(settings, catalogue, service, environment, version, environ),
                    "service_folder": str(folder),
                    "service_attempts": attempts,
                    "service_remember": remember,
                    "nexus_username": username,
                },
                prompts={"Nexus password": password},
                folder=settings.state / "operations",
                environ={**environ, **trust.environment(settings)},
                on_task=lambda task: progress.start(item, task),
            )
        except ToolError as error:
            progress.failed(item, error.what.splitlines()[0])
            raise
    progress.done(item, f"serves {version}" + ("" if run.changed else ", unchanged"))
    return run.changed


def _check(settings: Settings, service: Service, environment: str, version: str) -> None:
    valid = sorted(set(service.environments) & set(settings.profile.environment_port_offsets))
    if environment not in valid:
        raise BadInputError(
            f"{service.name} has no environment {environment!r} in profile {settings.profile.name}",
            fix=nearest(environment, valid),
        )
    if len(version) > VERSION_LIMIT or not VERSION.fullmatch(version):
        raise BadInputError(f"{version!r} is not a version", fix="give the version that was published, such as 1.0.7")


def _credentials(environ: Mapping[str, str]) -> tuple[str, SecretValue]:
    username, password = environ.get("NEXUS_USERNAME", ""), environ.get("NEXUS_PASSWORD", "")
    if not (username and password):
        raise BadInputError(
            "NEXUS_USERNAME and NEXUS_PASSWORD are not set",
            fix="a deploy job gets them from OpenBao (nexus/creds/deployer) by its JWT",
        )
    return username, SecretValue(password)


def _variables(
    settings: Settings,
    catalogue: Catalogue,
    service: Service,
    environment: str,
    version: str,
    environ: Mapping[str, str],
) -> dict[str, Any]:
    names = {"name": service.name, "version": version, "entry": NODE_ENTRY}
    words = [word.format(**names) for word in _COMMANDS.get(service.language, _PROGRAM)]
    if "/" not in words[0]:
        words[0] = _tool(words[0], environ)
    supervisor = settings.data("supervisor")
    return {
        "service_name": service.name,
        "service_version": version,
        "service_environment": environment,
        "service_address": settings.environment_address,
        "service_port": settings.service_port(service.port, environment),
        "service_command": words,
        # Where the services are that this one calls: those of the same environment.
        "service_variables": {
            dependency_variable(name): _url(settings, catalogue.service(name), environment)
            for name in service.dependencies
        },
        "artifact_url": f"{settings.nexus_url}/repository/{artifact_path(service, version)}",
        "artifact_unpack": service.language is not Language.JAVA,
        "supervisor_folder": str(supervisor),
        "supervisorctl": _tool("supervisorctl", environ),
    }


def _tool(name: str, environ: Mapping[str, str]) -> str:
    """The tool's path. Supervisor's own PATH is another, so the process's description needs all of it."""
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{environ.get('PATH', '')}:{beside}")
    if found is None:
        raise ToolError(f"there is no {name} on this machine", fix="run `forgeline doctor`")
    return found


@contextmanager
def _only_one(folder: Path, item: str) -> Iterator[None]:
    """Holds the deployment's lock. Raises ToolError if another process has it."""
    (folder / "releases").mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ToolError(
                f"another deployment of {item} is under way", fix="wait for it, then deploy again"
            ) from error
        yield
