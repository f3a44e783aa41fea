"""Every check that `forgeline verify` makes of a container passes on a sound one and is seen to fail on a bad one.

The container has the proxy's image and is confined as a placement does it; the rest of the profile is not there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from docker.types import IPAMConfig, IPAMPool, Mount

from infra.clients.authority import ensure_authority
from infra.clients.bootstrap import ensure_key, read_key
from infra.clients.container import PROFILE_LABEL, SERVER_LABEL
from infra.clients.container_engine import ContainerEngine
from infra.core.naming import container_name
from infra.core.settings import ROOT, Settings, load_settings
from infra.images.image import STAND_IN_LABEL
from infra.operations.images import Images
from infra.operations.verify import SUITES, parse_report
from infra.programs.docker import LIMITS
from infra.servers import health
from infra.servers.container import address
from infra.servers.housing import USER
from infra.servers.proxy import NAME as SERVER
from tests.docker.test_images import Recorder

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("tests.docker.test_images")]

PROFILE = "checked"
SUBNET, GATEWAY = "172.31.243.0/24", "172.31.243.1"
NETWORK = f"forgeline-{PROFILE}"
PORTS = (8929, 8930, 8931)
VOLUMES = {"checked-own": {PROFILE_LABEL: PROFILE}, "checked-another": {}}
SECOND = 1_000_000_000
PATIENCE = 60

IMAGES = {
    "another": "FROM IMAGE\n"
    "COPY --from=IMAGE /opt/caddy/caddy /opt/caddy/pinned\n"
    "COPY caddy /opt/caddy/caddy\n"
    'LABEL org.opencontainers.image.title=""\n',
    "stand-in": f'FROM IMAGE\nLABEL {STAND_IN_LABEL}="true"\n',
}
"""Images made of the proxy's, and how."""
OLD_CADDY = '#!/bin/sh\n[ "$1" = version ] && echo v0.0.1 && exit\nexec /opt/caddy/pinned "$@"\n'

SERVE = 'printf "%s" "$0" | /opt/caddy/caddy run --config - --adapter caddyfile'


@dataclass(frozen=True, kw_only=True)
class Case:
    """How a container differs from a sound one, and what the checks must say of it."""

    says: Mapping[str, str] = field(default_factory=dict)
    """A check that must fail to what its message has; all others must pass."""
    image: str = ""
    script: str = f"chmod 700 /srv/proxy; {SERVE}"
    bind: str = ""
    listens: tuple[int, ...] = PORTS
    given: Mapping[str, Any] = field(default_factory=dict)
    """What the engine is given otherwise."""


CASES = {
    "root": Case(
        image="another",
        script=f"umask 022; echo key > /srv/proxy/key.pem; chmod 755 /srv/proxy; {SERVE}",
        bind="0.0.0.0",
        given={
            "user": "0:0",
            "cap_add": ["DAC_OVERRIDE", "FOWNER"],
            "read_only": False,
            "mounts": [
                Mount(target="/srv", source="checked-own", type="volume"),
                Mount(target="/mnt", source="/etc", type="bind", read_only=True),
            ],
            "mem_limit": "200m",
            "ports": {f"{PORTS[0]}/tcp": ("127.0.0.1", PORTS[0])},
            "healthcheck": None,
        },
        says={
            "user is its own": "runs as 0",
            "only capabilities that its image needs": "proxy has {'CapEff'",
            "only its volumes are written": "own file system may be written",
            "nothing of the machine is mounted": "has the machine's /etc",
            "files with secrets are private": "others may read /srv/proxy/key.pem",
            "memory is limited": f"may take {200 * 2**20}",
            "listens on its own address only": f"listens on [('{'0' * 32}', {PORTS[0]})",
            "only the proxy is published": f"published: {{'proxy': {{('127.0.0.1', {PORTS[0]})}}}}",
            "engine finds it well": "does not look after proxy",
            "version is the pinned one": "v0.0.1",
            "image says what it is": "has no title",
        },
    ),
    "careless": Case(
        image="stand-in",
        script=f"chmod 755 /srv/proxy; {SERVE}",
        listens=PORTS[:2],
        given={
            "user": "10001:0",
            "security_opt": [],
            "mounts": [
                Mount(target="/srv", source="checked-own", type="volume"),
                Mount(target="/mnt", source="checked-another", type="volume", read_only=True),
            ],
            "pids_limit": None,
        },
        says={
            "user is its own": "runs in group 0",
            "only capabilities that its image needs": "may gain privileges",
            "only its volumes are written": "has mode 755",
            "nothing of the machine is mounted": "not the profile's: checked-another",
            "memory is limited": "any number of processes",
            "listens on its own address only": f"does not listen on [{PORTS[2]}]",
            "engine finds it well": "proxy: ",
            "image says what it is": "assert ",
        },
    ),
    "useless": Case(
        given={"mounts": [Mount(target="/srv", source="checked-own", type="volume", read_only=True)]},
        says={"only its volumes are written": "volume /srv may not be written"},
    ),
    "dead": Case(
        script="exit 7",
        given={"ports": {}},
        says={
            "container runs": "is exited (exit code 7)",
            "user is its own": "",
            "only capabilities that its image needs": "",
            "only its volumes are written": "",
            "files with secrets are private": "",
            "listens on its own address only": "",
            "only the proxy is published": "",
            "version is the pinned one": "",
            "engine finds it well": "",
        },
    ),
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("checked")
    profile = folder / "checked.yaml"
    profile.write_text(
        f"name: {PROFILE}\nplacement: docker\naddress: {GATEWAY}\nnetwork: {{subnet: {SUBNET}}}\nmemory_gib: 8\n"
        "environment_port_offsets: {dev: 10000}\n"
    )
    return load_settings({**os.environ, "FORGELINE_PROFILE": str(profile), "FORGELINE_STATE": str(folder / "state")})


@pytest.fixture(scope="module")
def images(
    host: str, engine: ContainerEngine, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, str]]:
    """The proxy's image (under no name), one with another Caddy and no title, and one that says it is a stand-in."""
    (view,) = Images(settings, {**os.environ, "DOCKER_HOST": host}).build((SERVER,), Recorder())
    assert view.plan.image is not None
    made = {"": view.plan.image.reference}
    for name, recipe in IMAGES.items():
        folder = tmp_path_factory.mktemp(name)
        (folder / "Dockerfile").write_text(recipe.replace("IMAGE", made[""]))
        (folder / "caddy").write_text(OLD_CADDY)
        (folder / "caddy").chmod(0o755)
        made[name] = f"forgeline-test/{name}:1"
        engine.client.images.build(path=str(folder), tag=made[name], network_mode="none", rm=True)
    yield made
    for name in IMAGES:
        engine.client.images.remove(made[name])


@pytest.fixture
def ground(engine: ContainerEngine) -> Iterator[None]:
    """The network and the volumes; what was made on them goes with them."""
    pool = IPAMConfig(pool_configs=[IPAMPool(subnet=SUBNET, gateway=GATEWAY)])
    network = engine.client.networks.create(NETWORK, ipam=pool)
    volumes = [engine.client.volumes.create(name, labels=labels) for name, labels in VOLUMES.items()]
    yield
    # One that ended is on no network any more.
    for container in engine.client.containers.list(all=True, filters={"label": f"{PROFILE_LABEL}={PROFILE}"}):
        container.remove(force=True)
    network.remove()
    for volume in volumes:
        volume.remove()


UNSETTLED = ("created", "starting")

Made = Callable[[Case], dict[str, str]]


@pytest.fixture
def made(host: str, settings: Settings, engine: ContainerEngine, images: Mapping[str, str], ground: None) -> Made:
    """Makes a container, and returns what each check says of it: nothing where it passes."""
    own = address(settings, SERVER)

    def make(case: Case) -> dict[str, str]:
        sites = "".join(f":{port} {{\nbind {case.bind or own}\nrespond well\n}}\n" for port in case.listens)
        sound = {
            "command": ["sh", "-c", case.script, f"{{\nadmin off\n}}\n{sites}"],
            "name": container_name(PROFILE, SERVER),
            "user": USER,
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "mounts": [Mount(target="/srv", source="checked-own", type="volume")],
            "tmpfs": {"/tmp": ""},
            "network": NETWORK,
            "networking_config": {NETWORK: engine.client.api.create_endpoint_config(ipv4_address=own)},
            "ports": {f"{port}/tcp": (GATEWAY, port) for port in PORTS},
            "mem_limit": LIMITS[8][SERVER] * 2**20,
            "pids_limit": 100,
            "healthcheck": {"test": ["CMD", *health.listens(own, PORTS[2])], "interval": SECOND, "retries": 2},
            "labels": {PROFILE_LABEL: PROFILE, SERVER_LABEL: SERVER},
        }
        container = engine.client.containers.create(images[case.image], **{**sound, **case.given})
        container.start()
        deadline = time.monotonic() + PATIENCE
        while (container.attrs["State"].get("Health") or {"Status": container.status})["Status"] in UNSETTLED:
            assert time.monotonic() < deadline, container.attrs["State"]
            time.sleep(0.2)
            container.reload()
        return checked(settings, host, "container", "image", of=SERVER)

    return make


def checked(settings: Settings, host: str, *areas: str, of: str = "") -> dict[str, str]:
    """What each check in these areas says, of one server if one is named."""
    suite, report = SUITES[settings.profile.placement], settings.state / "report.xml"
    told = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-k", of, f"--junitxml={report}"),
            *("-c", str(suite / "pytest.ini"), f"--rootdir={ROOT}"),
            *(str(suite / f"check_{name}.py") for name in areas),
        ],
        env={
            **os.environ,
            "DOCKER_HOST": host,
            "FORGELINE_PROFILE": str(settings.profile_file),
            "FORGELINE_STATE": str(settings.state),
        },
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert told.returncode in {0, 1}, told.stdout
    results = parse_report(report.read_text())
    return {re.sub(f": {of}$", "", result.name): result.message for result in results}


def test_a_sound_container_passes_every_check_and_each_has_a_bad_case(made: Made) -> None:
    said = made(Case())
    assert not any(said.values()), said
    assert set(said) == {check for case in CASES.values() for check in case.says}


@pytest.mark.parametrize("name", CASES)
def test_the_checks_say_what_is_wrong_and_nothing_else(name: str, made: Made) -> None:
    said = {check: message for check, message in made(CASES[name]).items() if message}
    assert set(said) == set(CASES[name].says), said
    for check, part in CASES[name].says.items():
        assert part in said[check], said[check]


def test_what_is_on_the_machine_is_looked_at(settings: Settings, host: str) -> None:
    ensure_key(settings.bootstrap_key)
    tls = settings.state / "tls"
    ensure_authority(tls, read_key(settings.bootstrap_key), name=PROFILE, hosts=[GATEWAY])
    settings.state.chmod(0o700)
    assert not any(checked(settings, host, "machine").values())
    settings.state.chmod(0o750)
    settings.bootstrap_key.chmod(0o640)
    (tls / "own.pem").write_text("-----BEGIN EC PRIVATE KEY-----\n")
    said = checked(settings, host, "machine")
    assert all(said.values()), said
    assert "has mode 750" in said["state folder is private"]
    assert "has mode 640" in said["bootstrap key is whole and private"]
    assert f"is in {tls}/own.pem" in said["no private key is in the state folder"]
    settings.bootstrap_key.chmod(0o600)
    with settings.bootstrap_key.open("ab") as key:
        key.write(b"x")
    assert "has 33 bytes" in checked(settings, host, "machine")["bootstrap key is whole and private"]
