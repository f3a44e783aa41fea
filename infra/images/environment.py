"""Layers of Forgeline itself: the Python packages that it runs with, and its checkout.

The packages are the locked ones of `requirements.lock`, without those that only developing it needs. There is no byte
code among them: Python writes its own where `PYTHONPYCACHEPREFIX` says, for what it would write here holds times.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.core.error import ToolError
from infra.core.settings import ROOT
from infra.images.bill import Component, find_components
from infra.images.entry import Entry, file, from_folder, link, text
from infra.images.layer import Made
from infra.images.part import Bench, Filling

HOME = "opt/forgeline"
VENV = f"{HOME}/.venv"
PYTHON = "3.11"
"""Of Debian bookworm."""
PACKAGES = f"{VENV}/lib/python{PYTHON}/site-packages"

LOCK = ROOT / "requirements.lock"
FOLDERS = ("infra", "pipelines", "templates", "playbooks")
FILES = ("pyproject.toml", "requirements.lock", "LICENSE")

_LIBC = 36
"""Debian bookworm has version 2.36 of the C library."""
_OLDEST_LIBC = 5
LIMIT = 900.0
"""Seconds that pip may take."""

_SKIPPED = {"bin", "__pycache__"}
_DIFFERS = {"RECORD", "direct_url.json", "REQUESTED"}
"""What pip writes of an installation: with the paths of the machine on which it was made."""


@dataclass(frozen=True, kw_only=True)
class PythonPart:
    """The Python packages that Forgeline runs with, as an environment for the image's own Python."""

    name: str = "python-packages"
    tools: tuple[str, ...] = ()

    def key(self, _bench: Bench) -> str:
        """Differs when the locked packages do."""
        return hashlib.sha256(f"1\n{platform.machine()}\n{runtime_lock(LOCK.read_text())}".encode()).hexdigest()[:16]

    def told(self, _bench: Bench) -> str:
        """For people."""
        return f"{len(_blocks(runtime_lock(LOCK.read_text())))} locked Python packages"

    def fill(self, bench: Bench, work: Path) -> Filling:
        """Let pip install them for the image's Python, whatever this machine's is."""
        wanted = work / "requirements.txt"
        wanted.write_text(runtime_lock(LOCK.read_text()))
        bench.say("downloading Python packages with pip")
        bench.commands.run(
            [
                *(sys.executable, "-m", "pip", "install", "--target", str(work / "packages"), "--no-deps"),
                *("--require-hashes", "--only-binary", ":all:", "--no-compile", "--quiet"),
                *("--python-version", PYTHON, "--implementation", "cp", *_platforms()),
                *("--requirement", str(wanted)),
            ],
            environ={**bench.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"},
            log=work / "log",
            timeout=LIMIT,
        )
        entries = list(environment(work / "packages"))
        return entries, Made(components=find_components(entries, bench))


def _platforms() -> list[str]:
    architecture = platform.machine()
    names = [f"manylinux_2_{number}_{architecture}" for number in range(_LIBC, _OLDEST_LIBC - 1, -1)]
    names += [f"manylinux2014_{architecture}", f"manylinux2010_{architecture}", f"manylinux1_{architecture}"]
    return [word for name in names for word in ("--platform", name)]


def environment(packages: Path) -> Iterator[Entry]:
    """A virtual environment at its place in the image, of packages that pip put into a folder."""

    def keep(path: PurePosixPath) -> bool:
        return path.parts[0] not in _SKIPPED and path.name not in _SKIPPED | _DIFFERS

    yield text(f"{VENV}/pyvenv.cfg", f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n")
    yield link(f"{VENV}/bin/python", f"/usr/bin/python{PYTHON}")
    for name in ("python3", f"python{PYTHON}"):
        yield link(f"{VENV}/bin/{name}", "python")
    yield from from_folder(packages, PACKAGES, keep)
    scripts = _entry_points(packages)
    for program in sorted((packages / "bin").iterdir()):
        path = f"{VENV}/bin/{program.name}"
        if program.name in scripts:
            yield text(path, launcher(scripts[program.name]), mode=0o755)
        elif program.is_file():
            yield _program(path, program)


def _entry_points(packages: Path) -> dict[str, str]:
    """The commands that packages in a folder offer: name -> MODULE:FUNCTION."""
    found = importlib.metadata.distributions(path=[str(packages)])
    return {point.name: point.value for one in found for point in one.entry_points if point.group == "console_scripts"}


def launcher(point: str) -> str:
    """The script of a command that is written MODULE:FUNCTION."""
    module, _, function = point.partition(":")
    name = function.strip().partition(" ")[0]
    return f"#!/{VENV}/bin/python\nimport sys\n\nfrom {module} import {name}\n\nsys.exit({name}())\n"


def _program(path: str, source: Path) -> Entry:
    """A program as it is; a script of Python with the image's Python in its first line."""
    content = source.read_bytes()
    if re.match(rb"#!.*python", content):
        return text(path, f"#!/{VENV}/bin/python\n".encode() + content.partition(b"\n")[2], mode=0o755)
    return file(path, source)


def runtime_lock(lock: str) -> str:
    """Of a lock file what Forgeline's own program needs, directly or by what it needs, without the developers' tools.

    Raises ToolError if something that is needed isn't locked.
    """
    blocks = _blocks(lock)
    wanted: set[str] = set()
    waiting = [Requirement(line) for line in importlib.metadata.requires("forgeline") or []]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if not _applies(requirement, set()) or name in wanted:
            continue
        if name not in blocks:
            raise ToolError(f"{name} isn't locked", where=LOCK.name, fix="run `make lock`")
        wanted.add(name)
        needs = [Requirement(line) for line in importlib.metadata.requires(name) or []]
        waiting += [Requirement(_without_marker(need)) for need in needs if _applies(need, requirement.extras)]
    return "".join(blocks[name] for name in sorted(wanted))


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    if requirement.marker is None:
        return True
    target = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.2", "sys_platform": "linux"}
    target |= {"platform_system": "Linux", "os_name": "posix", "implementation_name": "cpython"}
    return any(requirement.marker.evaluate({**target, "extra": extra}) for extra in {"", *extras})


def _without_marker(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}"


def _blocks(lock: str) -> dict[str, str]:
    """The lines of each package of a lock file, by its name."""
    found = re.finditer(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==.*(?:\n[ \t]+.*)*\n?", lock, re.MULTILINE)
    return {str(canonicalize_name(match[1])): match[0] for match in found}


@dataclass(frozen=True, kw_only=True)
class CheckoutPart:
    """This checkout, as far as a server or a job runs it, with the command `forgeline`."""

    name: str = "forgeline"
    tools: tuple[str, ...] = ()

    def key(self, _bench: Bench) -> str:
        """Differs when a file of it does."""
        content = hashlib.sha256()
        for entry in self._entries():
            content.update(repr(entry.identity).encode())
        return content.hexdigest()[:16]

    def told(self, _bench: Bench) -> str:
        """For people."""
        return f"this checkout of Forgeline {version()}"

    def fill(self, _bench: Bench, _work: Path) -> Filling:
        """Copy."""
        part = Component(kind="application", name="forgeline", version=version(), package="pkg:pypi/forgeline")
        return self._entries(), Made(components=[part.as_json()])

    @staticmethod
    def _entries() -> list[Entry]:
        def keep(path: PurePosixPath) -> bool:
            return path.name not in {"__pycache__", "node_modules", ".pytest_cache"}

        entries = [file(f"{HOME}/{name}", ROOT / name) for name in FILES]
        for name in FOLDERS:
            entries += from_folder(ROOT / name, f"{HOME}/{name}", keep)
        told = f"{PACKAGES}/forgeline-{version()}.dist-info"
        return [
            *entries,
            text(f"{PACKAGES}/forgeline.pth", f"/{HOME}\n"),
            text(f"{told}/METADATA", f"Metadata-Version: 2.1\nName: forgeline\nVersion: {version()}\n"),
            text(f"{told}/entry_points.txt", "[console_scripts]\nforgeline = infra.cli.main:main\n"),
            text(f"{VENV}/bin/forgeline", launcher("infra.cli.main:main"), mode=0o755),
        ]


def version() -> str:
    """Forgeline's own version."""
    return importlib.metadata.version("forgeline")
