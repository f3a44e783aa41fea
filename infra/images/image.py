"""An image as the container engine takes it in: a configuration, layers, and the archive that `docker load` reads.

Nothing in it depends on when and where it is put together, so that the same layers make the same image id.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.images.bill import document, iso
from infra.images.entry import FORGELINE
from infra.images.layer import Layer
from infra.images.mirror import SUITE
from infra.images.recipe import NAMESPACE, PATH, Recipe
from infra.toolchain.pin import machine

CONTENT_LABEL = "forgeline.content"
"""Of an image: the sum of its layers and of its configuration. Another sum, another image."""
BILL_LABEL = "forgeline.sbom"
STAND_IN_LABEL = "forgeline.stand-in"

_PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that is put together."""

    reference: str
    configuration: bytes
    layers: tuple[Layer, ...]
    bill: str
    """Its bill of materials, a CycloneDX document."""
    content: str
    """The value of the label `forgeline.content`."""

    @property
    def identifier(self) -> str:
        """What the engine calls the image: the checksum of its configuration."""
        return f"sha256:{hashlib.sha256(self.configuration).hexdigest()}"

    @property
    def size(self) -> int:
        """Bytes of its layers' archives."""
        return sum(layer.size for layer in self.layers)

    def archive(self) -> Iterator[bytes]:
        """The archive for `docker load`, piece by piece (form: `docker image save`, manifest.json)."""
        name = f"{self.identifier.removeprefix('sha256:')}.json"
        paths = [f"{layer.digest.removeprefix('sha256:')}/layer.tar" for layer in self.layers]
        manifest = [{"Config": name, "RepoTags": [self.reference], "Layers": paths}]
        yield from _member("manifest.json", json.dumps(manifest).encode())
        yield from _member(name, self.configuration)
        for path, layer in zip(paths, self.layers, strict=True):
            yield _header(path, layer.size)
            with layer.archive.open("rb") as content:
                while piece := content.read(_PIECE):
                    yield piece
            yield _padding(layer.size)
        yield bytes(2 * tarfile.BLOCKSIZE)


def put_together(recipe: Recipe, layers: tuple[Layer, ...]) -> Image:
    """The image of a recipe whose parts are these layers, the base first."""
    base = layers[0]
    time = base.made.time
    day = base_tag(base)
    components = [one for layer in layers for one in layer.made.components]
    version = recipe.version or day
    bill = document(components, name=f"{NAMESPACE}/{recipe.name}", version=version, time=time)
    labels = {
        "org.opencontainers.image.title": recipe.title,
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.created": iso(time),
        "org.opencontainers.image.vendor": "Forgeline",
        "org.opencontainers.image.base.name": f"{NAMESPACE}/base:{day}",
        "org.opencontainers.image.base.digest": base.digest,
        BILL_LABEL: f"sha256:{hashlib.sha256(bill.encode()).hexdigest()}",
        **({STAND_IN_LABEL: "true"} if recipe.stand_in else {}),
    }
    home = f"/srv/{recipe.server}" if recipe.server else "/srv"
    environment = {"PATH": ":".join(PATH), "LANG": "C.UTF-8", "HOME": home, **recipe.environment}
    made: dict[str, Any] = {
        "architecture": machine().partition("-")[2],
        "os": "linux",
        "created": iso(time),
        "config": {
            "User": f"{FORGELINE}:{FORGELINE}",
            "WorkingDir": home,
            "Env": [f"{name}={value}" for name, value in sorted(environment.items())],
            "Labels": labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        "history": [{"created": iso(time), "created_by": f"forgeline: {part.name}"} for part in recipe.layers],
    }
    content = f"sha256:{hashlib.sha256(_json(made)).hexdigest()}"
    labels[CONTENT_LABEL] = content
    return Image(reference=recipe.reference(day), configuration=_json(made), layers=layers, bill=bill, content=content)


def base_tag(base: Layer) -> str:
    """The version of the base: its suite, and the day on which its mirror was last written."""
    return f"{SUITE}-{iso(base.made.time)[:10].replace('-', '')}"


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _member(name: str, content: bytes) -> Iterator[bytes]:
    yield _header(name, len(content)) + content + _padding(len(content))


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.USTAR_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
