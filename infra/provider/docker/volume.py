"""Volumes, which keep data when containers go. An engine can't change one: another description is another volume."""

from __future__ import annotations

from pydantic import Field

from infra.clients.container_engine import absent
from infra.core.error import ServerError
from infra.provider.connection import Connections
from infra.provider.kind import Fields, Found, Inputs, Kind


class Volume(Inputs):
    """A volume. Removing the resource removes the data."""

    name: str
    driver: str = "local"
    options: dict[str, str] = Field(default_factory=dict)
    """Of the driver."""
    labels: dict[str, str] = Field(default_factory=dict)


def _read(connections: Connections, wanted: Volume) -> Found | None:
    volume = absent(lambda: connections.engine().client.volumes.get(wanted.name))
    if volume is None:
        return None
    return Found(
        fields={
            "name": volume.name,
            "driver": volume.attrs["Driver"],
            "options": volume.attrs.get("Options") or {},
            "labels": volume.attrs.get("Labels") or {},
        },
        computed={"mountpoint": volume.attrs["Mountpoint"]},
    )


def _create(connections: Connections, wanted: Volume) -> Fields:
    made = connections.engine().client.volumes.create(
        wanted.name, driver=wanted.driver, driver_opts=wanted.options, labels=wanted.labels
    )
    return {"mountpoint": made.attrs["Mountpoint"]}


def _update(_connections: Connections, _old: Fields, wanted: Volume) -> Fields:
    raise ServerError(
        "a volume with another description is there, and has data that nothing else may have",
        where=wanted.name,
        fix=f"look into it, then remove it by hand: docker volume rm {wanted.name}",
    )


def _delete(connections: Connections, wanted: Volume) -> None:
    volume = absent(lambda: connections.engine().client.volumes.get(wanted.name))
    if volume is not None:
        volume.remove()


VOLUME = Kind(
    type_name="forgeline:docker:Volume",
    inputs=Volume,
    key=("name",),
    computed={"mountpoint": str},
    replace=frozenset({"driver", "options", "labels"}),
    read=_read,
    create=_create,
    update=_update,
    delete=_delete,
)
