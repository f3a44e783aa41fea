"""What a run is about: which profile, where its servers listen, where its state and caches are.

A profile file says it; four environment variables move it (`FORGELINE_PROFILE`, `FORGELINE_STATE`,
`FORGELINE_CACHE`, `FORGELINE_PIPELINES`). The environment is passed in, never read here.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from infra.core.document import load, nearest
from infra.core.error import BadInputError

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

PROFILES = ROOT / "infra" / "profiles"
PIPELINES = ROOT / "pipelines"

Port = Annotated[int, Field(ge=1024, le=65535)]
UnixName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]


class Placement(StrEnum):
    """Where a profile's servers run."""

    LAB = "lab"


class GitLabTier(StrEnum):
    """What a GitLab is licensed for; nothing of a paid tier is used unless the profile says so."""

    FREE = "free"
    PREMIUM = "premium"
    ULTIMATE = "ultimate"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerPorts(_Model):
    """TCP ports of the servers, all on the profile's address."""

    gitlab: Port
    openbao: Port
    openbao_cluster: Port
    nexus: Port


class Upstreams(_Model):
    """What Nexus proxies. An address left out is read from this machine's client configuration."""

    maven: str | None = None


class Approvals(_Model):
    """Who may approve a release."""

    four_eyes: bool = True
    """Whether it must be another person than the one who wrote the commit, made the tag or started the pipeline."""


class Night(_Model):
    """When services are looked at every night, for what became known since their last pipeline."""

    begins: int = Field(default=1, ge=0, le=23)
    """The first hour, in UTC."""
    hours: int = Field(default=4, ge=1, le=24)
    """Over how many hours the services are spread."""

    def cron(self, service: str) -> str:
        """A minute for the service, always the same: a cron expression in UTC."""
        minute = self.begins * 60 + zlib.crc32(service.encode()) % (self.hours * 60)
        return f"{minute % 60} {minute // 60 % 24} * * *"


class Profile(_Model):
    """A profile file."""

    name: UnixName
    placement: Placement = Placement.LAB
    address: str = "127.0.0.1"
    ports: ServerPorts
    environment_port_offsets: dict[UnixName, int]
    """Added to a service's port in the catalogue: the port on which that environment runs it."""
    runner_concurrency: int = Field(default=4, ge=1, le=64)
    nexus_home: Path | None = None
    """An unpacked Nexus that is there already; without it the toolchain fetches one."""
    accept_nexus_eula: bool = False
    """Whether whoever writes this accepts the licence agreement of Nexus's Community Edition, 3.77 and later."""
    upstreams: Upstreams = Upstreams()
    gitlab_tier: GitLabTier = GitLabTier.FREE
    runner_services: bool = False
    """Whether the runner can start containers beside a job."""
    approvals: Approvals = Approvals()
    night: Night = Night()
    advisories: Path | None = None
    """A folder or zip of advisories in OSV format, for the audit of dependencies. Relative to the checkout."""

    @model_validator(mode="after")
    def _distinct_ports(self) -> Self:
        ports = list(self.ports.model_dump().values())
        if len(set(ports)) != len(ports):
            raise ValueError(f"two servers share a port: {sorted(ports)}")
        if "dev" not in self.environment_port_offsets:
            raise ValueError("environment_port_offsets must have an entry 'dev'")
        return self


class Settings(_Model):
    """A profile, and where things are on this machine."""

    profile: Profile
    profile_file: Path
    state: Path
    """Everything this instance owns: data, logs, sockets, secrets. Mode 0700."""
    cache: Path
    """Tools, shared by all instances of this user."""
    pipelines: Path = PIPELINES
    """What pipelines are made from: `catalog/`, `release.yaml`, and a team's own `policy.yaml` and `templates/`."""

    @property
    def catalog(self) -> Path:
        """The folder of the services' files."""
        return self.pipelines / "catalog"

    @property
    def release_file(self) -> Path:
        """The file that says which pipeline release is made here."""
        return self.pipelines / "release.yaml"

    @property
    def teams(self) -> Path:
        """The file of the teams that may own services: the one beside the catalogue, else the checkout's."""
        own = self.pipelines / "teams.yaml"
        return own if own.is_file() else PIPELINES / "teams.yaml"

    @property
    def policy(self) -> Path:
        """What licences and dependencies the gates let through: the file beside the catalogue, else the checkout's."""
        own = self.pipelines / "policy.yaml"
        return own if own.is_file() else PIPELINES / "policy.yaml"

    @property
    def templates(self) -> Path:
        """The pipelines' templates: those beside the catalogue, else those of the checkout."""
        own = self.pipelines / "templates"
        return own if own.is_dir() else ROOT / "templates" / "pipelines"

    @property
    def gitlab_url(self) -> str:
        """GitLab's external URL, without a slash at the end."""
        return f"http://{self.profile.address}:{self.profile.ports.gitlab}"

    @property
    def openbao_url(self) -> str:
        """OpenBao's address, without a slash at the end."""
        return f"http://{self.profile.address}:{self.profile.ports.openbao}"

    @property
    def nexus_url(self) -> str:
        """Nexus's address, without a slash at the end."""
        return f"http://{self.profile.address}:{self.profile.ports.nexus}"

    def service_port(self, port: int, environment: str) -> int:
        """The port on which `environment` runs the service whose catalogue port is `port`."""
        return port + self.profile.environment_port_offsets[environment]

    @property
    def bootstrap_key(self) -> Path:
        """The one file that holds a secret: 32 random bytes, mode 0600 (see `infra.clients.bootstrap`)."""
        return self.state / "bootstrap.key"

    def data(self, server: str) -> Path:
        """The folder of one server's configuration, data and logs."""
        return self.state / server

    def deployments(self, environment: str) -> Path:
        """The folder under which `environment` keeps its services' releases."""
        return self.state / "deployments" / environment


def load_settings(environ: Mapping[str, str], *, profile: str | None = None) -> Settings:
    """Settings of the named profile (a name in `infra/profiles` or a file), else of `FORGELINE_PROFILE`, else `lab`.

    Raises BadInputError for a profile that isn't there or isn't valid.
    """
    wanted = profile or environ.get("FORGELINE_PROFILE") or "lab"
    file = _profile_file(wanted)
    loaded = load(file, Profile)
    home = Path(environ.get("HOME") or Path.home())
    state = environ.get("FORGELINE_STATE") or ROOT / ".forgeline" / loaded.name
    cache = environ.get("FORGELINE_CACHE") or Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "forgeline"
    pipelines = environ.get("FORGELINE_PIPELINES") or PIPELINES
    return Settings(
        profile=loaded,
        profile_file=file,
        state=Path(state).resolve(),
        cache=Path(cache).resolve(),
        pipelines=Path(pipelines).resolve(),
    )


def _profile_file(wanted: str) -> Path:
    if "/" in wanted or wanted.endswith((".yaml", ".yml")):
        file = Path(wanted).resolve()
        if not file.is_file():
            raise BadInputError("there is no such profile file", where=wanted)
        return file
    file = PROFILES / f"{wanted}.yaml"
    if not file.is_file():
        names = [path.stem for path in PROFILES.glob("*.yaml")]
        raise BadInputError(f"there is no profile {wanted!r}", where=str(PROFILES), fix=nearest(wanted, names))
    return file
