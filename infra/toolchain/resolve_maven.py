"""A program of its own, run with the package `jgo` on its path where there is no Maven.

`fetch GROUP ARTIFACT VERSION FOLDER` puts a zip artifact into a repository folder; `central` prints the address of
Maven's central repository, which Maven and jgo know and this project does not.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Carry out one of the two commands."""
    context_of = importlib.import_module("jgo.maven").MavenContext
    match arguments:
        case ["fetch", group, artifact, version, folder]:
            context = context_of(repo_cache=Path(folder))
            component = context.project(group, artifact).at_version(version)
            component.artifact(packaging="zip").resolve()
        case ["central"]:
            sys.stdout.write(f"{context_of().remote_repos['central']}\n")
        case _:
            raise SystemExit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
