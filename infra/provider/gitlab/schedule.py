"""Pipeline schedules of projects, known by their description."""

from __future__ import annotations

from typing import Any

from infra.clients.gitlab import absent
from infra.provider.connection import Connections
from infra.provider.gitlab.removal import delete_absent_ok
from infra.provider.kind import Fields, Found, Inputs, Kind

_BRANCH = "refs/heads/"


class PipelineSchedule(Inputs):
    """Pipelines of a branch at the times of a cron expression in UTC."""

    project: str
    description: str
    branch: str
    cron: str
    active: bool = True


def _server(connections: Connections, wanted: PipelineSchedule) -> Any:
    """The oldest schedule of this description; None if there is none."""
    schedules = connections.gitlab().project(wanted.project).pipelineschedules
    found = absent(lambda: schedules.list(iterator=True)) or ()
    return next((one for one in found if one.description == wanted.description), None)


def _read(connections: Connections, wanted: PipelineSchedule) -> Found | None:
    server = _server(connections, wanted)
    if server is None:
        return None
    return Found(
        fields={
            "project": wanted.project,
            "description": server.description,
            # GitLab answers with the full name since 17.
            "branch": server.ref.removeprefix(_BRANCH),
            "cron": server.cron,
            "active": server.active,
        }
    )


def _payload(wanted: PipelineSchedule) -> dict[str, Any]:
    return {
        "description": wanted.description,
        "ref": f"{_BRANCH}{wanted.branch}",
        "cron": wanted.cron,
        "cron_timezone": "UTC",
        "active": wanted.active,
    }


def _create(connections: Connections, wanted: PipelineSchedule) -> Fields:
    connections.gitlab().project(wanted.project).pipelineschedules.create(_payload(wanted))
    return {}


def _update(connections: Connections, _old: Fields, wanted: PipelineSchedule) -> Fields:
    schedules = connections.gitlab().project(wanted.project).pipelineschedules
    schedules.update(_server(connections, wanted).id, _payload(wanted))
    return {}


def _delete(connections: Connections, wanted: PipelineSchedule) -> None:
    server = _server(connections, wanted)
    if server is not None:
        delete_absent_ok(server.delete)


PIPELINE_SCHEDULE = Kind(
    type_name="forgeline:gitlab:PipelineSchedule",
    inputs=PipelineSchedule,
    key=("project", "description"),
    read=_read,
    create=_create,
    update=_update,
    delete=_delete,
)
