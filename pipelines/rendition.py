"""Pipelines as another version of this project renders them: a git ref, another checkout, or a folder of files."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from infra.core.error import BadInputError, ToolError
from infra.core.settings import ROOT

TIMEOUT: Final = 120
"""Seconds that another version may take to render its pipelines."""

_RENDER = "from infra.cli.main import main; main()"
_SOURCES = ("infra", "pipelines", "templates")


def rendered_at(place: str, *, profile: str | None = None) -> dict[str, str]:
    """The pipelines by service, as `place` has them: a folder of `NAME.yml`, a checkout, or a git ref of this one.

    A checkout or a ref is rendered by its own code, in a process of its own. Raises BadInputError if `place` is none of
    these, ToolError if it can't be rendered.
    """
    folder = Path(place)
    is_folder = folder.is_dir()
    if is_folder and not (folder / "pipelines" / "catalog").is_dir():
        return _read(folder)
    with tempfile.TemporaryDirectory(prefix="forgeline-diff-") as temporary:
        checkout = folder.resolve() if is_folder else Path(temporary) / "checkout"
        if not is_folder:
            _extract(place, checkout)
        out = Path(temporary) / "out"
        _render(checkout, out, profile)
        return _read(out)


def _read(folder: Path) -> dict[str, str]:
    files = {path.stem: path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("*.yml"))}
    if not files:
        fix = "give a folder that `forgeline pipelines render --out` wrote, a checkout of Forgeline, or a git ref"
        raise BadInputError("has no *.yml file", where=str(folder), fix=fix)
    return files


def _extract(ref: str, folder: Path) -> None:
    """The sources that render, as they were at a git ref."""
    archive = folder.with_suffix(".tar")
    known = _run(["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"])
    commit = known.stdout.strip()
    done = _run(["git", "-C", str(ROOT), "archive", f"--output={archive}", commit, *_SOURCES]) if commit else known
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise BadInputError(
            f"{ref!r} is neither a folder nor a git ref that has pipelines",
            fix="give a branch, a tag or a commit of this repository, or a folder",
            detail=said[-1] if said else "",
        )
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")


def _render(checkout: Path, out: Path, profile: str | None) -> None:
    options = ["--profile", profile] if profile else []
    command = [sys.executable, "-c", _RENDER, *options, "pipelines", "render", "--out", str(out)]
    # Python looks for modules in the working folder first, and then where PYTHONPATH says.
    done = _run(command, folder=checkout)
    if done.returncode:
        raise ToolError(
            "the other version's pipelines can't be rendered with this environment",
            where=str(checkout),
            fix="render them there (`forgeline pipelines render --out FOLDER`) and give the folder",
            detail="\n".join(done.stderr.strip().splitlines()[-10:]),
        )


def _run(command: list[str], *, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": ""}
    try:
        return subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except FileNotFoundError as error:
        raise ToolError(f"there is no {command[0]}", fix=f"install {command[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{command[0]} did not end within {TIMEOUT} s") from error
