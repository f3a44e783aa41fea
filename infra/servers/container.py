"""A container as a place: a server has the image's programs, a volume at /srv and an address of the inner network."""

from __future__ import annotations

from pathlib import Path

from infra.core.settings import Settings
from infra.servers import gitlab, nexus, openbao, proxy, runner
from infra.servers.housing import BUILT, VOLUME, Housing
from infra.servers.official import OFFICIAL
from infra.servers.place import Place

CHECKOUT = Path("/opt/forgeline")
"""Where an image has Forgeline, and its Python."""

PROGRAMS = {
    "openbao": Path("/opt/openbao/bao"),
    "nexus-secrets": Path("/opt/nexus-secrets/nexus-secrets"),
    "nexus": Path("/opt/nexus/bin/nexus"),
    "java": Path("/opt/java/bin/java"),
    "gitlab-runner": Path("/opt/gitlab-runner/gitlab-runner"),
    "caddy": Path("/opt/caddy/caddy"),
}

HOSTS = {proxy.NAME: 10, openbao.NAME: 11, gitlab.NAME: 12, nexus.NAME: 13, runner.NAME: 20}
"""A server's number in the network. The runner's is also where the environments are."""

JOB_PATH = ":".join(
    (
        *("/opt/forgeline/.venv/bin", "/opt/jobs/bin", "/opt/jobs/go/bin", "/opt/jobs/java/bin", "/opt/jobs/node/bin"),
        *("/opt/openbao", "/usr/local/bin", "/usr/bin", "/bin"),
    )
)
"""Where jobs look for programs."""

SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def address(settings: Settings, server: str) -> str:
    """The server's fixed address on the profile's network."""
    return str(settings.profile.network.subnet[HOSTS[server]])


def housing(settings: Settings, server: str) -> Housing:
    """What the server's image asks of its container."""
    return OFFICIAL.get(server, BUILT) if settings.profile.images.official else BUILT


def home(settings: Settings, server: str) -> Path:
    """The server's own folder, as it sees it."""
    return housing(settings, server).home or VOLUME / server


def runner_name(settings: Settings) -> str:
    """What GitLab calls the runner."""
    return f"forgeline-{settings.profile.name}"


def container(settings: Settings, server: str, *, authority: str, trusting: bool) -> Place:
    """The place of one server. `authority` is the certificate (PEM) of the profile's own authority.

    With `trusting` it finds those that clients of the proxy must trust beside the system's.
    """
    own = home(settings, server)
    return Place(
        root=VOLUME,
        address=address(settings, server),
        programs={**PROGRAMS, **housing(settings, server).programs},
        python=CHECKOUT / ".venv" / "bin" / "python",
        checkout=CHECKOUT,
        runner=runner_name(settings),
        first=(proxy.NAME,),
        authority=authority,
        trust=own / "ca.pem" if trusting else None,
        homes={server: own},
    )
