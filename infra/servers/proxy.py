"""The TLS proxy, Caddy: the only server of the profile that is reached from outside.

Its key is derived from the bootstrap key. Its certificate is there before OpenBao is: the first one is written before
the first start, and OpenBao's is put over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.core.server import ConfigFile, Folder, Listener, Preparation, Probe, Readiness, Server
from infra.core.settings import Settings
from infra.servers import health
from infra.servers.place import Place

NAME = "proxy"

WELL = "/-/proxy"
"""What the proxy answers itself, on OpenBao's port."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the proxy shows to prove who it is."""

    certificate: str
    """In PEM: there until OpenBao's takes its place, unless it is `lasting`."""
    key: str
    """A reference to its key."""
    lasting: bool = False
    """Whether it is somebody else's, and stays."""


def describe(settings: Settings, place: Place, *, upstreams: Mapping[str, str], shown: Shown) -> Server:
    """The proxy. `upstreams` maps a server's name to its address on the inner network."""
    home = place.home(NAME)
    ports = settings.profile.ports
    numbers = {"gitlab": ports.gitlab, "nexus": ports.nexus, "openbao": ports.openbao}
    files, preparations, tls = _lasting(home, shown) if shown.lasting else _first(home, shown)
    return Server(
        name=NAME,
        version="",
        command=(str(place.programs["caddy"]), "run", f"--config={home / 'Caddyfile'}", "--adapter=caddyfile"),
        environment={"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "XDG_CONFIG_HOME": str(home / "data")},
        working_folder=str(home),
        folders=tuple(Folder(path=str(path)) for path in (home, home / "tls", home / "data")),
        files=(
            ConfigFile(
                path=str(home / "Caddyfile"),
                content=_configuration(
                    settings.hosts[0],
                    place.address,
                    {numbers[name]: f"{upstreams[name]}:{numbers[name]}" for name in numbers},
                    tls,
                ),
            ),
            *files,
        ),
        listeners=tuple(
            Listener(name=name, number=number, address=settings.profile.address) for name, number in numbers.items()
        ),
        preparations=preparations,
        health=health.listens(place.address, ports.openbao),
        readiness=Readiness(probe=Probe.HTTP, url=f"{settings.openbao_url}{WELL}", timeout=30),
        memory_mib=40,
        log=str(home / "proxy.log"),
    )


def certificate_file(home: Path) -> str:
    """Where the proxy has its certificate, in its own folder."""
    return str(home / "tls" / "certificate.pem")


def _first(home: Path, shown: Shown) -> tuple[tuple[ConfigFile, ...], tuple[Preparation, ...], str]:
    """The first certificate, which is not put over OpenBao's."""
    certificate, key = certificate_file(home), str(home / "tls" / "key.pem")
    write = Preparation(command=("sh", "-c", 'test -s "$0" || cat > "$0"', certificate), content=shown.certificate)
    return (ConfigFile(path=key, content="{{key}}", secrets={"key": shown.key}),), (write,), f"tls {certificate} {key}"


def _lasting(home: Path, shown: Shown) -> tuple[tuple[ConfigFile, ...], tuple[Preparation, ...], str]:
    """A certificate and its key in one file: another certificate brings its own key."""
    path = str(home / "tls" / "given.pem")
    file = ConfigFile(path=path, content=f"{shown.certificate}{{{{key}}}}\n", secrets={"key": shown.key})
    return (file,), (), f"tls {path} {path}"


def _configuration(shown_host: str, address: str, upstreams: Mapping[int, str], tls: str) -> str:
    """A Caddyfile. Certificates are given, so that Caddy asks nobody for any."""
    lines = [
        "{",
        "\tadmin off",
        "\tpersist_config off",
        "\tauto_https off",
        # Who speaks to an address sends no name.
        f"\tdefault_sni {shown_host}",
        "\tservers {",
        "\t\tprotocols h1 h2",
        "\t}",
        "}",
    ]
    for number, upstream in upstreams.items():
        lines += [
            f":{number} {{",
            f"\tbind {address}",
            f"\t{tls}",
            f"\trespond {WELL} 200",
            # A pushed pack and a job's log are passed on as they come.
            f"\treverse_proxy {upstream} {{",
            "\t\tflush_interval -1",
            "\t}",
            "}",
        ]
    return "\n".join([*lines, ""])
