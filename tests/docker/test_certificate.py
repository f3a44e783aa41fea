"""The kind Certificate with a real OpenBao that signs, and a program on a real engine that shows what it signed."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from infra.clients.authority import PROXY_KEY, Authority, ensure_authority, hosts_of, serial_of
from infra.clients.bootstrap import ensure_key, read_key
from infra.clients.container import ContainerFiles
from infra.clients.container_engine import ContainerEngine
from infra.clients.openbao import OpenBao
from infra.clients.process import Processes
from infra.core.error import ServerError
from infra.core.secret import DerivedSecret, Form
from infra.core.server import ConfigFile
from infra.core.settings import Settings, load_settings
from infra.provider.connection import Connections
from infra.provider.docker import certificate as kind
from infra.provider.docker.certificate import CERTIFICATE, EARLY
from infra.provider.docker.container import CONTAINER
from infra.provider.docker.container_file import put_files
from infra.provider.docker.container_input import Container
from infra.provider.docker.image import IMAGE
from infra.provider.docker.network import NETWORK
from infra.provider.docker.volume import VOLUME
from infra.provider.kind import DIFFERS
from infra.provider.provider import bring_about
from infra.servers import openbao as server
from infra.servers.machine import this_machine
from infra.toolchain.toolchain import Toolchain
from tests.docker.described import changes, wanted
from tests.trial import free_ports

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("tests.docker.test_kind")]

REFERENCE = "forgeline-test/shown:1"
ADDRESS = "10.123.51.7"
FILE, KEY = "/tls/certificate.pem", "/tls/key.pem"
INPUTS = {
    "container": "shown",
    "path": FILE,
    "mount": server.PKI_MOUNT,
    "role": server.PKI_ROLE,
    "key": str(PROXY_KEY),
    "hosts": [ADDRESS, "delivery.example.com", "fd00::7"],
    "shown_at": f"{ADDRESS}:8443",
    "user": "0:0",
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("signing")
    names = ("gitlab", "openbao", "openbao_cluster", "nexus")
    ports = ", ".join(f"{name}: {port}" for name, port in zip(names, free_ports(4), strict=True))
    profile = folder / "trial.yaml"
    profile.write_text(f"name: trial\nports: {{{ports}}}\nenvironment_port_offsets: {{dev: 10000}}\n")
    return load_settings({**os.environ, "FORGELINE_PROFILE": str(profile), "FORGELINE_STATE": str(folder / "state")})


@pytest.fixture(scope="module")
def authority(settings: Settings) -> Authority:
    ensure_key(settings.bootstrap_key)
    key = read_key(settings.bootstrap_key)
    return ensure_authority(settings.state / "tls", key, name="trial", hosts=INPUTS["hosts"])


@pytest.fixture(scope="module")
def openbao(settings: Settings, authority: Authority) -> Iterator[OpenBao]:
    """OpenBao whose PKI engine runs the authority."""
    tools = Toolchain.of(settings, os.environ).ensure(["openbao"])
    place = this_machine(settings, {name: tool.path for name, tool in tools.items()})
    processes = Processes.of(settings)
    try:
        processes.apply(server.describe(settings, replace(place, authority=authority.certificate)))
        client = OpenBao.of(settings)
        yield client
        client.close()
    finally:
        processes.supervisor.shutdown()


@pytest.fixture(scope="module")
def connections(engine: ContainerEngine, openbao: OpenBao, context: Path) -> Connections:
    made = Connections(engine=lambda: engine, openbao=lambda: openbao, local_secret=openbao.resolve)
    built = {"reference": REFERENCE, "context": str(context), "context_sha256": "a" * 64}
    bring_about(IMAGE, made, wanted(IMAGE, built))
    return made


@pytest.fixture(scope="module")
def ground(connections: Connections, authority: Authority) -> Iterator[Connections]:
    """A container that shows the first certificate until it is given another."""
    network = wanted(NETWORK, {"name": "showing", "internal": True, "subnet": "10.123.51.0/24"})
    volume = wanted(VOLUME, {"name": "tls"})
    described = {
        "name": "shown",
        "image": REFERENCE,
        "command": ["tls", FILE, KEY],
        "networks": {"showing": []},
        "addresses": {"showing": ADDRESS},
        "volumes": {"/tls": "tls"},
        "files": [
            {"path": KEY, "content": "{{key}}", "secrets": {"key": str(PROXY_KEY)}},
            {"path": FILE, "content": authority.first},
        ],
    }
    holder = wanted(CONTAINER, described)
    for one, what in ((NETWORK, network), (VOLUME, volume), (CONTAINER, holder)):
        bring_about(one, connections, what)
    yield connections
    CONTAINER.delete(connections, holder)
    VOLUME.delete(connections, volume)
    NETWORK.delete(connections, network)


@pytest.fixture
def first(ground: Connections, authority: Authority) -> Connections:
    """The container has the first certificate, which OpenBao has not signed."""
    file = ConfigFile(path=FILE, content=authority.first).model_dump(mode="json")
    holder = ground.engine().client.containers.get("shown")
    put_files(ground, holder, Container(name="shown", image="", files=[file]))
    return ground


@pytest.fixture
def signed(ground: Connections) -> Connections:
    """The container shows OpenBao's."""
    bring_about(CERTIFICATE, ground, wanted(CERTIFICATE, INPUTS))
    return ground


def shown() -> x509.Certificate:
    """What the container shows to whoever connects."""
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((ADDRESS, 8443), timeout=5).encode())


def believed(host: str, authority: Authority) -> bool:
    """Whether a client that trusts the authority, and no other, believes that this host is the container."""
    context = ssl.create_default_context(cadata=authority.certificate)
    with socket.create_connection((ADDRESS, 8443), timeout=5) as plain:
        try:
            context.wrap_socket(plain, server_hostname=host).close()
        except ssl.SSLCertVerificationError:
            return False
    return True


def file_of(connections: Connections) -> ContainerFiles:
    return ContainerFiles(connections.engine().client.containers.get("shown"))


def test_openbaos_takes_the_first_ones_place(first: Connections, openbao: OpenBao) -> None:
    described = wanted(CERTIFICATE, INPUTS)
    assert changes(CERTIFICATE, first, described) == {"mount": (server.PKI_MOUNT, DIFFERS), "good": (True, False)}
    before = shown()
    computed = bring_about(CERTIFICATE, first, described)
    after = shown()
    assert after != before
    assert dict(computed) == {"serial_number": serial_of(after)}
    assert openbao.read(f"{server.PKI_MOUNT}/cert/{serial_of(after)}")
    assert changes(CERTIFICATE, first, described) == {}
    assert dict(bring_about(CERTIFICATE, first, described)) == dict(computed), "it is not signed twice"
    assert after.not_valid_after_utc - after.not_valid_before_utc > timedelta(days=396)


def test_a_client_believes_every_host_of_it_and_no_other(signed: Connections, authority: Authority) -> None:
    assert signed
    hosts = (*INPUTS["hosts"], "other.example.com", "10.123.51.8", "fd00::8")
    assert [host for host in hosts if believed(host, authority)] == INPUTS["hosts"]


@pytest.mark.parametrize(
    ("differs", "field", "found"),
    [
        ({"hosts": [ADDRESS, "moved.example.com"]}, "hosts", sorted(INPUTS["hosts"])),
        ({"key": str(DerivedSecret("another", Form.PEM))}, "key", DIFFERS),
    ],
    ids=["hosts", "key"],
)
def test_what_is_wanted_otherwise_is_named(
    signed: Connections, differs: dict[str, Any], field: str, found: object
) -> None:
    described = wanted(CERTIFICATE, {**INPUTS, **differs})
    named = changes(CERTIFICATE, signed, described)
    assert {name: there for name, (_, there) in named.items()} == {field: found}


def test_every_field_that_the_certificate_shows_can_drift() -> None:
    seen = set(CERTIFICATE.inputs.model_fields) - CERTIFICATE.write_only - set(CERTIFICATE.key)
    assert seen == {"mount", "key", "hosts", "good"}, "a new field needs its case here"


def test_other_hosts_get_another_certificate(signed: Connections, authority: Authority) -> None:
    moved = wanted(CERTIFICATE, {**INPUTS, "hosts": [ADDRESS, "moved.example.com"]})
    bring_about(CERTIFICATE, signed, moved)
    assert hosts_of(shown()) == [ADDRESS, "moved.example.com"]
    assert believed("moved.example.com", authority)
    assert changes(CERTIFICATE, signed, moved) == {}


def test_one_that_is_near_its_end_is_signed_anew(ground: Connections) -> None:
    good = wanted(CERTIFICATE, {**INPUTS, "days": EARLY.days + 1})
    CERTIFICATE.create(ground, good)
    assert changes(CERTIFICATE, ground, good) == {}
    CERTIFICATE.create(ground, wanted(CERTIFICATE, {**INPUTS, "days": EARLY.days - 1}))
    ending = shown()
    assert changes(CERTIFICATE, ground, good) == {"good": (True, False)}
    bring_about(CERTIFICATE, ground, good)
    assert shown().not_valid_after_utc > ending.not_valid_after_utc
    assert changes(CERTIFICATE, ground, good) == {}


def test_a_file_that_is_gone_or_none_is_made_anew(signed: Connections) -> None:
    described = wanted(CERTIFICATE, INPUTS)
    file_of(signed).remove(FILE)
    assert CERTIFICATE.read(signed, described) is None
    bring_about(CERTIFICATE, signed, described)
    assert changes(CERTIFICATE, signed, described) == {}
    spoiled = wanted(CERTIFICATE, {**INPUTS, "path": KEY})
    assert CERTIFICATE.read(signed, spoiled) is None, "a key is no certificate"


def test_it_is_found_by_its_id_alone(signed: Connections) -> None:
    identity = CERTIFICATE.identity(wanted(CERTIFICATE, INPUTS).model_dump())
    found = CERTIFICATE.read(signed, CERTIFICATE.from_identity(identity))
    assert found is not None
    assert found.fields["hosts"] == sorted(INPUTS["hosts"])
    assert found.computed == {"serial_number": serial_of(shown())}


def test_without_its_container_it_is_not_there(connections: Connections) -> None:
    described = wanted(CERTIFICATE, {**INPUTS, "container": "nobody"})
    assert CERTIFICATE.read(connections, described) is None
    with pytest.raises(ServerError, match="no such container") as caught:
        CERTIFICATE.create(connections, described)
    assert "forgeline up" in caught.value.fix


def test_a_container_that_does_not_show_it_is_told(ground: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "PATIENCE", 0.5)
    with pytest.raises(ServerError, match=f"does not show its new certificate at {ADDRESS}:8444") as caught:
        CERTIFICATE.create(ground, wanted(CERTIFICATE, {**INPUTS, "shown_at": f"{ADDRESS}:8444"}))
    assert "docker logs shown" in caught.value.fix


def test_its_key_is_nowhere_but_in_its_file(signed: Connections, engine: ContainerEngine) -> None:
    key = file_of(signed).read(KEY)
    assert key
    line = key.splitlines()[1]
    found = CERTIFICATE.read(signed, wanted(CERTIFICATE, INPUTS))
    assert line not in f"{engine.client.containers.get('shown').attrs} {found}"


def test_removing_it_leaves_what_is_shown(signed: Connections) -> None:
    before = shown()
    CERTIFICATE.delete(signed, wanted(CERTIFICATE, INPUTS))
    assert shown() == before
