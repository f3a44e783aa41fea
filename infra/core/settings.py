"""What a run is about: which profile, where its servers listen, where its state and caches are.

A profile file says it; four environment variables move it (`FORGELINE_PROFILE`, `FORGELINE_STATE`,
`FORGELINE_CACHE`, `FORGELINE_PIPELINES`). The environment is passed in, never read here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from infra.core.document import InvalidDocumentError, InvalidValueError, load, nearest, place, read_text
from infra.core.error import BadInputError
from infra.core.finding import Finding
from infra.core.image_source import ImageSource
from infra.core.secret import GivenSecret, Keeper
from infra.core.server_address import Given, ServerAddresses

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

PROFILES = ROOT / "infra" / "profiles"
PIPELINES = ROOT / "pipelines"
IN_IMAGES = ROOT / "infra"
"""What of the checkout the runner's image has for certain."""
IMAGE_PINS = ROOT / "infra" / "images" / "official.yaml"

_SMALLEST = 27
"""The prefix of the smallest network on which every container has its number."""

Port = Annotated[int, Field(ge=1024, le=65535)]
HostName = Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z]([a-z0-9-]*[a-z0-9])?$")]
UnixName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]


class Placement(StrEnum):
    """Where a profile's servers run."""

    LAB = "lab"
    """Processes on this machine."""
    DOCKER = "docker"
    """Containers of a Docker engine."""
    EXISTING = "existing"
    """They are there already, and somebody else runs them."""


class GitLabTier(StrEnum):
    """What a GitLab is licensed for; nothing of a paid tier is used unless the profile says so."""

    FREE = "free"
    PREMIUM = "premium"
    ULTIMATE = "ultimate"


class _Model(BaseModel):
    # What was given may be a secret that stands in the wrong place.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ServerPorts(_Model):
    """TCP ports of the servers that Forgeline runs, all on the profile's address."""

    gitlab: Port = 8929
    openbao: Port = 8931
    openbao_cluster: Port = 8932
    nexus: Port = 8930


class InnerNetwork(_Model):
    """The network that the containers of a profile are on; its first address is this machine's."""

    subnet: IPv4Network = IPv4Network("172.31.250.0/24")

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if not self.subnet.is_private or self.subnet.prefixlen > _SMALLEST:
            raise ValueError(f"{self.subnet} is not a private network of 32 addresses or more (/{_SMALLEST})")
        return self

    @property
    def gateway(self) -> IPv4Address:
        """This machine's own address on the network."""
        return self.subnet[1]


class Upstreams(_Model):
    """What Nexus proxies. An address left out is read from this machine's client configuration."""

    maven: str | None = None


class OwnCertificate(_Model):
    """A certificate that somebody else's authority signed."""

    chain: Path
    """A PEM file: the certificate, then those between it and its authority. Relative to the profile's folder."""
    key: Given
    """Where its private key (PEM, without a passphrase) is kept: `file:/PATH` or `env:VARIABLE`."""

    @field_validator("key")
    @classmethod
    def _kept_here(cls, key: str) -> str:
        if GivenSecret.parse(key).keeper is Keeper.VAULT:
            raise InvalidValueError(
                "is kept in Vault, which is reached through the proxy that needs it",
                fix="write file:/PATH or env:VARIABLE",
            )
        return key


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
    host: HostName | None = None
    """The name by which people and containers reach the proxy at `address`; without one they use the address."""
    certificate: OwnCertificate | None = None
    """What the proxy shows, if it is not to be signed by the profile's own authority."""
    ports: ServerPorts = ServerPorts()
    servers: ServerAddresses | None = None
    """Where servers are that Forgeline does not run, and who it is there."""
    ca: Path | None = None
    """A PEM file of certificate authorities that are trusted beside the system's. Relative to the profile's folder."""
    environment_address: str | None = None
    """Where the services' environments listen, if it is not `address`."""
    environment_port_offsets: dict[UnixName, int]
    """Added to a service's port in the catalogue: the port on which that environment runs it."""
    network: InnerNetwork = InnerNetwork()
    """Of containers."""
    images: ImageSource = ImageSource()
    """What containers are made of."""
    memory_gib: Literal[8, 16, 32] = 8
    """Of the machine on which containers run: their limits follow it."""
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
        servers = self.profile.servers
        return servers.gitlab.url if servers else self._url(self.profile.ports.gitlab)

    @property
    def openbao_url(self) -> str:
        """OpenBao's address, without a slash at the end."""
        servers = self.profile.servers
        return servers.openbao.url if servers else self._url(self.profile.ports.openbao)

    @property
    def nexus_url(self) -> str:
        """Nexus's address, without a slash at the end."""
        servers = self.profile.servers
        return servers.nexus.url if servers else self._url(self.profile.ports.nexus)

    def _url(self, port: int) -> str:
        scheme = "https" if self.profile.placement is Placement.DOCKER else "http"
        return f"{scheme}://{self.profile.host or self.profile.address}:{port}"

    @property
    def existing(self) -> bool:
        """Whether somebody else runs the servers."""
        return self.profile.placement is Placement.EXISTING

    @property
    def hosts(self) -> tuple[str, ...]:
        """What the servers are called in addresses: the name if there is one, and where they are."""
        profile = self.profile
        return (profile.host, profile.address) if profile.host else (profile.address,)

    @property
    def base_group(self) -> str:
        """The group of GitLab below which everything is made; empty where it is at the top."""
        servers = self.profile.servers
        return (servers.gitlab.group or "") if servers else ""

    @property
    def ca(self) -> Path | None:
        """Certificate authorities (PEM) that every client trusts beside the system's; None where there are none."""
        if self.profile.ca is not None:
            return self.beside(self.profile.ca)
        own = self.profile.placement is Placement.DOCKER and self.profile.certificate is None
        return self.state / "tls" / "ca.pem" if own else None

    def beside(self, file: Path) -> Path:
        """A file that the profile names, relative to its own folder."""
        return (self.profile_file.parent / file.expanduser()).resolve()

    @property
    def environment_address(self) -> str:
        """Where the services' environments listen, on their `service_port`."""
        return self.profile.environment_address or self.profile.address

    def service_port(self, port: int, environment: str) -> int:
        """The port on which `environment` runs the service whose catalogue port is `port`."""
        return port + self.profile.environment_port_offsets[environment]

    @property
    def own_image_pins(self) -> Path:
        """The file beside the profile that says which official images it runs; it need not be there."""
        return self.profile_file.with_name(f"{self.profile_file.stem}.pins.yaml")

    @property
    def image_pins(self) -> Path:
        """Which official images are run: the file beside the profile, else the checkout's."""
        return self.own_image_pins if self.own_image_pins.is_file() else IMAGE_PINS

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
    findings = list(_of_another_placement(loaded, file))
    if findings:
        raise InvalidDocumentError(findings)
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
    example = PROFILES / f"{wanted}.example.yaml"
    if not file.is_file() and example.is_file():
        fix = f"cp {example} {file}   (and say in it where your servers are)"
        raise BadInputError(f"there is no profile {wanted!r} yet", where=str(PROFILES), fix=fix)
    if not file.is_file():
        names = [path.stem for path in PROFILES.glob("*.yaml") if "." not in path.stem]
        raise BadInputError(f"there is no profile {wanted!r}", where=str(PROFILES), fix=nearest(wanted, names))
    return file


_KEYS_OF = {
    Placement.LAB: {"ports"},
    Placement.DOCKER: {"ports", "ca", "certificate", "host", "images"},
    Placement.EXISTING: {"servers", "ca"},
}
"""Keys of a profile that only some placements have a use for."""


def _of_another_placement(profile: Profile, file: Path) -> Iterator[Finding]:
    """What the profile says in vain, or does not say though its placement needs it."""
    text, placement = read_text(file), profile.placement

    def finding(key: str, message: str, fix: str) -> Finding:
        line, column = place(text, (key,))
        return Finding(rule="placement", message=message, file=str(file), line=line, column=column, fix=fix)

    for key in sorted(set().union(*_KEYS_OF.values()) - _KEYS_OF[placement]):
        if key in profile.model_fields_set:
            others = " or ".join(str(other) for other, keys in _KEYS_OF.items() if key in keys)
            yield finding(
                key,
                f"{key}: means nothing where placement is {placement}",
                f"take it out, or set placement to {others}",
            )
    if placement is Placement.EXISTING and profile.servers is None:
        yield finding(
            "placement",
            "servers: is missing, which says where the servers are",
            f"write it as {PROFILES / 'existing.example.yaml'} shows",
        )
    advisories = profile.advisories
    if placement is Placement.DOCKER and advisories and not (ROOT / advisories).resolve().is_relative_to(IN_IMAGES):
        yield finding(
            "advisories",
            f"advisories: {advisories} is on this machine only, and jobs run in containers",
            f"put it below {IN_IMAGES}, which the runner's image has, and give its path from there (infra/…)",
        )
    if placement is Placement.DOCKER and profile.ca is not None and profile.certificate is None:
        yield finding(
            "ca",
            "ca: the proxy's certificate is signed by the profile's own authority, which everybody trusts already",
            "take it out, or give the certificate that this authority signed in `certificate`",
        )
    if profile.ca is not None and not (file.parent / profile.ca.expanduser()).is_file():
        yield finding("ca", f"ca: there is no file {profile.ca}", "give the PEM file of the certificate authorities")
