"""What this machine or the servers of others lack, and the exact remedy for each, before anything is started."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import psutil

from infra.core.error import ToolError
from infra.core.settings import Placement, Settings
from infra.operations.check import Check, Verdict
from infra.operations.disk import GIB, disk
from infra.toolchain.java import java_development

DISK_COLD = 8 * GIB
"""Free bytes wanted where tools are not cached yet: sources, build caches and tools (measured: about 6 GiB)."""
DISK_WARM = 2 * GIB
MEMORY = 3 * GIB
"""Available bytes wanted: the lab at rest has about 1.5 GiB, builds come on top."""
OPEN_FILES = 65_536
"""Nexus asks for this many open files at its start (facts: nexus 3.71 prints a warning below it)."""
GIT_OLDEST = (2, 34)


def examine(settings: Settings, environ: Mapping[str, str], services: Iterable[str] = ()) -> list[Check]:
    """Every check of this machine, in the order in which they matter. Changes nothing.

    Where others run the servers, of those instead, with what their credentials may do for these services.
    """
    # Each way loads what only it needs: the doctor of the lab is quick.
    if settings.existing:
        from infra.operations.capability import capabilities

        return [_git(), *capabilities(settings, services)]
    if settings.profile.placement is Placement.DOCKER:
        from infra.operations.docker_profile import examine_pins, references
        from infra.operations.engine_check import examine_engine

        # Jobs run in the runner's container, and have there what they need.
        engine = examine_engine(settings, environ, references(settings))
        return [_git(), *engine, *examine_pins(settings), _disk(settings)]
    return [
        _git(),
        _command("curl", "publish jobs upload with it"),
        _command("bash", "jobs are bash scripts"),
        java(environ),
        *_ports(settings),
        _disk(settings),
        _memory(),
        _open_files(),
    ]


def java(environ: Mapping[str, str]) -> Check:
    """Whether Java services can be built here: a JDK of 17 or newer, and Maven."""
    name = "JDK and Maven"
    try:
        found = java_development(environ)
    except ToolError as error:
        install = tuple(error.fix.removeprefix("sudo ").split()) if error.fix.startswith("sudo ") else ()
        return Check(name=name, verdict=Verdict.WARNING, found=error.what, fix=error.fix, install=install)
    return Check(name=name, verdict=Verdict.FINE, found=f"{found.javac_version} and {found.maven_version}")


def _git() -> Check:
    fix = "sudo apt-get install -y git"
    if shutil.which("git") is None:
        return Check(name="git", verdict=Verdict.MISSING, found="not installed", fix=fix)
    line = _version_line("git", "--version")
    match = re.search(r"(\d+)\.(\d+)", line)
    if match is None or (int(match[1]), int(match[2])) < GIT_OLDEST:
        oldest = ".".join(map(str, GIT_OLDEST))
        return Check(name="git", verdict=Verdict.MISSING, found=f"{line}; {oldest} or newer is needed", fix=fix)
    return Check(name="git", verdict=Verdict.FINE, found=line)


def _command(name: str, reason: str) -> Check:
    path = shutil.which(name)
    if path is None:
        fix = f"sudo apt-get install -y {name}"
        return Check(name=name, verdict=Verdict.MISSING, found=f"not installed; {reason}", fix=fix)
    return Check(name=name, verdict=Verdict.FINE, found=path)


def _ports(settings: Settings) -> Iterator[Check]:
    listeners = _listeners(settings.profile.address)
    for server, port in settings.profile.ports.model_dump().items():
        name = f"port {port} ({server})"
        if port not in listeners:
            yield Check(name=name, verdict=Verdict.FINE, found="free")
            continue
        holder = _process(listeners[port])
        if holder is not None and _is_ours(holder, settings):
            yield Check(name=name, verdict=Verdict.FINE, found=f"used by this stack (pid {holder.pid})")
            continue
        who = f"{holder.name()} (pid {holder.pid})" if holder else "another user's process"
        yield Check(
            name=name,
            verdict=Verdict.MISSING,
            found=f"in use by {who}",
            fix=f"stop it, or change ports.{server} in {settings.profile_file}",
        )


def _listeners(address: str) -> dict[int, int | None]:
    """Listening TCP ports that would be in the way on `address`, and the processes that hold them."""
    listeners: dict[int, int | None] = {}
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        ip, port = connection.laddr
        if ip in {address, "0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            listeners[port] = connection.pid
    return listeners


def _process(pid: int | None) -> psutil.Process | None:
    if pid is None:
        return None
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _is_ours(process: psutil.Process, settings: Settings) -> bool:
    """Whether the process was started by this stack's supervisor, whose command line names the state folder."""
    try:
        family = [process, *process.parents()]
        return any(str(settings.state) in argument for member in family for argument in member.cmdline())
    except psutil.Error:
        return False


def _disk(settings: Settings) -> Check:
    cold = not (settings.cache / "tools").is_dir()
    wanted = DISK_COLD if cold else DISK_WARM
    place = next(folder for folder in (settings.state, *settings.state.parents) if folder.is_dir())
    fix = "free some space, or set FORGELINE_STATE and FORGELINE_CACHE to folders on a larger disk"
    return disk(place, wanted, fix=fix)


def _memory() -> Check:
    available = psutil.virtual_memory().available
    found = f"{available / GIB:.1f} GiB available"
    if available >= MEMORY:
        return Check(name="memory", verdict=Verdict.FINE, found=found)
    return Check(
        name="memory",
        verdict=Verdict.WARNING,
        found=f"{found}; {MEMORY / GIB:.0f} GiB are wanted",
        fix="close other programs, or expect slow builds",
    )


def _open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        return Check(name="open files", verdict=Verdict.FINE, found=f"{soft}, may be raised")
    return Check(
        name="open files",
        verdict=Verdict.WARNING,
        found=f"{hard} at most; Nexus asks for {OPEN_FILES}",
        fix=f"raise 'nofile' to {OPEN_FILES} in /etc/security/limits.conf and sign in again",
    )


def _version_line(*command: str) -> str:
    """The first line that the command prints of its version."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return f"{Path(command[0]).name} does not answer"
    lines = (answer.stdout + answer.stderr).strip().splitlines()
    return lines[0] if lines else f"{command[0]} says nothing of its version"
