"""Which pipeline releases were published from here, and what they hold: the platform's state is the record."""

from __future__ import annotations

from collections.abc import Mapping

from infra.core.naming import PIPELINES_PROJECT
from infra.programs import platform
from infra.programs.checkpoint import Checkpoints, Recorded
from infra.provider.gitlab.files import REPOSITORY_FILES
from infra.provider.gitlab.tag import TAG


def _is_of_pipelines(recorded: Recorded) -> bool:
    """Whether the resource belongs to the pipelines' project, in whichever group that is."""
    return f"/{recorded.inputs.get('project')}".endswith(f"/{PIPELINES_PROJECT}")


def released(checkpoints: Checkpoints) -> dict[str, Mapping[str, str]]:
    """The blobs (path to git blob id) of each release that the state knows, by version."""
    return {
        recorded.inputs["tag"]: recorded.inputs["blobs"]
        for recorded in checkpoints.resources(platform.NAME)
        if recorded.type == TAG.type_name and _is_of_pipelines(recorded)
    }


def last_files(checkpoints: Checkpoints) -> dict[str, str]:
    """Path to text of what was last brought to the main branch of the pipelines' project; empty where nothing was."""
    for recorded in checkpoints.resources(platform.NAME):
        if recorded.type == REPOSITORY_FILES.type_name and _is_of_pipelines(recorded):
            return dict(recorded.inputs["files"])
    return {}
