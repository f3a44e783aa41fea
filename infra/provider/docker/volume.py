"""Volumes, which keep data when containers go. An engine can't change one: another description is another volume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from docker.models.containers import Container as Running
from docker.models.volumes import Volume as Engines
from docker.types import Mount
from pydantic import Field, model_validator

from infra.clients.container import ContainerFiles
from infra.clients.container_engine import absent
from infra.core.error import ServerError
from infra.provider.connection import Connections
from infra.provider.docker.container_file import put
from infra.provider.kind import Fields, Found, Inputs, Kind

IMAGE_LABEL = "forgeline.image"
"""Of a volume that began with an image's folder: the image."""
WHOLE = ".forgeline-whole"
"""A file in such a volume that is put there when all of the image's folder is in it."""


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
    path = getattr(wanted, "path", None)
    if made_of and path and not _is_whole(connections, made_of, path, volume):
        # Of no use to anybody, and nothing of anybody's is in it.
        return None
    return Found(
        fields={
            "name": volume.name,
            "driver": volume.attrs["Driver"],
            "options": volume.attrs.get("Options") or {},
            "labels": labels,
            "image": made_of,
            "path": path,
        },
        computed={"mountpoint": volume.attrs["Mountpoint"]},
    )


def _create(connections: Connections, wanted: Volume) -> Fields:
    client = connections.engine().client
    if wanted.image:
        # What a killed run left half filled is not filled any further by the engine.
        left = absent(lambda: client.volumes.get(wanted.name))
        if left is not None:
            for container in client.containers.list(all=True, filters={"volume": wanted.name}):
                container.remove(force=True)
            left.remove()
    made = client.volumes.create(
        wanted.name,
        driver=wanted.driver,
        driver_opts=wanted.options,
        labels={**wanted.labels, **({IMAGE_LABEL: wanted.image} if wanted.image else {})},
    )
    if wanted.image and wanted.path:
        # An engine puts the image's folder into an empty volume that is mounted over that folder.
        with _holding(connections, wanted.name, wanted.image, wanted.path, labels=wanted.labels) as container:
            put(container, f"{wanted.path}/{WHOLE}", b"", 0o444, None)
    return {"mountpoint": made.attrs["Mountpoint"]}


@contextmanager
def _holding(
    connections: Connections, name: str, image: str, path: str, *, labels: Mapping[str, str], fill: bool = True
) -> Iterator[Running]:
    """A container that never runs, with the volume over the image's folder."""
    mount = Mount(target=path, source=name, type="volume", no_copy=not fill)
    container = connections.engine().client.containers.create(image, ["true"], mounts=[mount], labels=dict(labels))
    try:
        yield container
    finally:
        container.remove()


def _is_whole(connections: Connections, image: str, path: str, volume: Engines) -> bool:
    """Whether the volume was filled to the end. Without its image nobody can tell, and nobody could fill it either."""
    if absent(lambda: connections.engine().client.images.get(image)) is None:
        return True
    labels = volume.attrs.get("Labels") or {}
    with _holding(connections, str(volume.name), image, path, labels=labels, fill=False) as container:
        return ContainerFiles(container).stat(f"{path}/{WHOLE}") is not None


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
