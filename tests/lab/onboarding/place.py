"""What the tests of this folder do in the place that they share."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from infra.clients.gitlab import GitLab
from pipelines.catalogue import Catalogue
from pipelines.skeleton import render_skeleton
from tests.trial import FORGELINE, Stack

LANGUAGES = {"pay-go": "go", "pay-java": "java", "pay-node": "node", "pay-python": "python"}
CHEAP = ("--language", "generic", "--tier", "normal", "--owner", "@risk", "--no-wait", "--yes")
"""For tests that look at something else than the pipeline."""


def quiet(place: Stack, gitlab: GitLab) -> None:
    """Cancels what runs: the pipelines of services that are only there to come and go take time from others."""
    for service in Catalogue.of(place.settings):
        for status in ("pending", "running"):
            for pipeline in gitlab.project(service.project).pipelines.list(status=status, get_all=True):
                pipeline.cancel()


def killed(place: Stack, arguments: tuple[str, ...], after: str) -> int:
    """The exit code of a command that is killed when its output has `after`."""
    with subprocess.Popen(
        [str(FORGELINE), *arguments],
        env=place.environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if after in line:
                break
        run.send_signal(signal.SIGKILL)
        return run.wait(timeout=60)


def old_repository(folder: Path, name: str, catalogue: Catalogue) -> None:
    """A repository of two commits that lacks some of what the pipeline needs."""
    like = catalogue.service("market-data").model_copy(update={"name": name})
    for path, text in render_skeleton(like).items():
        if path not in {"CODEOWNERS", ".editorconfig", "integration/checks.json"}:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.test")
    for command in ("init -qb trunk", "add -A", "commit -qm one", "commit -qm two --allow-empty"):
        subprocess.run(["git", *identity, *command.split()], cwd=folder, check=True)
