"""The profile `docker` on a real engine with the images that are built here, used through the command line as a person
would. The tests use one stack of one service, in their order; the last leaves nothing of it.
"""

from __future__ import annotations

import io
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.clients.container import PROFILE_LABEL
from infra.clients.container_engine import ContainerEngine, absent
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.core.naming import GITLAB_ROOT, RAW_RELEASES, container_name
from infra.core.secret import SecretRef
from infra.images.image import CONTENT_LABEL
from infra.operations.docker_profile import references
from infra.operations.pipeline_run import ENDED
from infra.programs.docker import LIMITS
from infra.servers.container import HOSTS
from pipelines.catalogue import load_catalogue
from tests.docker.certificate import Authority
from tests.docker.daemon import Daemon
from tests.docker.stack import stack_of
from tests.trial import FORGELINE, Stack

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("tests.docker.test_images")]

NAME = "trial"
SERVICE = "market-data"
"""In Go. A Java service goes the same way in `test_official.py`."""
PATIENCE = 60
PIPELINE_PATIENCE = 900


@pytest.fixture(scope="module")
def stack(host: str, engine: ContainerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose first `up` was killed, and which the second finished."""
    folder = tmp_path_factory.mktemp("profile")
    made = stack_of(SERVICE, folder, name=NAME, host=host, lowest=60)
    try:
        assert killed_when_begun(made, engine, "nexus")
        (folder / "up.log").write_text(made.run("up", timeout=3600).stderr)
        yield made
    finally:
        made.run("destroy", "--yes")


def killed_when_begun(stack: Stack, engine: ContainerEngine, server: str) -> bool:
    """Whether `up` was at work, and died, when the engine had this server's container."""
    with (stack.folder / "killed.log").open("w") as log:
        run = subprocess.Popen([str(FORGELINE), "up"], env=stack.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 3600
        name = container_name(NAME, server)
        while time.monotonic() < deadline and run.poll() is None:
            if absent(lambda: engine.client.containers.get(name)) is not None:
                run.kill()
                return run.wait() == -signal.SIGKILL
            time.sleep(0.1)
        run.kill()
        run.wait()
    return False


@pytest.fixture(scope="module")
def openbao(stack: Stack) -> Iterator[OpenBao]:
    client = OpenBao.of(stack.settings)
    yield client
    client.close()


def container(engine: ContainerEngine, server: str) -> Any:
    return engine.client.containers.get(container_name(NAME, server))


def mine(engine: ContainerEngine) -> dict[str, int]:
    """How many things of the profile the engine has."""
    label = {"label": f"{PROFILE_LABEL}={NAME}"}
    client = engine.client
    return {
        "containers": len(client.containers.list(all=True, filters=label)),
        "volumes": len(client.volumes.list(filters=label)),
        "networks": len(client.networks.list(filters=label)),
    }


def test_up_ends_when_every_server_has_done_what_it_is_for(stack: Stack) -> None:
    told = (stack.folder / "up.log").read_text().partition("Proof")[2]
    assert "a secret was read" in told
    assert "an artifact was put and got" in told
    assert "a job was run: validate of trading/" in told


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    again = stack.json("up")
    assert again["changes"] == []
    assert not again["changed"]


def test_nothing_has_drifted(stack: Stack) -> None:
    stack.run("drift")


def test_every_server_is_healthy(stack: Stack) -> None:
    servers = {server["name"]: server for server in stack.json("status")["servers"]}
    assert set(servers) == set(HOSTS)
    assert all(server["healthy"] for server in servers.values()), servers
    assert all(server["process"].startswith("running") for server in servers.values())


def test_the_first_pipeline_goes_green_and_its_version_serves(stack: Stack) -> None:
    deadline = time.monotonic() + PIPELINE_PATIENCE
    while True:
        (pipeline,) = [one["pipeline"] for one in stack.json("status")["services"]]
        if pipeline and pipeline["status"] in ENDED:
            break
        assert time.monotonic() < deadline, pipeline
        time.sleep(3)
    assert pipeline["status"] == "success", pipeline
    assert served(stack) == f"1.0.{pipeline['number']}"


def served(stack: Stack) -> str:
    """The version that answers in `dev`; a service that is starting is waited for."""
    service = load_catalogue(stack.settings.catalog).service(SERVICE)
    url = f"http://{stack.settings.environment_address}:{stack.settings.service_port(service.port, 'dev')}/version"
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return str(httpx.get(url, trust_env=False).json()["version"])
        except httpx.TransportError:
            assert time.monotonic() < deadline, f"nothing answers at {url}"
            time.sleep(0.5)


def test_every_check_of_the_containers_passes(stack: Stack) -> None:
    failed = [check for check in stack.json("verify") if check["outcome"] != "passed"]
    assert failed == []


def test_a_server_that_dies_comes_back(stack: Stack, engine: ContainerEngine) -> None:
    before = container(engine, "gitlab")
    os.kill(before.attrs["State"]["Pid"], signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        now = container(engine, "gitlab")
        if now.attrs["RestartCount"] == 1 and _healthy(stack, "gitlab"):
            break
        time.sleep(0.5)
    assert now.id == before.id
    assert now.attrs["State"]["Pid"] not in {0, before.attrs["State"]["Pid"]}
    stack.run("status")


def _healthy(stack: Stack, name: str) -> bool:
    servers = stack.json("status", expect=None)["servers"]
    return any(server["healthy"] for server in servers if server["name"] == name)


def test_a_limit_that_was_changed_by_hand_is_found_and_mended(stack: Stack, engine: ContainerEngine) -> None:
    container(engine, "nexus").update(mem_limit="1500m", memswap_limit="3000m")
    (found,) = stack.json("drift", expect=1)
    assert found["field"] == "memory_mib"
    assert found["actual"] == 1500
    failed = [check["name"] for check in stack.json("verify", expect=1) if check["outcome"] != "passed"]
    assert failed == ["memory is limited: nexus"]
    stack.run("up", "--refresh")
    stack.run("drift")


def test_limits_for_a_larger_machine_are_set_in_place(stack: Stack, engine: ContainerEngine) -> None:
    identifiers = {server: container(engine, server).id for server in HOSTS}
    profile = stack.settings.profile_file
    profile.write_text(profile.read_text().replace("memory_gib: 8\n", "memory_gib: 16\n"))
    planned = [change for change in stack.json("preview") if change["kind"] == "forgeline:docker:Container"]
    assert {change["name"]: (change["op"], change["fields"]) for change in planned} == {
        server: ("update", ["memory_mib"]) for server in HOSTS if server != "runner"
    } | {"runner": ("update", ["files", "memory_mib"])}, planned
    stack.run("up")
    now = {server: container(engine, server) for server in HOSTS}
    assert {server: one.id for server, one in now.items()} == identifiers
    limits = {server: one.attrs["HostConfig"]["Memory"] // 2**20 for server, one in now.items()}
    assert limits == LIMITS[16]


def test_an_image_that_is_not_what_is_built_here_is_put_right(stack: Stack, engine: ContainerEngine) -> None:
    (name,) = [one for one in references(stack.settings) if one.startswith("forgeline/proxy:")]
    right = engine.client.images.get(name).id
    recipe = f"FROM {name}\nLABEL {CONTENT_LABEL}=another\n".encode()
    other, _ = engine.client.images.build(fileobj=io.BytesIO(recipe), tag=name, rm=True)
    assert other.id != right
    assert [change for change in stack.json("preview") if change["stack"] == "images"] == [
        {"stack": "images", "op": "create", "kind": "image", "name": name, "fields": []}
    ]
    stack.run("up", "--no-build")
    assert container(engine, "proxy").attrs["Image"] == other.id
    done = stack.json("up")
    assert [(one["op"], one["name"], one["fields"]) for one in done["changes"]] == [("replace", "proxy", ["image_id"])]
    assert container(engine, "proxy").attrs["Image"] == right
    assert all(server["healthy"] for server in stack.json("status")["servers"])


def test_without_an_image_nothing_is_begun_where_none_may_be_built(stack: Stack, engine: ContainerEngine) -> None:
    (name,) = [one for one in references(stack.settings) if one.startswith("forgeline/jobs-node:")]
    image = engine.client.images.get(name)
    assert image.tag("forgeline/kept", "1")
    engine.client.images.remove(name)
    try:
        told = stack.run("up", "--no-build", expect=2).stderr
        assert name in told
        assert "forgeline images build" in told
    finally:
        image.tag(*name.split(":"))
        engine.client.images.remove("forgeline/kept:1")
    assert not stack.json("up")["changed"]


def test_down_and_up_keep_the_data(stack: Stack, engine: ContainerEngine, openbao: OpenBao) -> None:
    token = openbao.resolve(SecretRef(GITLAB_ROOT, "token"))
    version = served(stack)
    artifact = download(stack, openbao, version)
    assert artifact
    had = mine(engine)
    stack.run("down")
    assert mine(engine) == had
    assert all(container(engine, server).status == "exited" for server in HOSTS)
    stack.run("up")
    openbao.sign_in()
    assert openbao.resolve(SecretRef(GITLAB_ROOT, "token")) == token
    assert download(stack, openbao, version) == artifact
    assert served(stack) == version


def test_a_killed_engine_is_told_and_the_next_run_finishes(stack: Stack, daemon: Daemon, openbao: OpenBao) -> None:
    version = served(stack)
    daemon.kill()
    assert "no container engine answers" in stack.run("up", expect=3).stderr
    daemon.start()
    stack.run("up")
    assert all(server["healthy"] for server in stack.json("status")["servers"])
    openbao.sign_in()
    assert download(stack, openbao, version)
    assert served(stack) == version
    stack.run("drift")


def download(stack: Stack, openbao: OpenBao, version: str) -> bytes | None:
    """The service's artifact in Nexus."""
    nexus = NexusClient.of(stack.settings, openbao)
    try:
        return nexus.download(RAW_RELEASES, f"{SERVICE}/{version}/{SERVICE}-{version}.tar.gz")
    finally:
        nexus.close()


def test_a_certificate_of_ones_own_is_shown_and_a_renewed_one_too(
    stack: Stack, engine: ContainerEngine, tmp_path: Path
) -> None:
    profile, address = stack.settings.profile_file, stack.settings.profile.address
    authority, files = Authority("the company's"), {name: tmp_path / name for name in ("chain.pem", "key.pem")}
    (tmp_path / "ca.pem").write_text(authority.pem)

    def sign(host: str) -> str:
        texts = dict(zip(files, authority.sign([host]), strict=True))
        for name, text in texts.items():
            files[name].write_text(text)
            files[name].chmod(0o600)
        return texts["chain.pem"]

    sign("172.31.1.1")
    given = f"certificate: {{chain: {files['chain.pem']}, key: 'file:{files['key.pem']}'}}\nca: {tmp_path}/ca.pem\n"
    profile.write_text(profile.read_text() + given)
    refused = stack.run("up", expect=2).stderr
    assert "is for 172.31.1.1" in refused
    assert str(files["chain.pem"]) in refused
    first = sign(address)
    stack.run("up")
    assert shown(stack) == first
    assert [check for check in stack.json("verify") if check["outcome"] != "passed"] == []
    assert not stack.json("up")["changed"]
    again = sign(address)
    done = stack.json("up")
    assert [(one["op"], one["name"], one["fields"]) for one in done["changes"]] == [("update", "proxy", ["files"])]
    assert shown(stack) == again
    warned = {check["name"]: check for check in stack.json("doctor", expect=None)}["certificate"]
    assert (warned["verdict"], "good for 1 days" in warned["found"]) == ("warning", True)
    key = files["key.pem"].read_text().splitlines()[1]
    everywhere = [path for path in stack.settings.state.rglob("*") if path.is_file()]
    assert not [path for path in everywhere if key.encode() in path.read_bytes()]
    assert key not in str(container(engine, "proxy").attrs)


def shown(stack: Stack) -> str:
    """The certificate that the proxy shows, in PEM."""
    profile = stack.settings.profile
    return ssl.get_server_certificate((profile.address, profile.ports.gitlab))


def test_an_engine_that_is_not_there_is_told(stack: Stack, tmp_path: Path) -> None:
    nowhere = Stack(stack.folder, {**stack.environment, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    checks = {check["name"]: check for check in nowhere.json("doctor", expect=None)}
    assert checks["container engine"]["verdict"] == "missing"
    assert "DOCKER_HOST" in checks["container engine"]["fix"]
    assert "no container engine answers" in nowhere.run("up", expect=3).stderr


def test_destroy_leaves_nothing(stack: Stack, engine: ContainerEngine) -> None:
    assert all(mine(engine).values())
    stack.run("destroy", "--yes")
    assert not any(mine(engine).values())
    assert not stack.settings.state.exists()
