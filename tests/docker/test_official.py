"""The profile on images that are laid out as the vendors' are, pulled by digest from a registry on loopback.

The vendors' own images can't be had here. What runs is real, but for the stand-in in GitLab's place.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from docker.errors import DockerException

from infra.clients.container_engine import ContainerEngine
from infra.core.naming import container_name
from infra.core.progress import Silent
from infra.core.settings import IMAGE_PINS, load_settings
from infra.images.builder import Builder
from infra.images.official import SERVERS, OfficialImages
from infra.images.recipe import recipes
from infra.operations.pipeline_run import ENDED
from infra.servers.container import HOSTS, housing
from infra.servers.housing import USER
from infra.servers.official import OFFICIAL
from infra.toolchain.pin import load_pins
from tests.docker.registry import Registry
from tests.docker.stack import stack_of
from tests.docker.vendor import Layer, configured, laid_out
from tests.loopback import serving
from tests.trial import Stack

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("tests.docker.test_images")]

NAME = "vendors"
TOOLS = load_pins().tools
VERSIONS = {
    "gitlab": "19.4.1-ce.0",
    "nexus": TOOLS["nexus"].version,
    "openbao": TOOLS["openbao"].version,
    "proxy": TOOLS["caddy"].version,
    "runner": f"alpine-v{TOOLS['gitlab-runner'].version}",
}
"""What the registry's images are, and are pinned as."""
NEXT = f"{VERSIONS['proxy']}-alpine"
"""Another image of the same Caddy."""
JAVA = "position-keeping"
PATIENCE = 600


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Registry]]:
    """A registry with an image for each server, at the versions of the programs in them; and its host and port."""
    folder = tmp_path_factory.mktemp("vendors")
    builder = Builder.of(load_settings(os.environ), os.environ)
    wanted = [recipe for recipe in recipes() if recipe.server]
    builder.fetch(wanted, Silent())
    built = {recipe.server: builder.make(recipe, Silent()) for recipe in wanted}
    names = ("openbao", "caddy", "gitlab-runner")
    programs = {name: tool.path for name, tool in builder.toolchain.ensure(names, Silent()).items()}
    workbench = built["runner"].layers[1].archive
    made = Registry()
    for server, image in OfficialImages.of(IMAGE_PINS).images.items():
        made.add(image.name, VERSIONS[server], *laid_out(server, built[server], programs, workbench, folder))
    configuration, layers = laid_out("proxy", built["proxy"], programs, workbench, folder)
    another = Layer(folder / "another.tar")
    another.folder("another")
    layers.append(another.written())
    made.add("caddy", NEXT, configured(layers, **json.loads(configuration)["config"]), layers)
    with serving(made.handler()) as url:
        yield url.removeprefix("http://"), made


@pytest.fixture(scope="module")
def stack(host: str, registry: tuple[str, Registry], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of one Java service, of which nothing is there yet."""
    images = f"images: {{from: official, registry: '{registry[0]}'}}\n"
    folder = tmp_path_factory.mktemp("official")
    made = stack_of(JAVA, folder, name=NAME, host=host, lowest=160, more=images)
    try:
        yield made
    finally:
        made.run("destroy", "--yes")


def container(engine: ContainerEngine, server: str) -> Any:
    return engine.client.containers.get(container_name(NAME, server))


def test_nothing_is_begun_while_a_digest_is_missing(stack: Stack, engine: ContainerEngine) -> None:
    told = stack.run("up", expect=2).stderr
    assert "forgeline images pin --only nexus --only runner" in told
    assert not engine.client.containers.list(all=True, filters={"label": f"forgeline.profile={NAME}"})


def test_a_registry_that_can_not_be_asked_is_told(stack: Stack, registry: tuple[str, Registry]) -> None:
    assert "no such image" in stack.run("images", "pin", "--only", "proxy", "--version", "0.0", expect=2).stderr
    profile = stack.settings.profile_file
    right = profile.read_text()
    closed = Registry(credentials="somebody:secret")
    with serving(closed.handler()) as url:
        profile.write_text(right.replace(registry[0], url.removeprefix("http://")))
        assert "docker login" in stack.run("images", "pin", expect=3).stderr
    # The server of the `with` block is gone: nobody listens there now.
    assert "reaches the registry" in stack.run("images", "pin", expect=3).stderr
    profile.write_text(right)
    assert not stack.settings.own_image_pins.exists()


def test_the_digests_are_asked_for_and_written_down(stack: Stack) -> None:
    dry = stack.json("images", "pin", "--only", "nexus", "--version", VERSIONS["nexus"], "--dry-run")
    assert not dry["written"]
    assert dry["changed"]
    assert not stack.settings.own_image_pins.exists()
    shown = stack.run("images", "pin", "--only", "nexus", "--version", VERSIONS["nexus"]).stdout
    assert "+    digest: sha256:" in shown
    assert OfficialImages.of(stack.settings.image_pins).unpinned(SERVERS) == ["runner"]
    for server, version in VERSIONS.items():
        stack.run("images", "pin", "--only", server, "--version", version)
    pins = OfficialImages.of(stack.settings.own_image_pins)
    assert not pins.unpinned(SERVERS)
    assert {server: pins.images[server].version for server in SERVERS} == VERSIONS
    again = stack.json("images", "pin")
    assert not again["written"]
    assert not again["changed"]


def test_a_digest_that_the_registry_does_not_have_is_told(stack: Stack, engine: ContainerEngine) -> None:
    file = stack.settings.own_image_pins
    right = file.read_text()
    pin = OfficialImages.of(file).images["proxy"]
    file.write_text(right.replace(str(pin.digest), "sha256:" + "1" * 64))
    try:
        told = stack.run("up", expect=3).stderr
    finally:
        file.write_text(right)
    assert "1" * 64 in told
    assert "`forgeline images pin`" in told
    assert not engine.client.containers.list(filters={"name": container_name(NAME, "proxy")})


def test_every_server_comes_up_on_the_image_that_is_pinned(stack: Stack, engine: ContainerEngine) -> None:
    stack.run("up", timeout=1200)
    servers = {server["name"]: server for server in stack.json("status")["servers"]}
    assert set(servers) == set(HOSTS)
    assert all(server["healthy"] for server in servers.values()), servers
    pins = OfficialImages.of(stack.settings.own_image_pins).images
    for server in OFFICIAL:
        image = engine.client.images.get(container(engine, server).attrs["Image"])
        assert any(one.endswith(f"@{pins[server].digest}") for one in image.attrs["RepoDigests"]), server
        assert servers[server]["version"], server


def test_a_second_up_changes_nothing_and_nothing_has_drifted(stack: Stack) -> None:
    again = stack.json("up")
    assert again["changes"] == []
    assert not again["changed"]
    stack.run("drift")


def test_every_check_of_the_containers_passes(stack: Stack) -> None:
    failed = [check for check in stack.json("verify") if check["outcome"] != "passed"]
    assert failed == []


def test_caddy_runs_only_where_its_file_can_have_what_it_asks_for(stack: Stack, engine: ContainerEngine) -> None:
    image = container(engine, "proxy").attrs["Image"]
    confined: dict[str, Any] = {
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "user": USER,
        "network_mode": "none",
    }
    question = ["/usr/bin/caddy", "version"]
    with pytest.raises(DockerException, match="operation not permitted"):
        engine.client.containers.run(image, question, remove=True, **confined)
    allowed = list(housing(stack.settings, "proxy").capabilities)
    said: bytes = engine.client.containers.run(image, question, remove=True, cap_add=allowed, **confined)
    assert TOOLS["caddy"].version in said.decode()


def test_the_pipeline_goes_green(stack: Stack) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        (service,) = stack.json("status")["services"]
        if service["pipeline"] and service["pipeline"]["status"] in ENDED:
            break
        assert time.monotonic() < deadline, service
        time.sleep(2)
    assert service["pipeline"]["status"] == "success", stack.run("service", JAVA, expect=None).stdout


def test_another_version_is_pinned_and_takes_the_containers_place(stack: Stack, engine: ContainerEngine) -> None:
    before = container(engine, "proxy").attrs["Image"]
    stack.run("images", "pin", "--only", "proxy", "--version", NEXT)
    planned = {(one["kind"], one["name"]): one["op"] for one in stack.json("preview")}
    assert planned.pop(("forgeline:docker:Container", "proxy")) == "replace"
    assert {kind for kind, _ in planned} == {"forgeline:docker:Image"}
    stack.run("up")
    now = container(engine, "proxy").attrs["Image"]
    assert now != before
    pin = OfficialImages.of(stack.settings.image_pins).images["proxy"]
    assert any(one.endswith(f"@{pin.digest}") for one in engine.client.images.get(now).attrs["RepoDigests"])
    assert all(server["healthy"] for server in stack.json("status")["servers"])
