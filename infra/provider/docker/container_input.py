"""A container as it is described. Nothing secret is in it but in its files and what its preparations are given."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from infra.core.server import ConfigFile, FirstUse, Folder, Preparation, Readiness
from infra.provider.docker.health import Health
from infra.provider.kind import Inputs, Names

IPv4 = Annotated[str, AfterValidator(lambda text: str(IPv4Address(text)))]


def whole(model: type[BaseModel]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Makes fields out of fields: checked, and complete with their defaults."""
    return lambda given: model.model_validate(given).model_dump(mode="json")


class Container(Inputs):
    """A container, running unless `running` says otherwise. Nothing secret is in it but in its files."""

    name: str
    image: str
    """By its id or its name."""
    image_id: str | None = None
    """What the name of the image must mean, where that is known: an image that was built anew has the same name."""
    command: list[str] | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    """Nothing secret: `docker inspect` shows it."""
    user: str | None = None
    """`UID:GID`, or a name that the image knows."""
    working_folder: str | None = None
    volumes: dict[str, str] = Field(default_factory=dict)
    """Path in the container to a volume's name; with `:ro` behind it for reading only."""
    tmpfs: Names = Field(default_factory=list)
    """Paths that are memory."""
    networks: dict[str, Names] = Field(default_factory=dict)
    """Networks, and the names under which it is known there beside its own."""
    addresses: dict[str, IPv4] = Field(default_factory=dict)
    """Its fixed address on a network; on the others the engine chooses one."""
    hosts: dict[str, IPv4] = Field(default_factory=dict)
    """Names that it knows beside those of the networks, each with its address (`/etc/hosts`)."""
    ports: dict[str, str] = Field(default_factory=dict)
    """Port in the container (`8443/tcp`) to `ADDRESS:PORT` outside."""
    folders: list[Annotated[dict[str, Any], AfterValidator(whole(Folder))]] = Field(default_factory=list)
    """Folders as `Folder` has them, made before the files; in a volume where the file system is read-only."""
    files: list[Annotated[dict[str, Any], AfterValidator(whole(ConfigFile))]] = Field(default_factory=list)
    """Files as `ConfigFile` has them, in the same places as folders."""
    preparations: list[Annotated[dict[str, Any], AfterValidator(whole(Preparation))]] = Field(default_factory=list)
    """Commands as `Preparation` has them: each in a container of its own with these volumes and no network."""
    first_uses: list[Annotated[dict[str, Any], AfterValidator(whole(FirstUse))]] = Field(default_factory=list)
    """Commands as `FirstUse` has them: run inside, once, after the first start that `started_once` tells of."""
    started_once: str | None = None
    """A file that is made when the first start has ended well, in a volume."""
    unfinished: Names = Field(default_factory=list)
    """Folders that are set aside when the first start did not end well."""
    readiness: Annotated[dict[str, Any], AfterValidator(whole(Readiness))] | None = None
    """How real use proves it ready, as `Readiness` has it: what `wait` waits for."""
    health: Annotated[dict[str, Any], AfterValidator(whole(Health))] | None = None
    """How the engine sees that it is of use: as `Health` has it."""
    shm_mib: int | None = Field(default=None, ge=1)
    """Of /dev/shm."""
    restart: Literal["no", "always", "unless-stopped", "on-failure"] = "unless-stopped"
    memory_mib: int | None = Field(default=None, ge=6)
    cpus: float | None = Field(default=None, gt=0)
    pids: int | None = Field(default=None, ge=1)
    """Processes and threads at most."""
    read_only: bool = True
    """Whether its own file system is."""
    capabilities: Names = Field(default_factory=list)
    """The only ones that it has."""
    hardened: bool = True
    """Not privileged, no privileges to be gained, no capability but those named. Not to be chosen, only to be seen."""
    stop_seconds: int = Field(default=30, ge=0)
    """How long it is waited for when it is to stop, before it is killed."""
    labels: dict[str, str] = Field(default_factory=dict)
    running: bool = True
    wait: bool = True
    """Whether the resource is there when the container is healthy, or already when it runs."""

    @model_validator(mode="after")
    def _is_hardened(self) -> Self:
        if not self.hardened:
            raise ValueError("every container is hardened")
        return self
