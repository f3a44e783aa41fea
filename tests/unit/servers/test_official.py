"""The servers described for their vendors' images: each where its image has it, and confined as far as that lets."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from infra.core.server import Server
from infra.core.settings import IMAGE_PINS, Settings, load_settings
from infra.images.official import SERVERS, OfficialImages
from infra.operations import docker_profile
from infra.programs.container import Containers
from infra.programs.docker import OFFICIAL_LIMITS
from infra.servers.container import HOSTS, housing
from infra.servers.official import OFFICIAL

NAMES = sorted(HOSTS)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    profile = tmp_path / "own.yaml"
    shipped = load_settings({"FORGELINE_PROFILE": "docker-official"}).profile_file
    profile.write_text(shipped.read_text().replace("  # registry: HOST:PORT", "  registry: mirror:5000/of"))
    pins = OfficialImages.of(IMAGE_PINS)
    digests = {
        server: image.model_copy(update={"digest": "sha256:" + str(number) * 64})
        for number, (server, image) in enumerate(pins.images.items())
    }
    (tmp_path / "own.pins.yaml").write_text(OfficialImages(images=digests).text())
    return load_settings({"FORGELINE_PROFILE": str(profile), "FORGELINE_STATE": str(tmp_path / "state")})


@pytest.fixture
def servers(settings: Settings) -> dict[str, Server]:
    return {server.name: server for server in docker_profile.servers(settings)}


@pytest.fixture
def placed(settings: Settings) -> Containers:
    """What the containers are made with, where each image that is built here has an id."""
    built = dict.fromkeys(docker_profile.references(settings), "sha256:" + "a" * 64)
    made = docker_profile.foundation(settings, built).containers
    assert made is not None
    return made


@pytest.mark.parametrize("name", NAMES)
def test_all_that_it_writes_is_on_its_volumes(servers: dict[str, Server], settings: Settings, name: str) -> None:
    server, volumes = servers[name], housing(settings, name).volumes.values()
    paths = [*(folder.path for folder in server.folders), *(file.path for file in server.files), server.started_once]
    outside = [path for path in paths if path and not any(Path(path).is_relative_to(volume) for volume in volumes)]
    assert outside == []
    made = {Path(folder.path) for folder in server.folders} | set(volumes)
    assert {Path(file.path).parent for file in server.files} <= made


@pytest.mark.parametrize("name", NAMES)
def test_what_the_engine_asks_is_filled_in(servers: dict[str, Server], name: str) -> None:
    assert servers[name].health
    assert not [word for word in servers[name].health if re.search(r"\{(address|port)\}", word)]


@pytest.mark.parametrize("name", ["nexus", "openbao", "proxy"])
def test_it_is_not_asked_with_what_its_image_lacks(servers: dict[str, Server], name: str) -> None:
    assert servers[name].health[0] != "bash"
    assert any(f"172.31.251.{HOSTS[name]}:" in word for word in servers[name].health)


def test_only_gitlab_runs_as_root_and_nothing_has_a_capability_without_need(settings: Settings) -> None:
    assert {name for name in NAMES if housing(settings, name).user == "0:0"} == {"gitlab"}
    assert {name for name in NAMES if housing(settings, name).capabilities} == {"gitlab", "proxy"}
    assert {name for name in NAMES if not housing(settings, name).read_only} == {"gitlab", "nexus"}


def test_openbao_is_started_by_a_path_that_its_entry_point_only_runs(servers: dict[str, Server]) -> None:
    assert servers["openbao"].command[:2] == ("/usr/bin/bao", "server")
    told = next(file for file in servers["openbao"].files if file.path.endswith("openbao.json"))
    assert json.loads(told.content)["plugin_directory"] == "/opt/nexus-secrets"


def test_nexus_is_told_nothing_that_its_image_knows(servers: dict[str, Server]) -> None:
    server = servers["nexus"]
    assert server.command == ("/opt/sonatype/nexus/bin/nexus", "run")
    assert set(server.environment) == {"INSTALL4J_ADD_VM_PARAMS"}
    assert server.readiness.first_password_file == "/nexus-data/admin.password"
    assert [file.path for file in server.files] == ["/nexus-data/etc/nexus.properties"]


def test_gitlabs_secrets_are_in_files_of_the_first_start_and_on_standard_input(servers: dict[str, Server]) -> None:
    server = servers["gitlab"]
    rb, password = server.files
    assert rb.secrets == {}
    assert password.first_start_only
    assert f'File.read("{password.path}") if File.exist?("{password.path}")' in rb.content
    (use,) = server.first_uses
    assert use.content == "{{token}}"
    assert not any("{{" in word for word in (*use.command, *server.command, *server.environment.values()))
    assert use.answers == f"{server.readiness.url}/-/readiness"


def test_gitlab_stands_behind_the_proxy(servers: dict[str, Server], settings: Settings) -> None:
    lines = servers["gitlab"].files[0].content.splitlines()
    assert f'external_url "{settings.gitlab_url}"' in lines
    assert f"nginx['listen_port'] = {settings.profile.ports.gitlab}" in lines
    assert "nginx['listen_https'] = false" in lines
    # The health endpoints are for who is on this list only (GitLab's documentation, "Monitoring IP allowlist").
    assert 'gitlab_rails[\'monitoring_whitelist\'] = ["127.0.0.0/8", "172.31.251.0/24"]' in lines
    assert 'nginx[\'proxy_set_headers\'] = { "X-Forwarded-Proto" => "https", "X-Forwarded-Ssl" => "on" }' in lines


@pytest.mark.parametrize("gib", OFFICIAL_LIMITS)
def test_the_limits_leave_the_machine_something(gib: int) -> None:
    assert set(OFFICIAL_LIMITS[gib]) == set(HOSTS)
    assert sum(OFFICIAL_LIMITS[gib].values()) <= gib * 1024 * 0.95
    # docs.gitlab.com, installation requirements: 4 GiB at least, but for memory-constrained environments.
    assert OFFICIAL_LIMITS[gib]["gitlab"] >= 4096


def test_containers_are_made_of_what_is_pinned_in_the_profiles_registry(placed: Containers, settings: Settings) -> None:
    pins = OfficialImages.of(settings.image_pins).images
    assert set(SERVERS) == {*OFFICIAL, "runner"}
    for server in OFFICIAL:
        image = placed.images[server]
        assert image.pulled
        assert image.name == f"mirror:5000/of/{pins[server].name}:{pins[server].version}"
        assert image.identifier == pins[server].digest
    assert not placed.images["runner"].pulled


def test_the_plugin_comes_from_here_and_the_runners_program_from_its_vendor(placed: Containers) -> None:
    plugin = placed.brought["openbao"]["/opt/nexus-secrets"]
    assert (plugin.image.pulled, plugin.path) == (False, "/opt/nexus-secrets")
    program = placed.brought["runner"]["/opt/gitlab-runner"]
    assert (program.image.pulled, program.path) == (True, "/usr/bin")
    assert {"/opt/jobs/go", "/opt/jobs/java", "/opt/jobs/node", "/opt/openbao"} < set(placed.brought["runner"])


def test_only_what_no_vendor_makes_is_built(settings: Settings) -> None:
    names = {name.partition(":")[0].partition("/")[2] for name in docker_profile.references(settings)}
    assert names == {"openbao", "runner", "jobs-go", "jobs-java", "jobs-node"}
