"""The vendors' images: which of each server, pinned by the digest of its index of platforms, in `official.yaml`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from infra.core.document import load, nearest
from infra.core.error import BadInputError

SERVERS = ("gitlab", "nexus", "openbao", "proxy", "runner")
"""Those whose vendors make images, in the file's order."""

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]

COMMAND = "forgeline images pin"

_HEADER = f"""\
# The vendors' images that this profile runs, written by `{COMMAND}`: the digest is that of the version's index of
# platforms, and `source` says who told it. One without a digest is not run.
"""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OfficialImage(_Model):
    """One image. The digest says which it is; the version is for people."""

    name: str = Field(pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$")
    """As every registry has it, without a host."""
    version: Tag
    digest: Digest | None = None
    """None while nobody asked a registry for it."""
    source: str = ""
    """Who told the digest."""

    def at(self, *, version: str, digest: str, source: str) -> Self:
        """The same image, with the version and digest that a registry told. Raises ValidationError."""
        told = {"version": version, "digest": digest, "source": source}
        return type(self).model_validate(self.model_dump() | told)


class OfficialImages(_Model):
    """A file of pins."""

    images: Mapping[str, OfficialImage]

    @model_validator(mode="after")
    def _one_a_server(self) -> Self:
        missing, unknown = set(SERVERS) - set(self.images), set(self.images) - set(SERVERS)
        if missing or unknown:
            wrong = [f"{name} is missing" for name in sorted(missing)] + [f"{name} is no server" for name in unknown]
            raise ValueError(f"images: {', '.join(wrong)}; there must be {', '.join(SERVERS)}")
        return self

    @classmethod
    def of(cls, file: Path) -> Self:
        """The pins in a file. Raises InvalidDocumentError with what is wrong in it."""
        return load(file, cls)

    def text(self) -> str:
        """The file that has these pins: always the same for the same."""
        lines = [_HEADER + "images:"]
        for server in SERVERS:
            image = self.images[server]
            fields = {"name": image.name, "version": _quoted(image.version), "digest": image.digest or ""}
            lines.append(f"  {server}:")
            lines += [f"    {name}: {value}".rstrip() for name, value in fields.items()]
            lines.append(f"    source: {_quoted(image.source)}")
        return "\n".join([*lines, ""])

    def unpinned(self, servers: Collection[str]) -> list[str]:
        """Those of the servers whose image has no digest yet."""
        return [server for server in SERVERS if server in servers and self.images[server].digest is None]

    def check(self, file: Path, servers: Collection[str]) -> None:
        """Raises BadInputError where one of the servers' images has no digest."""
        missing = self.unpinned(servers)
        if missing:
            only = "".join(f" --only {server}" for server in missing)
            raise BadInputError(
                f"no digest says which image is meant: {', '.join(missing)}",
                where=str(file),
                fix=f"`{COMMAND}{only}` asks your registry for it",
            )


def chosen(names: Collection[str]) -> tuple[str, ...]:
    """The servers of these names; all where none is named. Raises BadInputError for a name that no server has."""
    for name in names:
        if name not in SERVERS:
            raise BadInputError(f"there is no official image for {name!r}", fix=nearest(name, SERVERS))
    return tuple(server for server in SERVERS if not names or server in names)


def _quoted(text: str) -> str:
    """As YAML has a text that must not be taken for a number."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def as_json(server: str, image: OfficialImage) -> dict[str, Any]:
    """A JSON object with the image's fields."""
    return {"server": server, **image.model_dump(mode="json")}
