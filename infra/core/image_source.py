"""Where the images of a profile's containers come from."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Registry = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9]+([._-][a-z0-9]+)*)*$", max_length=255)
]
"""A registry's host and port, and below which path the images are there."""


class ImageOrigin(StrEnum):
    """Who makes the servers' images."""

    BUILT = "built"
    """Forgeline, on this machine, from package mirrors."""
    OFFICIAL = "official"
    """The servers' vendors."""


class ImageSource(BaseModel):
    """Which images the containers of a profile are made of."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    origin: ImageOrigin = Field(default=ImageOrigin.BUILT, alias="from")
    registry: Registry | None = None
    """Where official images are asked for; without it where the engine itself looks."""

    @property
    def official(self) -> bool:
        """Whether the servers' vendors make them."""
        return self.origin is ImageOrigin.OFFICIAL

    @model_validator(mode="after")
    def _registry_has_a_use(self) -> Self:
        if self.registry is not None and not self.official:
            raise ValueError(
                "registry: means nothing where images are built here; say 'from: official', or take it out"
            )
        return self

    def reference(self, name: str, tag: str) -> str:
        """What the engine is asked for."""
        return f"{self.registry}/{name}:{tag}" if self.registry else f"{name}:{tag}"
