"""This machine as a place: servers are this user's processes, with folders in the state folder."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.core.settings import ROOT, Settings
from infra.servers.place import Place

RUNNER = "forgeline-lab"

SYSTEM_TRUST = Path("/etc/ssl/certs/java/cacerts")
"""The certificates that this machine trusts, where the system keeps them for Java: a Java from elsewhere lacks them."""

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


def this_machine(settings: Settings, programs: Mapping[str, Path]) -> Place:
    """The lab's place. `programs` maps a tool's name to its program."""
    return Place(
        root=settings.state,
        address=settings.profile.address,
        programs=programs,
        python=Path(sys.executable),
        checkout=ROOT,
        runner=RUNNER,
        jobs=_jobs(settings, programs),
        seal_key=settings.bootstrap_key,
        java_trust=SYSTEM_TRUST if SYSTEM_TRUST.exists() else None,
    )


def _jobs(settings: Settings, programs: Mapping[str, Path]) -> dict[str, str]:
    variables = {
        "PATH": ":".join(_path(programs)),
        "FORGELINE_STATE": str(settings.state),
        "FORGELINE_PROFILE": str(settings.profile_file),
        "FORGELINE_CACHE": str(settings.cache),
        "FORGELINE_PIPELINES": str(settings.pipelines),
    }
    for variable, candidates in CLIENT_FILES.items():
        found = [Path.home() / name for name in candidates if (Path.home() / name).is_file()]
        if found:
            variables[variable] = str(found[0])
    return variables


def _path(programs: Mapping[str, Path]) -> list[str]:
    """Forgeline's own programs first, then the toolchain's, then the system's; each folder once."""
    folders = [str(Path(sys.executable).parent)]
    folders += [str(programs[name].parent) for name in JOB_TOOLS if name in programs]
    located = [shutil.which(name) for name in SYSTEM_TOOLS]
    folders += [*SYSTEM_PATH, *(str(Path(program).parent) for program in located if program)]
    return list(dict.fromkeys(folders))
