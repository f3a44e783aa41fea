"""The servers of the profile `docker`, described for containers, and what their containers need beside that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from infra.clients.supervisor.configuration import daemon_configuration, program_configuration
from infra.clients.supervisor.place import Place as SupervisorPlace
from infra.clients.trust import VARIABLES
from infra.core.server import ConfigFile, Folder, Preparation, Server
from infra.core.settings import Settings
from infra.programs.container import Brought, Containers, Image, Shown
from infra.servers import gitlab, gitlab_ce, nexus, openbao, proxy, runner
from infra.servers.container import CHECKOUT, HOSTS, JOB_PATH, SYSTEM_BUNDLE, address, container, home, housing
from infra.servers.place import Place

OPEN_FILES = 4096
"""Of each program in the runner's container."""

LIMITS: Mapping[int, Mapping[str, int]] = {
    8: {proxy.NAME: 128, openbao.NAME: 384, gitlab.NAME: 512, nexus.NAME: 1024, runner.NAME: 3072},
    16: {proxy.NAME: 256, openbao.NAME: 768, gitlab.NAME: 1024, nexus.NAME: 1536, runner.NAME: 8192},
    32: {proxy.NAME: 512, openbao.NAME: 1536, gitlab.NAME: 2048, nexus.NAME: 2048, runner.NAME: 18432},
}
"""MiB at most for each server, by the machine's memory in GiB. At rest they take less than 1 GiB together (measured);
the rest of the runner's is for builds and for the services of the environments."""


OFFICIAL_LIMITS: Mapping[int, Mapping[str, int]] = {
    8: {proxy.NAME: 128, openbao.NAME: 256, gitlab.NAME: 4096, nexus.NAME: 1536, runner.NAME: 1536},
    16: {proxy.NAME: 256, openbao.NAME: 768, gitlab.NAME: 6144, nexus.NAME: 2048, runner.NAME: 5120},
    32: {proxy.NAME: 512, openbao.NAME: 1536, gitlab.NAME: 10240, nexus.NAME: 3072, runner.NAME: 14336},
}
"""The same for the vendors' images. GitLab is told to do with 2.5 GiB (omnibus-gitlab,
doc/settings/memory_constrained_envs.md) and gets room for what its jobs take beside; none of it is measured here."""


def limits(settings: Settings) -> Mapping[str, int]:
    """MiB at most for each server of this profile."""
    return (OFFICIAL_LIMITS if settings.profile.images.official else LIMITS)[settings.profile.memory_gib]


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Who the proxy says that it is, and whom its clients believe."""

    authority: str
    """The certificate (PEM) of the profile's own authority, which OpenBao's PKI engine runs."""
    shown: proxy.Shown
    trusted: str
    """Authorities (PEM) that clients of the proxy trust beside the system's; empty where the system's will do."""


def docker_servers(settings: Settings, trust: Trust, versions: Mapping[str, str] | None = None) -> tuple[Server, ...]:
    """All servers of the profile. `versions` are those that their images say they have, by the server's name."""
    return tuple(_of_image(settings, server, versions or {}) for server in _described(settings, trust))


def _of_image(settings: Settings, server: Server, versions: Mapping[str, str]) -> Server:
    """The server, with what only its image says: its version, and how it is asked how it is."""
    asked = housing(settings, server.name).health
    port = str(server.listeners[0].number) if server.listeners else ""
    here = {"address": address(settings, server.name), "port": port}
    said = {
        "version": versions.get(server.name, server.version),
        "health": tuple(word.format(**here) for word in asked) or server.health,
    }
    return server.model_copy(update=said)


def _described(settings: Settings, trust: Trust) -> tuple[Server, ...]:
    official = settings.profile.images.official

    def place(name: str) -> Place:
        return container(settings, name, authority=trust.authority, trusting=bool(trust.trusted))

    upstreams = {name: address(settings, name) for name in (gitlab.NAME, nexus.NAME, openbao.NAME)}
    return (
        proxy.describe(settings, place(proxy.NAME), upstreams=upstreams, shown=trust.shown),
        _trusting(openbao.describe(settings, place(openbao.NAME)), place(openbao.NAME), trust),
        (gitlab_ce if official else gitlab).describe(settings, place(gitlab.NAME)),
        nexus.describe(settings, place(nexus.NAME), launcher=nexus.IMAGE if official else nexus.ASSEMBLY),
        _hosting(settings, place(runner.NAME), trust),
    )


def containers(
    settings: Settings, images: Mapping[str, Image], brought: Mapping[str, Mapping[str, Brought]], *, shown: proxy.Shown
) -> Containers:
    """What the containers of the profile have beside their servers' descriptions.

    `images` are by the server's name; `brought` is, by the server's name, what other images bring: by the folder;
    `shown` is what the proxy shows.
    """
    profile = settings.profile
    network = profile.network
    return Containers(
        profile=profile.name,
        subnet=str(network.subnet),
        gateway=str(network.gateway),
        address=profile.address,
        housings={name: housing(settings, name) for name in HOSTS},
        images=images,
        brought=brought,
        addresses={name: address(settings, name) for name in HOSTS},
        memory_mib=limits(settings),
        certificate=None
        if shown.lasting
        else Shown(
            path=proxy.certificate_file(home(settings, proxy.NAME)),
            key=shown.key,
            hosts=settings.hosts,
            mount=openbao.PKI_MOUNT,
            role=openbao.PKI_ROLE,
            at=f"{profile.address}:{profile.ports.openbao}",
        ),
        hosts={profile.host: profile.address} if profile.host else {},
    )


def _trusting(server: Server, place: Place, trust: Trust) -> Server:
    """The server, with the authorities that it trusts."""
    if place.trust is None:
        return server
    file = ConfigFile(path=str(place.trust), content=trust.trusted, mode=0o644)
    return server.model_copy(update={"files": (*server.files, file)})


def _hosting(settings: Settings, place: Place, trust: Trust) -> Server:
    """The runner under a supervisor, which also runs the services of the environments, as the lab's does."""
    home = place.home(runner.NAME)
    supervisor = SupervisorPlace(home / "state")
    bundle, keystore = home / "trust.pem", home / "trust.jks"
    jobs = {
        **dict.fromkeys(VARIABLES, str(bundle)),
        "PATH": JOB_PATH,
        "JAVA_TOOL_OPTIONS": f"-Djavax.net.ssl.trustStore={keystore}",
        "TMPDIR": str(home / "tmp"),
        "FORGELINE_STATE": str(supervisor.state),
        "FORGELINE_PROFILE": str(home / "profile.yaml"),
        "FORGELINE_CACHE": str(home / "cache"),
        "FORGELINE_PIPELINES": str(home / "pipelines"),
    }
    server = _trusting(runner.describe(settings, place.of(jobs=jobs)), place, trust)
    described = [
        (supervisor.configuration, daemon_configuration(supervisor, open_files=OPEN_FILES)),
        (supervisor.programs / "runner.conf", program_configuration(supervisor, server)),
        (home / "profile.yaml", _inner_profile(settings)),
        *([(supervisor.state / "tls" / "ca.pem", trust.trusted)] if trust.trusted else []),
    ]
    sources = list(_sources(settings, home / "pipelines"))
    folders = sorted({*(path.parent for path, _ in (*described, *sources)), home / "tmp"} - {home})
    above = sorted({parent for folder in folders for parent in folder.parents if home in parent.parents} - {home})
    return server.model_copy(
        update={
            "command": (
                str(CHECKOUT / ".venv/bin/supervisord"),
                "--nodaemon",
                f"--configuration={supervisor.configuration}",
            ),
            "folders": (*server.folders, *(Folder(path=str(path)) for path in sorted({*above, *folders}))),
            "files": (
                *server.files,
                *(ConfigFile(path=str(path), content=text) for path, text in described),
                *(ConfigFile(path=str(path), content=text, live=True) for path, text in sources),
            ),
            "preparations": (
                Preparation(
                    command=("sh", "-c", 'cat "$0" - > "$1"', str(SYSTEM_BUNDLE), str(bundle)),
                    content=trust.trusted,
                ),
                Preparation(command=(str(place.python), "-c", _KEYSTORE, str(bundle), str(keystore)), content=""),
            ),
        }
    )


_KEYSTORE = (
    "import pathlib, sys; from infra.images.trust import java_truststore;"
    " pathlib.Path(sys.argv[2]).write_bytes(java_truststore(pathlib.Path(sys.argv[1]).read_text()))"
)
"""A program that writes Java's own form of a file of authorities."""


def _inner_profile(settings: Settings) -> str:
    """The profile as it is read inside: of the proxy's certificate only who is trusted matters there."""
    text = settings.profile_file.read_text(encoding="utf-8")
    if settings.profile.certificate is None:
        return text
    inner = {key: value for key, value in yaml.safe_load(text).items() if key not in {"certificate", "ca"}}
    return str(yaml.safe_dump(inner, sort_keys=False))


def _sources(settings: Settings, folder: Path) -> list[tuple[Path, str]]:
    """What deployments read of the catalogue."""
    files = [*sorted(settings.catalog.glob("*.yaml")), settings.release_file, settings.teams, settings.policy]
    return [
        (folder / ("catalog" if file.parent == settings.catalog else ".") / file.name, file.read_text(encoding="utf-8"))
        for file in files
        if file.is_file()
    ]
