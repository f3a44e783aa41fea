"""Which pipeline releases were published from here, and what each holds: the platform's state is the record."""

from __future__ import annotations

from collections.abc import Mapping

from infra.core.naming import PIPELINES_PROJECT
from infra.programs import platform
from infra.programs.checkpoint import Checkpoints
from infra.provider.gitlab.tag import TAG


def released(checkpoints: Checkpoints) -> dict[str, Mapping[str, str]]:
    """The blobs (path to git blob id) of each release that the state knows, by version."""
    return {
        recorded.inputs["tag"]: recorded.inputs["blobs"]
        for recorded in checkpoints.resources(platform.NAME)
        if recorded.type == TAG.type_name and recorded.inputs.get("project") == PIPELINES_PROJECT
    }
