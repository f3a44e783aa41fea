"""Plans and builds images: the plan that a dry run shows is the list that the build carries out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from infra.core.error import ToolError
from infra.core.progress import Progress, Silent
from infra.core.settings import Settings
from infra.images.debian import DebianPart
from infra.images.image import Image, put_together
from infra.images.layer import Layer, Layers
from infra.images.part import Bench, Part
from infra.images.recipe import BASE, GO_TOOLS, Recipe
from infra.toolchain.command import Commands
from infra.toolchain.pin import GoPin, Pins, ToolPin, load_pins
from infra.toolchain.toolchain import Toolchain

READER = "go"
"""The tool that tells which modules a program was built from, for the bills of materials."""


@dataclass(frozen=True, kw_only=True)
class PlannedLayer:
    """A layer of an image, and whether it is there already."""

    part: Part
    told: str
    layer: Layer | None

    @property
    def upgradable(self) -> bool:
        """Whether it is made of Debian's packages, of which the mirror may have newer ones."""
        return isinstance(self.part, DebianPart)


@dataclass(frozen=True, kw_only=True)
class PlannedImage:
    """An image, and what of it is there. `image` is None as long as a layer is missing."""

    recipe: Recipe
    layers: tuple[PlannedLayer, ...]
    image: Image | None


class Builder:
    """Makes layers and puts images together. One thread only."""

    def __init__(self, *, layers: Layers, toolchain: Toolchain, environ: Mapping[str, str]) -> None:
        self._layers = layers
        self.toolchain = toolchain
        self.environ = environ
        self._commands = Commands()

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str]) -> Builder:
        """Layers in the user's cache, of the pinned tools: this machine's own are of no use in a container."""
        toolchain = Toolchain(
            cache=settings.cache,
            environ=environ,
            pins=portable(load_pins()),
            maven_address=settings.profile.upstreams.maven or environ.get("FORGELINE_MAVEN_UPSTREAM"),
        )
        return cls(layers=Layers(settings.cache / "images" / "layers"), toolchain=toolchain, environ=environ)

    def plan(self, recipes: Iterable[Recipe]) -> list[PlannedImage]:
        """What is there and what would be made. Changes nothing, and asks no network."""
        planned = []
        for recipe in recipes:
            layers = tuple(self._planned(part, recipe) for part in recipe.layers)
            there = tuple(one.layer for one in layers if one.layer is not None)
            image = put_together(recipe, there) if len(there) == len(layers) else None
            planned.append(PlannedImage(recipe=recipe, layers=layers, image=image))
        return planned

    def fetch(self, recipes: Iterable[Recipe], progress: Progress) -> None:
        """Get the tools that the images are made of. Raises ToolError."""
        names = {name for recipe in recipes for part in recipe.layers for name in part.tools}
        if names:
            self.toolchain.ensure(sorted(names | {READER}), progress)

    def make(self, recipe: Recipe, progress: Progress, *, anew: frozenset[str] = frozenset()) -> Image:
        """The image, with each layer that is missing made now, and the layers of the names in `anew` in any case.

        Raises ToolError; what is complete stays, and the next run goes on from there.
        """
        layers = tuple(
            self._layer(part, self._bench(part, recipe, progress), anew=part.name in anew) for part in recipe.layers
        )
        return put_together(recipe, layers)

    def stop(self) -> None:
        """End what is under way."""
        self._commands.stop()
        self.toolchain.stop()

    def _layer(self, part: Part, bench: Bench, *, anew: bool) -> Layer:
        key = part.key(bench)
        if key is None:
            raise ToolError(f"{', '.join(part.tools)} must be there before a layer is made of it", where=part.name)

        def waiting() -> None:
            self._commands.check()
            bench.say("waiting for another run that is making it")

        try:
            found = None if anew else self._layers.find(part.name, key)
            return found or self._layers.make(
                part.name, key, anew=anew, waiting=waiting, fill=lambda work: part.fill(bench, work)
            )
        except OSError as error:
            raise ToolError(
                f"the layer can't be written: {error.strerror}",
                where=str(error.filename or part.name),
                fix="free some space, or set FORGELINE_CACHE to a folder on a larger disk; what is complete is kept",
            ) from error

    def _planned(self, part: Part, recipe: Recipe) -> PlannedLayer:
        bench = self._bench(part, recipe, Silent())
        key = part.key(bench)
        layer = self._layers.find(part.name, key) if key else None
        return PlannedLayer(part=part, told=part.told(bench), layer=layer)

    def _bench(self, part: Part, recipe: Recipe, progress: Progress) -> Bench:
        bench = Bench(
            environ=self.environ,
            commands=self._commands,
            tool=self.toolchain.find,
            base=lambda: self._layers.find(BASE.name, BASE.key(bench)),
            say=lambda doing: progress.start(recipe.name, f"{part.name}: {doing}"),
        )
        return bench


def portable(pins: Pins) -> Pins:
    """The pins without this machine's own programs: a container has what is pinned.

    What reads Go code is built by the Go that jobs in containers have, not by this machine's.
    """
    go = pins.tools["go"].version

    def told(name: str, pin: ToolPin) -> ToolPin:
        sources = [
            source.model_copy(update={"built_by": go}) if name in GO_TOOLS and isinstance(source, GoPin) else source
            for source in pin.sources
        ]
        return pin.model_copy(update={"system": None, "sources": sources})

    return Pins(tools={name: told(name, pin) for name, pin in pins.tools.items()})
