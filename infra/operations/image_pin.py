"""Asking a registry for the digests of the official images, and writing them down beside the profile."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from docker.errors import DockerException
from pydantic import ValidationError
from requests import RequestException

from infra.clients.container_engine import ContainerEngine, absent, explain
from infra.core.document import check_writable, write_text
from infra.core.error import BadInputError
from infra.core.progress import Phases
from infra.core.settings import Settings
from infra.images.official import OfficialImage, OfficialImages, chosen


@dataclass(frozen=True, kw_only=True)
class Pinning:
    """What the file of pins has now, and what it will have."""

    file: Path
    before: str
    """The file's text, or what is in force where there is no such file yet."""
    pins: OfficialImages

    @property
    def changed(self) -> bool:
        """Whether the file differs from what it should have."""
        return self.before != self.pins.text()

    @property
    def diff(self) -> str:
        """What changes, as people read it."""
        lines = difflib.unified_diff(
            self.before.splitlines(), self.pins.text().splitlines(), "before", str(self.file), lineterm="", n=2
        )
        return "\n".join(lines)


def ask(
    settings: Settings,
    environ: Mapping[str, str],
    phases: Phases,
    *,
    servers: Collection[str] = (),
    version: str | None = None,
) -> Pinning:
    """What the profile's registry says of these servers' images (all, if none is named). Writes nothing.

    `version` is another one than the file has. Raises BadInputError where the profile runs no official images, where
    there is no such server or no such version, and ServerError where the engine or the registry does not answer.
    """
    source = settings.profile.images
    if not source.official:
        raise BadInputError(
            "this profile runs images that are built here, and pins none",
            where=str(settings.profile_file),
            fix="set `images: {from: official}` in it, or name a profile that has it (`--profile docker-official`)",
        )
    names = chosen(servers)
    if version is not None and len(servers) != 1:
        raise BadInputError("a version is one server's", fix="name the server: --only SERVER --version VERSION")
    there = OfficialImages.of(settings.image_pins)
    pinned = dict(there.images)
    with closing(ContainerEngine.of(environ)) as engine, phases.phase("Digests") as progress:
        for name in names:
            image = pinned[name]
            tag = version or image.version
            place = source.reference(image.name, tag)
            progress.start(name, f"asking for {place}")
            pinned[name] = _asked(engine, image, tag, place, source.registry)
            progress.done(name, f"{tag}, {str(pinned[name].digest)[:19]}…")
    file = settings.own_image_pins
    before = file.read_text(encoding="utf-8") if file.is_file() else there.text()
    return Pinning(file=file, before=before, pins=OfficialImages(images=pinned))


def write(pinning: Pinning) -> bool:
    """Write the file; returns whether anything is other than before. Raises BadInputError where it can't be written."""
    if not pinning.changed and pinning.file.is_file():
        return False
    check_writable([pinning.file])
    write_text(pinning.file, pinning.pins.text())
    return True


def _asked(engine: ContainerEngine, image: OfficialImage, tag: str, place: str, registry: str | None) -> OfficialImage:
    """The image with the digest that the registry has for the tag. The engine asks, with its user's credentials."""
    try:
        found = absent(partial(engine.client.images.get_registry_data, place))
    except (DockerException, RequestException) as error:
        raise explain(error, place) from error
    if found is None:
        raise BadInputError("there is no such image", where=place, fix="give another: --only SERVER --version VERSION")
    try:
        return image.at(version=tag, digest=str(found.id), source=registry or "the engine's own registry")
    except ValidationError as error:
        raise BadInputError(f"the registry told no digest: {found.id}", where=place) from error
