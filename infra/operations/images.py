"""The servers' container images: what would be built, building, and what the container engine has."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import requests
from docker.errors import DockerException

from infra.clients.container_engine import ContainerEngine, absent, explain
from infra.core.document import write_text
from infra.core.error import ForgelineError, ServerError, ToolError
from infra.core.progress import Phases, Progress
from infra.core.settings import Settings
from infra.images.builder import Builder, PlannedImage
from infra.images.debian import PROGRAM, DebianPart
from infra.images.image import BILL_LABEL, CONTENT_LABEL, Image
from infra.images.recipe import Recipe, chosen
from infra.operations.check import Check, Verdict
from infra.operations.remedy import mended

INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", PROGRAM, "uidmap")


class State(StrEnum):
    """How far an image is."""

    BUILT = "on the engine"
    READY = "built, not on the engine"
    """Its layers are in the cache."""
    MISSING = "to be built"


@dataclass(frozen=True, kw_only=True)
class ImageView:
    """An image for people and programs. `size` is in bytes, as the engine counts them, or 0 if it isn't there."""

    plan: PlannedImage
    state: State
    size: int
    bill: Path | None
    identifier: str | None
    """What the engine calls it, or will; None before it is built."""

    @property
    def reference(self) -> str:
        """Name and tag; of the base, which is called after a day, only the name before it is built."""
        return self.plan.image.reference if self.plan.image else self.plan.recipe.reference("")

    @property
    def unbuilt(self) -> tuple[str, ...]:
        """The names of the layers that are missing."""
        return tuple(one.part.name for one in self.plan.layers if one.layer is None)

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the image's fields; what isn't known before it is built is null."""
        recipe, image = self.plan.recipe, self.plan.image
        return {
            "name": recipe.name,
            "title": recipe.title,
            "reference": self.reference,
            "stand_in": recipe.stand_in,
            "state": str(self.state),
            "id": self.identifier,
            "content": image.content if image else None,
            "size": self.size or None,
            "sbom": str(self.bill) if self.bill else None,
            "layers": [
                {"name": one.part.name, "of": one.told, "digest": one.layer.digest if one.layer else None}
                for one in self.plan.layers
            ],
        }


class Images:
    """The images of a profile, in the user's cache and on the container engine that the environment names."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], *, builder: Builder | None = None) -> None:
        self._environ = environ
        self._builder = builder or Builder.of(settings, environ)
        self._bills = settings.cache / "images" / "sbom"

    def plan(self, names: tuple[str, ...] = ()) -> list[ImageView]:
        """What of each of the named images (all, if none is) is in the cache. Changes nothing, and asks no engine."""
        return self._views(names, None)

    def show(self, names: tuple[str, ...] = ()) -> list[ImageView]:
        """Each of the named images (all, if none is) and whether the engine has it.

        Raises ServerError if no engine answers.
        """
        with closing(ContainerEngine.of(self._environ)) as engine:
            return self._views(names, engine)

    def build(self, names: tuple[str, ...], phases: Phases, *, upgrade: bool = False) -> list[ImageView]:
        """Build what is missing of the named images (all, if none is) and give it to the engine.

        With `upgrade` Debian's packages are taken anew from the mirror. Raises ServerError if no engine answers, and
        ToolError if something can't be had; what is complete stays, and the next run goes on from there.
        """
        recipes = chosen(names)
        with closing(ContainerEngine.of(self._environ)) as engine:
            missing = [plan.recipe for plan in self._builder.plan(recipes) if plan.image is None or upgrade]
            try:
                if missing:
                    with phases.phase("What images are made of") as progress:
                        self._prepare(missing, progress, upgrade=upgrade)
                with phases.phase("Images") as progress:
                    again = upgradable(recipes) if upgrade else set()
                    for recipe in recipes:
                        self._one(recipe, engine, progress, again)
            except BaseException:
                self._builder.stop()
                raise
            return self._views(names, engine)

    def _prepare(self, recipes: list[Recipe], progress: Progress, *, upgrade: bool) -> None:
        layers = [layer for plan in self._builder.plan(recipes) for layer in plan.layers]
        if any(layer.upgradable and (upgrade or layer.layer is None) for layer in layers):
            check = mended(debian_maker(self._environ), lambda: debian_maker(self._environ), progress)
            if check.verdict is not Verdict.FINE:
                raise ToolError(check.found, where=check.name, fix=check.fix)
        self._builder.fetch(recipes, progress)

    def _one(self, recipe: Recipe, engine: ContainerEngine, progress: Progress, again: set[str]) -> None:
        """Build the image and load it. Names of layers that were made anew are taken from `again`: once is enough."""
        progress.start(recipe.name, "looking at its layers")
        try:
            image = self._builder.make(recipe, progress, anew=frozenset(again))
            again -= {part.name for part in recipe.layers}
            self._keep_bill(image)
            if _content(engine, image.reference) == image.content:
                progress.done(recipe.name, f"{image.reference}, there already")
                return
            progress.start(recipe.name, f"giving {_megabytes(image.size)} to the container engine")
            load(engine, image)
        except ForgelineError as error:
            progress.failed(recipe.name, error.what)
            raise
        progress.done(recipe.name, f"{image.reference}, {_megabytes(image.size)}")

    def _keep_bill(self, image: Image) -> None:
        path = self._bill(image)
        if not path.is_file() or path.read_text() != image.bill:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, image.bill)

    def _bill(self, image: Image) -> Path:
        return self._bills / f"{image.reference.replace('/', '-').replace(':', '_')}.cdx.json"

    def _views(self, names: tuple[str, ...], engine: ContainerEngine | None) -> list[ImageView]:
        return [self._view(plan, engine) for plan in self._builder.plan(chosen(names))]

    def _view(self, plan: PlannedImage, engine: ContainerEngine | None) -> ImageView:
        image = plan.image
        if image is None:
            return ImageView(plan=plan, state=State.MISSING, size=0, bill=None, identifier=None)
        bill = self._bill(image)
        there = None if engine is None else absent(lambda: engine.client.images.get(image.reference))
        same = there is not None and there.labels.get(CONTENT_LABEL) == image.content
        return ImageView(
            plan=plan,
            state=State.BUILT if same else State.READY,
            size=int(there.attrs["Size"]) if there is not None and same else 0,
            bill=bill if bill.is_file() else None,
            identifier=there.id if there is not None and same else image.identifier,
        )


def upgradable(recipes: Iterable[Recipe]) -> set[str]:
    """The names of the layers that are made of Debian's packages."""
    return {part.name for recipe in recipes for part in recipe.layers if isinstance(part, DebianPart)}


def debian_maker(environ: Mapping[str, str]) -> Check:
    """Whether Debian systems can be made here."""
    path = shutil.which(PROGRAM, path=environ.get("PATH", ""))
    if path:
        return Check(name=PROGRAM, verdict=Verdict.FINE, found=path)
    return Check(
        name=PROGRAM,
        verdict=Verdict.MISSING,
        found="is missing; it makes the Debian systems in the images (debootstrap's work, with apt)",
        fix=f"sudo {' '.join(INSTALL)}",
        install=INSTALL,
    )


def load(engine: ContainerEngine, image: Image) -> None:
    """Give an image to the engine. Raises ServerError."""
    pieces: Any = image.archive()  # the SDK's types don't say that it takes pieces
    try:
        engine.client.images.load(pieces)
        # What had the name before goes, unless a container is made of it; that goes with a later build.
        engine.client.images.prune({"dangling": True, "label": [BILL_LABEL]})
    except (DockerException, requests.RequestException) as error:
        raise explain(error, image.reference) from error
    if _content(engine, image.reference) != image.content:
        raise ServerError(
            "the container engine took the image in and doesn't have it",
            where=image.reference,
            fix="see the engine's log, and run the command again",
        )


def _content(engine: ContainerEngine, reference: str) -> str | None:
    image = absent(lambda: engine.client.images.get(reference))
    return None if image is None else image.labels.get(CONTENT_LABEL)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
