"""What the platform publishes, given what its state says was published before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.core.blob import blob_ids
from infra.core.settings import ROOT, Settings, load_settings
from infra.operations.desired import PLUGIN, first_files, platform_stack, service_stacks
from infra.operations.release import is_new
from infra.programs.checkpoint import Checkpoints
from infra.programs.platform import Platform
from infra.programs.released import released
from infra.toolchain.toolchain import InstalledTool
from pipelines.boilerplate import LOCK, read_lock
from pipelines.catalogue import Catalogue
from pipelines.service_page import PAGE
from pipelines.source import Source

PROJECT = "platform/pipelines"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    shutil.copytree(ROOT / "pipelines" / "catalog", tmp_path / "p" / "catalog")
    shutil.copy(ROOT / "pipelines" / "release.yaml", tmp_path / "p")
    environ = {"FORGELINE_PIPELINES": str(tmp_path / "p"), "FORGELINE_STATE": str(tmp_path / "state")}
    return load_settings(environ)


def files(settings: Settings, version: str | None = None) -> dict[str, str]:
    return Source.of(settings, Catalogue.of(settings)).files(version)


def recorded(settings: Settings, last: Mapping[str, str], **tags: Mapping[str, str]) -> None:
    """Writes the platform's state: the files that were last published, and the tags."""

    def resource(noun: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        kind = f"forgeline:gitlab:{noun}"
        return {"urn": f"urn::{name}", "type": kind, "id": name, "custom": True, "inputs": inputs}

    resources = [resource("RepositoryFiles", "files", {"project": PROJECT, "branch": "main", "files": dict(last)})]
    for version, held in tags.items():
        inputs = {"project": PROJECT, "tag": version.replace("_", "."), "blobs": blob_ids(held)}
        resources.append(resource("Tag", version, inputs))
    resources.append(resource("Tag", "other", {"project": "trading/settlement", "tag": "v9.9.9", "blobs": {}}))
    file = Checkpoints(settings.data("pulumi")).file("platform")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))


def declared(settings: Settings, tmp_path: Path) -> Platform:
    """What the platform's stack is to be."""
    program = tmp_path / "plugin"
    program.write_bytes(b"x")
    tool = InstalledTool(name=PLUGIN, version="1", source="here", home=tmp_path, path=program)
    environ = {"FORGELINE_MAVEN_UPSTREAM": "http://127.0.0.1:1/"}
    inputs = platform_stack(settings, Catalogue.of(settings), {PLUGIN: tool}, environ).inputs
    assert isinstance(inputs, Platform)
    return inputs


def edit(settings: Settings, file: str, old: str, new: str) -> None:
    path = settings.pipelines / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_at_first_there_is_the_checkout_s_release_alone(settings: Settings, tmp_path: Path) -> None:
    inputs = declared(settings, tmp_path)
    assert (inputs.pipeline_version, inputs.pipeline_files) == ("v1.0.0", files(settings))
    assert inputs.other_releases == {}
    assert not is_new(settings, "v1.0.0", files(settings))


def test_an_older_release_stays_declared_with_what_it_held(settings: Settings, tmp_path: Path) -> None:
    old = files(settings)
    recorded(settings, old, v1_0_0=old)
    edit(settings, "release.yaml", "version: v1.0.0", "version: v1.1.0")
    inputs = declared(settings, tmp_path)
    assert (inputs.pipeline_version, inputs.pipeline_files) == ("v1.1.0", files(settings))
    assert inputs.other_releases == {"v1.0.0": blob_ids(old)}
    assert is_new(settings, "v1.1.0", inputs.pipeline_files)
    recorded(settings, inputs.pipeline_files, v1_0_0=old, v1_1_0=inputs.pipeline_files)
    assert declared(settings, tmp_path) == inputs, "published, there is nothing more to do"
    assert not is_new(settings, "v1.1.0", inputs.pipeline_files)
    assert set(released(Checkpoints(settings.data("pulumi")))) == {"v1.0.0", "v1.1.0"}


@pytest.mark.parametrize(
    ("old", "new", "published_again"),
    [("description: ", "description: All ", False), ("tier: important", "tier: core", True)],
    ids=["header", "pipeline"],
)
def test_headers_alone_are_not_published_again(
    settings: Settings, tmp_path: Path, old: str, new: str, published_again: bool
) -> None:
    first = files(settings)
    recorded(settings, first, v1_0_0=first)
    edit(settings, "catalog/settlement.yaml", old, new)
    inputs = declared(settings, tmp_path)
    assert (inputs.pipeline_files != first) is published_again
    assert is_new(settings, "v1.0.0", inputs.pipeline_files) is published_again


def test_a_service_is_on_the_release_that_its_file_names(settings: Settings) -> None:
    edit(settings, "catalog/settlement.yaml", "pipeline: v1.0.0", "pipeline: v0.9.0")
    catalogue = Catalogue.of(settings)
    (stack,) = service_stacks(settings, catalogue, {"settlement"})
    assert (stack.name, stack.inputs.pipeline_place.rpartition(":")[2]) == ("service-settlement", "v0.9.0")
    assert len(service_stacks(settings, catalogue)) == len(catalogue)


def test_a_service_begins_with_a_lock_of_all_its_files(settings: Settings) -> None:
    begun = first_files(settings, Catalogue.of(settings).service("settlement"))
    lock = read_lock(begun.pop(LOCK), LOCK)
    assert lock.blobs == blob_ids(begun)
    assert {"README.md", PAGE} <= set(lock.blobs)
