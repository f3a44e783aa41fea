"""Volumes, which keep data when containers go. An engine can't change one: another description is another volume."""

from __future__ import annotations

from typing import Self

from docker.types import Mount
from pydantic import Field, model_validator

from infra.clients.container_engine import absent
from infra.core.error import ServerError
from infra.provider.connection import Connections
from infra.provider.kind import Fields, Found, Inputs, Kind

IMAGE_LABEL = "forgeline.image"
"""Of a volume that began with an image's folder: the image."""


class Volume(Inputs):
    """A volume. Removing the resource removes the data."""

    name: str
    driver: str = "local"
    options: dict[str, str] = Field(default_factory=dict)
    """Of the driver."""
    labels: dict[str, str] = Field(default_factory=dict)
    image: str | None = None
    """An image whose folder `path` the volume begins with; it is never written to again."""
    path: str | None = None

    @model_validator(mode="after")
    def _whole_source(self) -> Self:
        if (self.image is None) != (self.path is None):
            raise ValueError("'image' and 'path' go together")
        return self


def _read(connections: Connections, wanted: Volume) -> Found | None:
    volume = absent(lambda: connections.engine().client.volumes.get(wanted.name))
    if volume is None:
        return None
    labels = dict(volume.attrs.get("Labels") or {})
    made_of = labels.pop(IMAGE_LABEL, None)
    return Found(
        fields={
            "name": volume.name,
            "driver": volume.attrs["Driver"],
            "options": volume.attrs.get("Options") or {},
            "labels": labels,
            "image": made_of,
            "path": getattr(wanted, "path", None),
        },
        computed={"mountpoint": volume.attrs["Mountpoint"]},
    )


def _create(connections: Connections, wanted: Volume) -> Fields:
    made = connections.engine().client.volumes.create(
        wanted.name,
        driver=wanted.driver,
        driver_opts=wanted.options,
        labels={**wanted.labels, **({IMAGE_LABEL: wanted.image} if wanted.image else {})},
    )
    if wanted.image and wanted.path:
        _fill(connections, wanted.name, wanted.image, wanted.path)
    return {"mountpoint": made.attrs["Mountpoint"]}


def _fill(connections: Connections, name: str, image: str, path: str) -> None:
    """Puts the image's folder into the volume: an engine does it when an empty one is mounted over that folder."""
    mount = Mount(target=path, source=name, type="volume")
    connections.engine().client.containers.create(image, ["true"], mounts=[mount]).remove()


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
    write_only=frozenset({"path"}),
    replace=frozenset({"driver", "options", "labels", "image"}),
    read=_read,
    create=_create,
    update=_update,
    delete=_delete,
)
