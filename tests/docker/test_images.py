"""The images on a real engine: small, without root, reproducible, and every program in them runs.

They are built in the user's cache, as `forgeline images build` does it: what is there is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from infra.clients.container_engine import ContainerEngine
from infra.core.progress import Silent
from infra.core.settings import load_settings
from infra.images.builder import Builder
from infra.images.image import Image
from infra.images.layer import Layers
from infra.images.recipe import GO_TOOLS, chosen, recipes
from infra.operations.images import Images, ImageView, State
from infra.toolchain.pin import load_pins

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group(__name__)]

NAMES = [recipe.name for recipe in recipes()]
LARGEST = 450e6
"""Bytes that an image may have."""


@dataclass
class Recorder(Silent):
    """Phases and progress of which the outcomes are kept."""

    outcomes: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def phase(self, _title: str) -> Iterator[Recorder]:
        yield self

    def done(self, item: str, outcome: str) -> None:
        self.outcomes[item] = outcome


@pytest.fixture(scope="session")
def work(host: str) -> Images:
    """The images of this machine's cache, on the tests' engine."""
    environ = {**os.environ, "DOCKER_HOST": host}
    return Images(load_settings(environ), environ)


@pytest.fixture(scope="session")
def views(work: Images, engine: ContainerEngine) -> Mapping[str, ImageView]:
    """The images, built."""
    assert engine.version
    return {view.plan.recipe.name: view for view in work.build((), Recorder())}


def image_of(view: ImageView) -> Image:
    assert view.plan.image is not None
    return view.plan.image


def run(engine: ContainerEngine, view: ImageView, *command: str, **options: object) -> str:
    """What a command says in a container as a placement makes it: read-only, without rights, here without network."""
    settings = {
        "read_only": True,
        "tmpfs": {"/tmp": ""},
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "network_mode": "none",
        "stderr": True,
        "remove": True,
        **options,
    }
    told: bytes = engine.client.containers.run(image_of(view).reference, list(command), **settings)
    return told.decode()


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_on_the_engine_and_small(name: str, views: Mapping[str, ImageView]) -> None:
    assert views[name].state is State.BUILT
    assert 0 < views[name].size <= LARGEST


@pytest.mark.parametrize("name", NAMES)
def test_nothing_runs_as_root_or_can_become_it(
    name: str, views: Mapping[str, ImageView], engine: ContainerEngine
) -> None:
    assert run(engine, views[name], "id", "-u").strip() == "10001"
    assert (
        run(engine, views[name], "find", "/", "-xdev", "-perm", "/6000", user="0:0", cap_add=["DAC_READ_SEARCH"]) == ""
    )


PROGRAMS = [
    ("openbao", "/opt/openbao/bao version", r"OpenBao v2\.\d+"),
    ("nexus", "/opt/java/bin/java -version", r'openjdk version "17'),
    ("gitlab-standin", "/opt/forgeline/.venv/bin/python -m infra.lab.gitlab --help", "stand-in, not GitLab"),
    ("gitlab-standin", "git --version", "git version 2"),
    ("proxy", "/opt/caddy/caddy version", r"v2\.\d+"),
    ("runner", "/opt/gitlab-runner/gitlab-runner --version", r"Version: +\d+"),
    ("runner", "forgeline --version", r"forgeline \d"),
    ("runner", "ansible-playbook --version", r"core 2\."),
    ("runner", "supervisord --version", r"4\."),
    ("runner", "uv --version", r"uv \d"),
    ("runner", "gitleaks version", r"\d+\.\d+"),
    ("runner", "curl --version", "curl 7"),
    ("jobs-go", "/opt/jobs/go/bin/go version", r"go1\.\d+"),
    ("jobs-go", "/opt/jobs/go/bin/staticcheck -version", "staticcheck"),
    ("jobs-go", "/opt/jobs/go/bin/gotestsum --version", "gotestsum"),
    ("jobs-go", "/opt/jobs/go/bin/gosec -version", r"\d+\.\d+"),
    ("jobs-java", "/opt/jobs/java/bin/javac -version", r"javac 17"),
    ("jobs-java", "/opt/jobs/java/bin/mvn --version", r"Apache Maven 3"),
    ("jobs-node", "/opt/jobs/node/bin/node --version", r"v\d+"),
]


@pytest.mark.parametrize("tool", GO_TOOLS)
def test_what_reads_go_code_was_built_by_the_go_beside_it(
    tool: str, views: Mapping[str, ImageView], engine: ContainerEngine
) -> None:
    told = run(engine, views["jobs-go"], "/opt/jobs/go/bin/go", "version", f"/opt/jobs/go/bin/{tool}")
    assert told.split()[-1] == f"go{load_pins().tools['go'].version}"


@pytest.mark.parametrize(("name", "command", "says"), PROGRAMS, ids=[f"{one[0]}: {one[1]}" for one in PROGRAMS])
def test_a_program_runs_in_a_read_only_container(
    name: str, command: str, says: str, views: Mapping[str, ImageView], engine: ContainerEngine
) -> None:
    workdir = {"working_dir": "/opt/forgeline"} if name == "gitlab-standin" else {}
    # A placement mounts a volume at the home folder.
    environment = {"HOME": "/tmp", **({"JAVA_HOME": "/opt/jobs/java/jdk"} if name == "jobs-java" else {})}
    assert re.search(says, run(engine, views[name], *command.split(), environment=environment, **workdir))


NEXUS = """
mkdir -p data/etc data/tmp data/log home
echo application-port=8081 > data/etc/nexus.properties
exec /opt/nexus/bin/nexus server
"""


def test_nexus_starts_on_a_read_only_file_system(views: Mapping[str, ImageView], engine: ContainerEngine) -> None:
    volume = engine.client.volumes.create()
    options = "-Xms128m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Duser.home=/srv/nexus/home"
    container = engine.client.containers.run(
        image_of(views["nexus"]).reference,
        ["sh", "-euc", NEXUS],
        environment={"KARAF_DATA": "/srv/nexus/data", "EXTRA_JAVA_OPTS": options},
        volumes={volume.name: {"bind": "/srv/nexus", "mode": "rw"}},
        detach=True,
        read_only=True,
        tmpfs={"/tmp": ""},
        cap_drop=["ALL"],
        network_mode="none",
        mem_limit="1g",
    )

    def started() -> bool:
        container.reload()
        assert container.status == "running", container.logs(tail=20).decode()
        return b"Started Sonatype Nexus OSS 3." in container.logs()

    try:
        wait_for(started)
    finally:
        container.remove(force=True)
        volume.remove()


@pytest.mark.parametrize("name", ["base", "runner", "nexus"])
def test_the_bill_of_materials_has_debians_packages_as_dpkg_has_them(
    name: str, views: Mapping[str, ImageView], engine: ContainerEngine
) -> None:
    told = run(engine, views[name], "dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}\\n")
    installed = {tuple(line.split()) for line in told.splitlines()}
    assert len(installed) > 50
    billed = {
        (one["name"], one["version"], one["purl"].partition("?arch=")[2])
        for one in components(views[name])
        if one["purl"].startswith("pkg:deb/")
    }
    assert billed == installed


@pytest.mark.parametrize(
    ("name", "purl"),
    [
        ("openbao", r"pkg:golang/github\.com/hashicorp/raft@v1"),
        ("proxy", r"pkg:golang/github\.com/caddyserver/caddy/v2@v2"),
        ("nexus", r"pkg:maven/org\.apache\.karaf[^/]*/[^@]+@"),
        ("gitlab-standin", r"pkg:pypi/starlette@"),
        ("runner", r"pkg:pypi/ansible-core@2"),
        ("jobs-java", r"pkg:deb/debian/openjdk-17-jdk-headless@17"),
        ("jobs-node", r"pkg:npm/npm@"),
    ],
)
def test_the_bill_of_materials_has_what_tools_are_made_of(name: str, purl: str, views: Mapping[str, ImageView]) -> None:
    assert [one for one in components(views[name]) if re.match(purl, one["purl"])]


def components(view: ImageView) -> list[dict[str, str]]:
    """What the bill of materials names, once its checksum is seen to be the label's."""
    assert view.bill is not None
    text = view.bill.read_bytes()
    labels = json.loads(image_of(view).configuration)["config"]["Labels"]
    assert labels["forgeline.sbom"] == f"sha256:{hashlib.sha256(text).hexdigest()}"
    found: list[dict[str, str]] = json.loads(text)["components"]
    return found


def test_a_second_build_makes_nothing(work: Images, views: Mapping[str, ImageView]) -> None:
    again = Recorder()
    assert [view.as_json() for view in work.build((), again)] == [view.as_json() for view in views.values()]
    assert set(again.outcomes) == set(NAMES)
    assert all(outcome.endswith("there already") for outcome in again.outcomes.values())


def test_an_image_that_was_removed_is_given_to_the_engine_again(
    work: Images, views: Mapping[str, ImageView], engine: ContainerEngine
) -> None:
    engine.client.images.remove(image_of(views["proxy"]).reference)
    assert {view.plan.recipe.name for view in work.show() if view.state is not State.BUILT} == {"proxy"}
    [view] = work.build(("proxy",), Recorder())
    assert view.as_json() == views["proxy"].as_json()


def test_another_image_of_the_same_name_takes_its_place(
    work: Images, views: Mapping[str, ImageView], engine: ContainerEngine
) -> None:
    image = image_of(views["proxy"])
    other = json.loads(image.configuration)
    other["config"]["Labels"]["forgeline.content"] = "sha256:other"
    made = replace(image, configuration=json.dumps(other).encode(), content="sha256:other")
    engine.client.images.load(made.archive())
    before = engine.client.images.get(image.reference).id
    work.build(("proxy",), Recorder())
    assert engine.client.images.get(image.reference).id == image.identifier
    assert before not in [one.id for one in engine.client.images.list()]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, host: str) -> Path:
    """A cache in which a build was killed while Debian's packages were being installed."""
    cache = tmp_path_factory.mktemp("killed")
    build = subprocess.Popen(
        [str(Path(sys.executable).with_name("forgeline")), "images", "build", "--only", "base"],
        env={**os.environ, "DOCKER_HOST": host, "FORGELINE_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: any(cache.glob("images/layers/base/.new-*/mmdebstrap.*/usr/bin/dpkg")) or build.poll() is not None)
    assert build.poll() is None, "it was over before it could be killed"
    build.kill()
    build.wait()
    return cache


def wait_for(met: Callable[[], bool], patience: float = 300) -> None:
    deadline = time.monotonic() + patience
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_killed_build_leaves_no_process_and_nothing_mounted(killed: Path) -> None:
    def ours() -> list[psutil.Process]:
        found = psutil.process_iter(["cmdline"])
        return [one for one in found if any(str(killed) in word for word in one.info["cmdline"] or [])]

    wait_for(lambda: not ours(), 20)
    assert str(killed) not in Path("/proc/self/mounts").read_text()
    assert len(list(killed.glob("images/layers/base/.new-*"))) == 1


def test_base_and_openbao_come_out_the_same_twice_even_after_a_kill(killed: Path, tmp_path: Path) -> None:
    usual = Builder.of(load_settings(os.environ), os.environ)
    [openbao] = chosen(("openbao",))
    usual.fetch([openbao], Silent())

    def made(root: Path) -> Image:
        return Builder(layers=Layers(root), toolchain=usual.toolchain, environ=os.environ).make(openbao, Silent())

    one, other = made(killed / "images" / "layers"), made(tmp_path / "1")
    if one.layers[0].made.time != other.layers[0].made.time:  # the mirror was written in between
        one = made(tmp_path / "2")
    assert not list(killed.glob("images/layers/*/.new-*"))
    assert one.layers[0].archive != other.layers[0].archive
    assert (one.identifier, one.bill) == (other.identifier, other.bill)


def test_job_tools_come_into_the_runner_by_volumes(views: Mapping[str, ImageView], engine: ContainerEngine) -> None:
    places = {"jobs-go": "/opt/jobs/go", "jobs-java": "/opt/jobs/java", "jobs-node": "/opt/jobs/node"}
    places["openbao"] = "/opt/openbao"
    containers = []
    try:
        for name, path in places.items():
            volumes = {f"test-{name}": {"bind": path, "mode": "ro"}}
            containers.append(
                engine.client.containers.create(image_of(views[name]).reference, ["sleep", "1"], volumes=volumes)
            )
        mounted = {f"test-{name}": {"bind": path, "mode": "ro"} for name, path in places.items()}
        script = "go version && node --version && npm --version && javac -version && mvn --version && bao version"
        told = run(engine, views["runner"], "bash", "-ec", script, volumes=mounted)
        assert re.search(r"go1\..*v\d+\..*javac 17.*Apache Maven 3.*OpenBao v2", told, re.DOTALL)
    finally:
        for container in containers:
            container.remove(force=True)
        for name in places:
            engine.client.volumes.get(f"test-{name}").remove()


@pytest.mark.parametrize("name", [recipe.name for recipe in recipes() if recipe.server])
def test_a_new_volume_belongs_to_the_server(name: str, views: Mapping[str, ImageView], engine: ContainerEngine) -> None:
    home = f"/srv/{views[name].plan.recipe.server}"
    volume = engine.client.volumes.create()
    try:
        script = "pwd; echo data > file; stat -c '%u %g %a' ."
        told = run(engine, views[name], "sh", "-ec", script, volumes={volume.name: {"bind": home, "mode": "rw"}})
        assert told.split("\n")[:2] == [home, "10001 10001 750"]
    finally:
        volume.remove()
