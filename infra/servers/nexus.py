"""Sonatype Nexus Repository.

The first start makes a random administrator's password that nobody is told, in a file of mode 0600; as soon as Nexus
answers it is replaced by the one that was generated in OpenBao. So no default password is ever accepted, and none
stands in the process's environment, as `NEXUS_SECURITY_INITIAL_PASSWORD` would. Killed in between, the next run finds
the file still valid and goes on.

The JVM's flags are measured on 2 cores, 3.71.0-06 and Java 17, from an empty folder to the first answer and resident
after it: as shipped 20.0 s and 748 MiB; with one compiler tier and the serial collector 14.2 s and 439 MiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from infra.core.naming import NEXUS_ADMIN
from infra.core.server import ConfigFile, Credential, Folder, Listener, Probe, Readiness, Server
from infra.core.settings import Settings
from infra.servers import health
from infra.servers.place import Place

NAME = "nexus"

HEAP = ("-Xms128m", "-Xmx384m", "-XX:MaxDirectMemorySize=128m")
COMMUNITY_HEAP = ("-Xms512m", "-Xmx1024m", "-XX:MaxDirectMemorySize=512m")
"""The Community Edition has all formats; by itself its image takes 2703 MiB (sonatype/docker-nexus3, README.md)."""
FAST_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """How a distribution's own script, `bin/nexus`, is told what to do."""

    verb: str
    options: str
    """The variable with the JVM's options."""
    heap: tuple[str, ...]
    places: bool
    """Whether variables tell it where Java and the data are; if not, it knows, and the server's folder is the data."""


ASSEMBLY = Launcher(verb="server", options="EXTRA_JAVA_OPTS", heap=HEAP, places=True)
"""The assembly in Maven's central repository."""

IMAGE = Launcher(verb="run", options="INSTALL4J_ADD_VM_PARAMS", heap=COMMUNITY_HEAP, places=False)
"""The vendor's image (sonatype/docker-nexus3, Dockerfile.java21)."""


def describe(settings: Settings, place: Place, *, launcher: Launcher = ASSEMBLY) -> Server:
    """Nexus. The place's programs must have `nexus` (bin/nexus of its folder) and `java`."""
    home = place.home(NAME)
    data = home / "data" if launcher.places else home
    return Server(
        name=NAME,
        version=_version(place.programs["nexus"]),
        command=(str(place.programs["nexus"]), launcher.verb),
        environment={
            **(_places(place, data) if launcher.places else {}),
            launcher.options: " ".join(_options(place, launcher)),
        },
        working_folder=str(home),
        folders=tuple(
            Folder(path=str(path))
            for path in dict.fromkeys((home, data, data / "etc", data / "tmp", data / "log", home / "home"))
        ),
        files=(ConfigFile(path=str(data / "etc" / "nexus.properties"), content=_properties(settings, place)),),
        listeners=(Listener(name="http", number=settings.profile.ports.nexus, address=place.address),),
        credentials=(Credential(path=NEXUS_ADMIN, fixed={"username": "admin"}, generated={"password": ""}),),
        health=health.answers(place.address, settings.profile.ports.nexus, "/service/rest/v1/status"),
        readiness=Readiness(
            probe=Probe.NEXUS,
            url=settings.nexus_url,
            secrets={"password": f"openbao:{NEXUS_ADMIN}#password"},
            first_password_file=str(data / "admin.password"),
            timeout=300,
        ),
        stop_seconds=30,
        open_files=65_536,
        memory_mib=500,
        started_once=str(home / "initialized"),
        unfinished=(),
        log=str(home / "nexus.log"),
    )


def _places(place: Place, data: Path) -> dict[str, str]:
    return {"JAVA_HOME": str(place.programs["java"].resolve().parent.parent), "KARAF_DATA": str(data)}


def _options(place: Place, launcher: Launcher) -> list[str]:
    # Without a shutdown port: Karaf would open one more for whoever is on this machine.
    options = [
        *launcher.heap,
        *FAST_START,
        "-Dkaraf.shutdown.port=-1",
        "-Djava.net.preferIPv4Stack=true",
        f"-Duser.home={place.home(NAME) / 'home'}",
    ]
    if place.java_trust is not None:
        options.append(f"-Djavax.net.ssl.trustStore={place.java_trust}")
    return options


def _properties(settings: Settings, place: Place) -> str:
    return "\n".join(
        [
            f"application-host={place.address}",
            f"application-port={settings.profile.ports.nexus}",
            "nexus.datastore.enabled=true",
            "nexus.security.randompassword=true",
            "nexus.onboarding.enabled=false",
            # The repositories are made as code; Nexus's own examples would only be in the way.
            "nexus.skipDefaultRepositories=true",
            "",
        ]
    )


def _version(program: Path) -> str:
    """The version in the name of the jar that only one version has; nothing if the folder is laid out otherwise."""
    jars = list(program.resolve().parent.parent.glob("system/org/sonatype/nexus/nexus-bootstrap/*"))
    return jars[0].name if len(jars) == 1 else ""
