"""A platform team that keeps catalogue and templates outside the checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

from infra.core.settings import ROOT
from pipelines.catalogue import load_catalogue
from tests.trial import Stack

ANCHOR = "for tool in git "
"""Where a template is changed: in the script of the job `validate` of every language."""


class Team:
    """The stack as such a team uses it."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "pipelines" / "catalog", folder / "catalog")
        shutil.copy(ROOT / "pipelines" / "release.yaml", folder)
        shutil.copytree(ROOT / "templates" / "pipelines", folder / "templates")
        self.stack = Stack(stack.folder, {**stack.environment, "FORGELINE_PIPELINES": str(folder)})

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{old!r} is not in {path}"
        path.write_text(text.replace(old, new, 1))

    def states(self) -> dict[str, str]:
        """The gravest state of each service that is not clean."""
        found = self.stack.json("pipelines", "drift", expect=None)
        return {item["service"]: item["state"] for item in found if item["state"] != "clean"}

    def pins(self) -> dict[str, str]:
        """The pins of the services that are not on the first release."""
        catalogue = load_catalogue(self.folder / "catalog", release=self.folder / "release.yaml")
        return {service.name: service.pipeline for service in catalogue if service.pipeline != "v1.0.0"}
