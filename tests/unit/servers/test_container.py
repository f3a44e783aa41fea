"""The servers described for containers: on the inner network, on their volumes, and the same servers as the lab's."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from infra.clients.authority import PROXY_KEY, Authority, ensure_authority
from infra.core.server import Server
from infra.core.settings import Settings, load_settings
from infra.programs.container import Image
from infra.programs.docker import LIMITS, Trust, containers, docker_servers
from infra.programs.lab import lab_servers
from infra.servers.container import HOSTS
from infra.servers.proxy import Shown

IMAGES = {name: Image(name=f"forgeline/{name}:1", identifier="sha256:1") for name in HOSTS}
NAMES = ("proxy", "openbao", "nexus", "gitlab", "runner")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environ = {"HOME": str(tmp_path), "FORGELINE_STATE": str(tmp_path / "state"), "FORGELINE_PROFILE": "docker"}
    return load_settings(environ)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return ensure_authority(tmp_path / "tls", bytes(32), name="docker", hosts=("172.31.250.1",))


@pytest.fixture
def trust(authority: Authority) -> Trust:
    shown = Shown(certificate=authority.first, key=str(PROXY_KEY))
    return Trust(authority=authority.certificate, shown=shown, trusted=authority.certificate)


@pytest.fixture
def servers(settings: Settings, trust: Trust) -> dict[str, Server]:
    return {server.name: server for server in docker_servers(settings, trust)}


def test_they_are_those_of_the_lab_and_the_proxy(servers: dict[str, Server], settings: Settings) -> None:
    names = ("openbao", "nexus", "java", "gitlab-runner")
    lab = lab_servers(settings, {name: Path("/tools") / name for name in names})
    assert set(servers) == {server.name for server in lab} | {"proxy"}
    assert set(servers) == set(HOSTS)


@pytest.mark.parametrize("name", NAMES)
def test_all_that_it_writes_is_on_its_volume(servers: dict[str, Server], name: str) -> None:
    server = servers[name]
    paths = [*(folder.path for folder in server.folders), *(file.path for file in server.files), *server.unfinished]
    assert all(Path(path).is_relative_to(f"/srv/{name}") for path in paths)
    made = {Path(folder.path) for folder in server.folders}
    assert {Path(file.path).parent for file in server.files} <= made
    assert all(folder.parent in {*made, Path("/srv")} for folder in made)


@pytest.mark.parametrize("name", NAMES)
def test_only_the_proxy_is_for_others_than_containers(servers: dict[str, Server], name: str) -> None:
    inside = f"172.31.250.{HOSTS[name]}"
    wanted = "172.31.250.1" if name == "proxy" else inside
    assert {listener.address for listener in servers[name].listeners} <= {wanted}


def test_nothing_of_this_machine_is_in_a_command(servers: dict[str, Server], tmp_path: Path) -> None:
    for server in servers.values():
        words = [*server.command, *server.environment.values(), server.working_folder]
        words += [word for preparation in server.preparations for word in preparation.command]
        assert not [word for word in words if str(tmp_path) in word or "/work/" in word]


def test_no_secret_is_in_a_description(servers: dict[str, Server]) -> None:
    text = json.dumps([server.model_dump(mode="json") for server in servers.values()])
    assert "PRIVATE KEY" not in text


def test_openbao_has_a_seal_key_of_its_own_and_runs_the_authority(servers: dict[str, Server]) -> None:
    files = {Path(file.path).name: file for file in servers["openbao"].files}
    assert files["seal.key"].secrets == {"key": "derived:openbao-seal#hex"}
    assert files["authority.pem"].first_start_only
    assert files["authority.pem"].secrets == {"key": "derived:tls-authority#pem"}
    configuration = json.loads(files["openbao.json"].content)
    assert configuration["seal"]["static"]["current_key"] == "file:///srv/openbao/seal.key"
    first = [name for request in configuration["initialize"][0]["forgeline"]["request"] for name in request]
    # The login is made last: who can sign in finds all the rest.
    assert first[:3] == ["pki", "authority", "servers"]
    assert first[-1] == "operator"


def test_the_runner_runs_under_a_supervisor_and_trusts_the_proxy(servers: dict[str, Server]) -> None:
    files = {Path(file.path).name: file for file in servers["runner"].files}
    (entry,) = tomllib.loads(files["config.toml"].content)["runners"]
    assert entry["tls-ca-file"] == "/srv/runner/ca.pem"
    variables = dict(variable.split("=", 1) for variable in entry["environment"])
    assert variables["FORGELINE_STATE"] == "/srv/runner/state"
    assert variables["SSL_CERT_FILE"] == "/srv/runner/trust.pem"
    assert "gitlab-runner" in files["runner.conf"].content
    assert servers["runner"].command[0].endswith("supervisord")
    assert servers["runner"].stop_seconds == 20


def test_another_catalogue_does_not_start_the_runner_again(servers: dict[str, Server]) -> None:
    live = {file.path for file in servers["runner"].files if file.live}
    assert live
    assert all(path.startswith("/srv/runner/pipelines/") for path in live)


@pytest.mark.parametrize("gib", LIMITS)
def test_the_limits_leave_the_machine_something(gib: int) -> None:
    assert set(LIMITS[gib]) == set(HOSTS)
    assert sum(LIMITS[gib].values()) <= gib * 1024 * 0.8


def test_the_proxy_is_shown_with_the_profiles_address(settings: Settings, trust: Trust) -> None:
    made = containers(settings, IMAGES, {}, shown=trust.shown)
    assert made.certificate is not None
    assert made.certificate.hosts == ("172.31.250.1",)
    assert made.gateway == "172.31.250.1"


OWN = "name: docker\nplacement: docker\naddress: 172.31.250.1\nhost: delivery.example.com\nca: ca.pem\n" + (
    "certificate: {chain: chain.pem, key: 'file:/etc/key.pem'}\nenvironment_port_offsets: {dev: 1}\n"
)


def test_somebody_elses_certificate_takes_the_place_of_openbaos(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "ca.pem").write_text("theirs\n")
    (tmp_path / "own.yaml").write_text(OWN)
    settings = load_settings({"FORGELINE_PROFILE": str(tmp_path / "own.yaml"), "HOME": str(tmp_path)})
    shown = Shown(certificate="chain\n", key="file:/etc/key.pem", lasting=True)
    own = Trust(authority=authority.certificate, shown=shown, trusted="theirs\n")
    servers = {server.name: server for server in docker_servers(settings, own)}
    files = {file.path: file for file in servers["proxy"].files}
    assert files["/srv/proxy/tls/given.pem"].content == "chain\n{{key}}\n"
    assert files["/srv/proxy/tls/given.pem"].secrets == {"key": "file:/etc/key.pem"}
    assert "tls /srv/proxy/tls/given.pem /srv/proxy/tls/given.pem" in files["/srv/proxy/Caddyfile"].content
    assert servers["proxy"].preparations == ()
    inner = {file.path: file.content for file in servers["runner"].files}
    assert inner["/srv/runner/ca.pem"] == inner["/srv/runner/state/tls/ca.pem"] == "theirs\n"
    assert "ca" not in inner["/srv/runner/profile.yaml"].replace("placement", "").replace("advisories", "")
    assert "https://delivery.example.com:8929" in inner["/srv/runner/config.toml"]
    made = containers(settings, IMAGES, {}, shown=shown)
    assert made.certificate is None
    assert made.hosts == {"delivery.example.com": "172.31.250.1"}


def test_where_the_systems_authorities_will_do_nobody_is_told_of_others(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "own.yaml").write_text(OWN.replace("ca: ca.pem\n", ""))
    settings = load_settings({"FORGELINE_PROFILE": str(tmp_path / "own.yaml"), "HOME": str(tmp_path)})
    assert settings.ca is None
    shown = Shown(certificate="chain\n", key="file:/etc/key.pem", lasting=True)
    own = Trust(authority=authority.certificate, shown=shown, trusted="")
    servers = {server.name: server for server in docker_servers(settings, own)}
    assert not any(file.path.endswith("ca.pem") for server in servers.values() for file in server.files)
    assert "tls-ca-file" not in {file.path: file.content for file in servers["runner"].files}["/srv/runner/config.toml"]
    assert "SSL_CERT_FILE" not in servers["openbao"].environment
