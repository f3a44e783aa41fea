"""The GitLab Runner with the shell executor: jobs are its user's processes, where it is."""

from __future__ import annotations

import json
from collections.abc import Mapping

from infra.core.naming import GITLAB_ROOT, RUNNER_TOKEN
from infra.core.server import ConfigFile, Folder, Probe, Readiness, Server
from infra.core.settings import Settings
from infra.servers import health
from infra.servers.place import Place

NAME = "runner"

POLITE = ("nice", "-n", "10")

_EXECUTOR = ('  executor = "shell"', '  shell = "bash"')


def describe(settings: Settings, place: Place) -> Server:
    """The runner. The place's programs must have `gitlab-runner`."""
    home = place.home(NAME)
    configuration = home / "config.toml"
    return Server(
        name=NAME,
        version="19.4.0",
        # Jobs inherit it: builds on the same machine must not starve the servers that they talk to.
        command=(
            *POLITE,
            str(place.programs["gitlab-runner"]),
            "run",
            f"--config={configuration}",
            f"--working-directory={home}",
        ),
        environment={"HOME": str(home / "home")},
        working_folder=str(home),
        folders=tuple(Folder(path=str(path)) for path in (home, home / "builds", home / "cache", home / "home")),
        files=(
            ConfigFile(
                path=str(configuration),
                content=_configuration(settings, place),
                secrets={"token": str(RUNNER_TOKEN)},
            ),
        ),
        needs=("gitlab",),
        health=health.runs("gitlab-runner"),
        readiness=Readiness(
            probe=Probe.RUNNER,
            url=settings.gitlab_url,
            secrets={"token": f"openbao:{GITLAB_ROOT}#token"},
            subject=place.runner,
            timeout=60,
        ),
        # TERM ends the jobs that run; they are marked as failed by the runner's own shutdown.
        stop_signal="TERM",
        stop_seconds=20,
        memory_mib=90,
        log=str(home / "runner.log"),
    )


def template(jobs: Mapping[str, str]) -> str:
    """What a runner that somebody else registers must be, so that jobs get these variables.

    For `gitlab-runner register --template-config`
    (https://docs.gitlab.com/runner/register/#register-with-a-configuration-template).
    """
    return "\n".join(["[[runners]]", *_EXECUTOR, _environment(jobs), ""])


def _configuration(settings: Settings, place: Place) -> str:
    home = place.home(NAME)
    variables = {**place.jobs, "HOME": str(home / "home")}
    lines = [
        f"concurrent = {settings.profile.runner_concurrency}",
        "# Seconds between two questions for a job; the default of 3 would be most of a small job's waiting.",
        "check_interval = 1",
        "shutdown_timeout = 10",
        'log_level = "info"',
        # The default is coloured, also in a file.
        'log_format = "text"',
        "",
        "[[runners]]",
        f"  name = {json.dumps(place.runner)}",
        f"  url = {json.dumps(settings.gitlab_url)}",
        '  token = "{{token}}"',
        *([f"  tls-ca-file = {json.dumps(str(place.trust))}"] if place.trust else []),
        *_EXECUTOR,
        f"  builds_dir = {json.dumps(str(home / 'builds'))}",
        f"  cache_dir = {json.dumps(str(home / 'cache'))}",
        f"  request_concurrency = {settings.profile.runner_concurrency}",
        _environment(variables),
        "",
    ]
    return "\n".join(lines)


def _environment(variables: Mapping[str, str]) -> str:
    return f"  environment = {json.dumps([f'{name}={value}' for name, value in sorted(variables.items())])}"
