"""The GitLab Runner as a process, with the shell executor: jobs are this user's processes on this machine."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.core.naming import GITLAB_ROOT, RUNNER_TOKEN
from infra.core.server import ConfigFile, Folder, Probe, Readiness, Server
from infra.core.settings import Settings

NAME = "runner"

POLITE = ("nice", "-n", "10")

DESCRIPTION = "forgeline-lab"
"""What GitLab calls the runner; whoever registers it gives this description."""

JOB_TOOLS = (
    *("openbao", "go", "node", "java", "gitleaks"),
    *("gosec", "gotestsum", "gocover-cobertura", "staticcheck"),
)
"""Tools of the toolchain that jobs find on their PATH."""

SYSTEM_TOOLS = ("git", "mvn", "javac", "bash", "tar")
"""Programs of the system that jobs use; their folders are on the jobs' PATH wherever the system keeps them."""

SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

CLIENT_FILES = {
    "PIP_CONFIG_FILE": (".config/pip/pip.conf", ".pip/pip.conf"),
    "NPM_CONFIG_USERCONFIG": (".npmrc",),
}
"""Jobs have a home of their own; how this machine reaches the outside is still read from the user's files."""


def describe(settings: Settings, tools: Mapping[str, Path]) -> Server:
    """The lab's runner. `tools` needs `gitlab-runner`; jobs find the others on their PATH."""
    home = settings.data(NAME)
    configuration = home / "config.toml"
    return Server(
        name=NAME,
        version="19.4.0",
        # Jobs inherit it: builds on the same machine must not starve the servers that they talk to.
        command=(
            *POLITE,
            str(tools["gitlab-runner"]),
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
                content=_configuration(settings, tools, home),
                secrets={"token": str(RUNNER_TOKEN)},
            ),
        ),
        needs=("gitlab",),
        readiness=Readiness(
            probe=Probe.RUNNER,
            url=settings.gitlab_url,
            secrets={"token": f"openbao:{GITLAB_ROOT}#token"},
            subject=DESCRIPTION,
            timeout=60,
        ),
        # TERM ends the jobs that run; they are marked as failed by the runner's own shutdown.
        stop_signal="TERM",
        stop_seconds=20,
        memory_mib=90,
        log=str(home / "runner.log"),
    )


def _configuration(settings: Settings, tools: Mapping[str, Path], home: Path) -> str:
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
        f"  name = {json.dumps(DESCRIPTION)}",
        f"  url = {json.dumps(settings.gitlab_url)}",
        '  token = "{{token}}"',
        '  executor = "shell"',
        '  shell = "bash"',
        f"  builds_dir = {json.dumps(str(home / 'builds'))}",
        f"  cache_dir = {json.dumps(str(home / 'cache'))}",
        f"  request_concurrency = {settings.profile.runner_concurrency}",
        f"  environment = {json.dumps(_environment(settings, tools, home))}",
        "",
    ]
    return "\n".join(lines)


def _environment(settings: Settings, tools: Mapping[str, Path], home: Path) -> list[str]:
    variables = {
        "PATH": ":".join(_path(tools)),
        "HOME": str(home / "home"),
        "FORGELINE_STATE": str(settings.state),
        "FORGELINE_PROFILE": str(settings.profile_file),
        "FORGELINE_CACHE": str(settings.cache),
        "FORGELINE_PIPELINES": str(settings.pipelines),
    }
    for variable, candidates in CLIENT_FILES.items():
        found = [Path.home() / name for name in candidates if (Path.home() / name).is_file()]
        if found:
            variables[variable] = str(found[0])
    return [f"{name}={value}" for name, value in sorted(variables.items())]


def _path(tools: Mapping[str, Path]) -> list[str]:
    """Forgeline's own programs first, then the toolchain's, then the system's; each folder once."""
    folders = [str(Path(sys.executable).parent)]
    folders += [str(tools[name].parent) for name in JOB_TOOLS if name in tools]
    located = [shutil.which(name) for name in SYSTEM_TOOLS]
    folders += [*SYSTEM_PATH, *(str(Path(program).parent) for program in located if program)]
    return list(dict.fromkeys(folders))
