"""Images: pulled by digest, or built from a folder with a Dockerfile."""

from __future__ import annotations

from typing import Any, Self

from docker.errors import APIError, BuildError, NotFound
from pydantic import Field, model_validator

from infra.clients.container_engine import absent, remedy
from infra.core.error import ServerError
from infra.provider.connection import Connections
from infra.provider.kind import DIFFERS, Fields, Found, Inputs, Kind

CONTEXT_LABEL = "dev.forgeline.context"
"""Of a built image: the sum of what it was built from."""

LAST_LINES = 20


class Image(Inputs):
    """An image by the name that it has here. Either `digest` says which is pulled, or `context` what it is built of."""

    reference: str = Field(
        pattern=r"^([A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?/)?[a-z0-9][a-z0-9./_-]*:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"
    )
    """Name and tag; before the name, where it is not the engine's own, the registry and its port."""
    digest: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    context: str | None = None
    """A folder with a Dockerfile."""
    context_sha256: str | None = None
    """Of all that is in the folder: another sum, another image."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.digest is None) == (self.context is None):
            raise ValueError("give either 'digest' or 'context'")
        if (self.context is None) != (self.context_sha256 is None):
            raise ValueError("'context' and 'context_sha256' go together")
        return self

    @property
    def name(self) -> str:
        """The reference without its tag."""
        return self.reference.rpartition(":")[0]


def _read(connections: Connections, wanted: Image) -> Found | None:
    image = absent(lambda: connections.engine().client.images.get(wanted.reference))
    if image is None:
        return None
    digest = getattr(wanted, "digest", None)
    digests = [one.partition("@")[2] for one in image.attrs.get("RepoDigests") or []]
    pulled = digest if digest in digests else next(iter(digests), DIFFERS)
    return Found(
        fields={
            "reference": wanted.reference,
            "digest": pulled if digest is not None else None,
            # Where it was built is nobody's business; of what, the label says.
            "context": getattr(wanted, "context", None),
            "context_sha256": image.labels.get(CONTEXT_LABEL),
        },
        computed={"image_id": image.id},
    )


def _create(connections: Connections, wanted: Image) -> Fields:
    return {"image_id": _pulled(connections, wanted) if wanted.digest is not None else _built(connections, wanted)}


def _pulled(connections: Connections, wanted: Image) -> str:
    client = connections.engine().client
    place = f"{wanted.name}@{wanted.digest}"
    fix = "see that the registry is reachable; without one, `forgeline images build` makes the images here"
    layers = Layers()
    try:
        # The SDK's own `images.pull` passes over the errors that come while the layers do.
        for line in client.api.pull(wanted.name, tag=wanted.digest, stream=True, decode=True):
            if line.get("error"):
                said = str(line["error"])
                raise ServerError(f"the image can't be pulled: {said}", where=place, fix=remedy(said) or fix)
            if layers.tell(line):
                connections.progress.start(wanted.reference, str(layers))
        image = client.images.get(place)
    except NotFound as error:
        raise ServerError("there is no such image to be pulled", where=place, fix=fix) from error
    except APIError as error:
        said = str(error.explanation or error)
        raise ServerError(f"the image can't be pulled: {said}", where=place, fix=remedy(said) or fix) from error
    image.tag(wanted.reference)
    connections.progress.done(wanted.reference, f"pulled, {image.attrs['Size'] / 1e6:.0f} MB")
    return str(image.id)


class Layers:
    """How far the layers of an image are, by what the engine tells while it pulls."""

    def __init__(self) -> None:
        self._sizes: dict[str, tuple[int, int]] = {}
        self._done: set[str] = set()

    def tell(self, line: dict[str, Any]) -> bool:
        """One thing that the engine told; whether it was about a layer."""
        layer, status = line.get("id"), line.get("status")
        if layer is None or not isinstance(status, str) or status.startswith("Pulling from"):
            return False
        self._sizes.setdefault(layer, (0, 0))
        if status == "Downloading":
            detail = line.get("progressDetail") or {}
            self._sizes[layer] = (int(detail.get("current") or 0), int(detail.get("total") or 0))
        elif status in {"Download complete", "Pull complete", "Already exists"}:
            self._sizes[layer] = (self._sizes[layer][1], self._sizes[layer][1])
        if status in {"Pull complete", "Already exists"}:
            self._done.add(layer)
        return True

    def __str__(self) -> str:
        here, whole = (sum(size[part] for size in self._sizes.values()) for part in (0, 1))
        return f"{here / 1e6:.0f} of {whole / 1e6:.0f} MB, {len(self._done)} of {len(self._sizes)} layers unpacked"


def _built(connections: Connections, wanted: Image) -> str:
    images = connections.engine().client.images
    labels = {CONTEXT_LABEL: str(wanted.context_sha256)}
    try:
        image, _ = images.build(path=str(wanted.context), tag=wanted.reference, labels=labels, rm=True, forcerm=True)
    except BuildError as error:
        told = [str(line.get("stream") or line.get("error") or "").rstrip() for line in _lines(error.build_log)]
        raise ServerError(
            f"the image can't be built: {error.msg}",
            where=f"{wanted.context}/Dockerfile",
            detail="\n".join([line for line in told if line][-LAST_LINES:]),
            fix=remedy(str(error.msg)) or "mend the Dockerfile",
        ) from error
    except APIError as error:
        said = str(error.explanation or error)
        fix = remedy(said) or "mend the Dockerfile"
        raise ServerError(f"the image can't be built: {said}", where=str(wanted.context), fix=fix) from error
    return str(image.id)


def _lines(log: Any) -> list[dict[str, Any]]:
    return [line for line in log if isinstance(line, dict)]


def _update(connections: Connections, _old: Fields, wanted: Image) -> Fields:
    return _create(connections, wanted)


def _delete(connections: Connections, wanted: Image) -> None:
    absent(lambda: connections.engine().client.images.remove(wanted.reference))


IMAGE = Kind(
    type_name="forgeline:docker:Image",
    inputs=Image,
    key=("reference",),
    computed={"image_id": str},
    write_only=frozenset({"context"}),
    read=_read,
    create=_create,
    update=_update,
    delete=_delete,
)
