"""Deployments by the real playbook, with a real supervisor and a small HTTP server that stands for Nexus."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from infra.clients.supervisor import Supervisor
from infra.core.error import BadInputError, ToolError
from infra.core.progress import Silent
from infra.core.settings import PROFILES, Profile, Settings
from infra.operations.deploy import DeployResult, deploy, go_back
from pipelines.artifact import artifact_path
from pipelines.catalogue import Service, load_catalogue
from tests.loopback import serving
from tests.trial import free_ports

pytestmark = pytest.mark.xdist_group(__name__)

CATALOGUE = load_catalogue()
USERNAME, PASSWORD = "leased-reader", "s3cret-pa55word-of-the-lease"

PROGRAM = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
mode = {mode!r}
if mode == "crash":
    sys.exit("market closed: no connection to the venue")
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        version = "0.0.0" if mode == "impostor" else os.environ["SERVICE_VERSION"]
        addresses = {{name: value for name, value in os.environ.items() if name.endswith("_URL")}}
        body = json.dumps(dict(status="ok", name=os.environ["SERVICE_NAME"], version=version, **addresses)).encode()
        self.send_response(500 if mode == "ill" and self.path == "/health" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""


class Shelf:
    """Stands for Nexus: files behind basic authentication."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        expected = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        shelf = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                shelf.requests.append(self.path)
                body = shelf.files.get(self.path, b"")
                allowed = self.headers.get("Authorization") == expected
                self.send_response((200 if self.path in shelf.files else 404) if allowed else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                return

        self.closing = ExitStack()
        self.port = int(self.closing.enter_context(serving(Handler)).rpartition(":")[2])

    def put(self, service: Service, version: str, mode: str = "well", checksum: str | None = None) -> None:
        """Publish a version of `service` that behaves as `mode` says."""
        name, archive = f"{service.name}.pyz", io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("__main__.py", PROGRAM.format(mode=mode))
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            info = tarfile.TarInfo(name)
            info.size = len(archive.getvalue())
            tar.addfile(info, io.BytesIO(archive.getvalue()))
        path = f"/repository/{artifact_path(service, version)}"
        self.files[path] = packed.getvalue()
        digest = checksum or hashlib.sha256(packed.getvalue()).hexdigest()
        self.files[f"{path}.sha256"] = f"{digest}  {path.rpartition('/')[2]}\n".encode()


class Lab:
    """A state folder with a supervisor, a shelf of artifacts, and one service."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.shelf = Shelf()
        self.service = CATALOGUE.service("fund-valuation").model_copy(update={"port": free_ports(1)[0]})
        ports = {"gitlab": 18001, "openbao": 18002, "openbao_cluster": 18003, "nexus": self.shelf.port}
        profile = Profile.model_validate({"name": "trial", "ports": ports, "environment_port_offsets": {"dev": 0}})
        self.settings = Settings(
            profile=profile, profile_file=PROFILES / "lab.yaml", state=state, cache=state / "cache"
        )
        self.environ = {**os.environ, "NEXUS_USERNAME": USERNAME, "NEXUS_PASSWORD": PASSWORD}
        self.folder = self.settings.deployments("dev") / self.service.name
        self.configuration = state / "supervisor" / "supervisord.conf"
        (state / "supervisor" / "conf.d").mkdir(parents=True)
        socket_file = state / "supervisor" / "supervisor.sock"
        self.configuration.write_text(
            f"[unix_http_server]\nfile={socket_file}\n[supervisord]\nnodaemon=true\n"
            f"logfile={state}/supervisor/log\npidfile={state}/supervisor/pid\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[supervisorctl]\nserverurl=unix://{socket_file}\n[include]\nfiles=conf.d/*.conf\n",
            encoding="utf-8",
        )
        command = [str(Path(sys.executable).with_name("supervisord")), "-n", "-c", str(self.configuration)]
        self.supervisor = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not socket_file.exists():
            assert self.supervisor.poll() is None, "supervisord ended"
            time.sleep(0.05)

    def deploy(self, version: str, attempts: int = 6) -> DeployResult:
        return deploy(self.settings, CATALOGUE, self.service, "dev", version, Silent(), self.environ, attempts=attempts)

    def serving(self) -> str:
        """The version that answers on the service's port."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.service.port}/version", timeout=60) as answer:
            return str(json.load(answer)["version"])

    def current(self) -> str:
        return os.readlink(self.folder / "current").removeprefix("releases/")

    def releases(self) -> set[str]:
        return {path.name for path in (self.folder / "releases").iterdir()}

    def stop(self) -> None:
        self.supervisor.terminate()
        self.supervisor.wait()
        self.shelf.closing.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("state"))
    yield lab
    lab.stop()


@pytest.fixture
def running(lab: Lab) -> Lab:
    """The lab with 1.0.1 deployed, whatever the test before left: side by side, tests come in any order."""
    if not (lab.folder / "current").is_symlink() or lab.current() != "1.0.1":
        lab.shelf.put(lab.service, "1.0.1")
        lab.deploy("1.0.1", attempts=40)
    return lab


@pytest.mark.servers
def test_a_first_deployment_that_fails_leaves_nothing(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    try:
        lab.shelf.put(lab.service, "0.9.0", mode="crash")
        with pytest.raises(ToolError) as caught:
            lab.deploy("0.9.0")
        assert "there was no release before, so nothing runs" in caught.value.what
        assert "market closed: no connection to the venue" in caught.value.what
        assert not (lab.folder / "current").is_symlink()
        assert lab.releases() == set()
        assert list((lab.state / "supervisor" / "conf.d").iterdir()) == []
    finally:
        lab.stop()


@pytest.mark.servers
def test_where_others_run_the_servers_the_first_deployment_starts_a_supervisor(tmp_path: Path) -> None:
    shelf, service = Shelf(), CATALOGUE.service("fund-valuation").model_copy(update={"port": free_ports(1)[0]})
    elsewhere = {"url": "http://127.0.0.1:1", "token": "env:NOT_SET"}
    nexus = {"url": f"http://127.0.0.1:{shelf.port}", "username": "x", "password": "env:NOT_SET"}
    profile = Profile.model_validate(
        {
            "name": "company",
            "placement": "existing",
            "servers": {"gitlab": elsewhere, "nexus": nexus, "openbao": elsewhere},
            "environment_port_offsets": {"dev": 0},
        }
    )
    settings = Settings(
        profile=profile, profile_file=PROFILES / "existing.example.yaml", state=tmp_path, cache=tmp_path / "cache"
    )
    environ = {**os.environ, "NEXUS_USERNAME": USERNAME, "NEXUS_PASSWORD": PASSWORD}
    shelf.put(service, "1.0.1")
    try:
        deploy(settings, CATALOGUE, service, "dev", "1.0.1", Silent(), environ)
        assert Supervisor(tmp_path).programs()["dev-fund-valuation"].running
    finally:
        Supervisor(tmp_path).shutdown()
        shelf.closing.close()


@pytest.mark.servers
def test_a_version_is_deployed_and_serves(running: Lab) -> None:
    assert (running.serving(), running.current()) == ("1.0.1", "1.0.1")
    assert (running.state / "supervisor" / "conf.d" / "dev-fund-valuation.conf").is_symlink()


@pytest.mark.servers
def test_a_service_is_told_where_its_dependencies_are(running: Lab) -> None:
    ports = {name: CATALOGUE.service(name).port for name in ("market-data", "position-keeping")}
    with urllib.request.urlopen(f"http://127.0.0.1:{running.service.port}/version", timeout=60) as answer:
        told = json.load(answer)
    assert told["MARKET_DATA_URL"] == f"http://127.0.0.1:{ports['market-data']}"
    assert told["POSITION_KEEPING_URL"] == f"http://127.0.0.1:{ports['position-keeping']}"


@pytest.mark.servers
def test_the_same_version_again_changes_nothing(running: Lab) -> None:
    requests = len(running.shelf.requests)
    assert running.deploy("1.0.1").changed == ()
    assert len(running.shelf.requests) == requests


@pytest.mark.servers
@pytest.mark.parametrize("mode", ["crash", "ill", "impostor"])
def test_a_broken_version_is_taken_back(running: Lab, mode: str) -> None:
    before, releases = running.serving(), running.releases()
    version = f"2.0.0-{mode}"
    running.shelf.put(running.service, version, mode=mode)
    with pytest.raises(ToolError) as caught:
        running.deploy(version)
    assert f"fund-valuation {version} does not serve" in caught.value.what
    assert f"{before} is back and serves" in caught.value.what
    assert (running.serving(), running.current(), running.releases()) == (before, before, releases)


@pytest.mark.servers
def test_a_wrong_checksum_is_refused_before_anything_is_touched(running: Lab) -> None:
    before, releases = running.serving(), running.releases()
    running.shelf.put(running.service, "3.0.0", checksum="0" * 64)
    with pytest.raises(ToolError, match="did not match 0000") as caught:
        running.deploy("3.0.0")
    assert "Nothing was changed" in caught.value.what
    assert (running.serving(), running.current()) == (before, before)
    assert {name for name in running.releases() if not name.startswith(".")} == releases


@pytest.mark.servers
@pytest.mark.parametrize(
    ("version", "password", "message"),
    [("4.4.4", PASSWORD, "404"), ("1.0.2", "wrong-password-entirely", "401")],
    ids=["not published", "no access"],
)
def test_an_artifact_that_cannot_be_had_is_told(running: Lab, version: str, password: str, message: str) -> None:
    running.shelf.put(running.service, "1.0.2")
    environ = {**running.environ, "NEXUS_PASSWORD": password}
    with pytest.raises(ToolError, match=message) as caught:
        deploy(running.settings, CATALOGUE, running.service, "dev", version, Silent(), environ)
    assert password not in str(caught.value)
    assert running.current() == "1.0.1"


@pytest.mark.servers
def test_a_deployment_that_was_killed_half_way_is_finished_by_the_next(running: Lab) -> None:
    running.shelf.put(running.service, "1.0.3")
    partial = running.folder / "releases" / ".1.0.3.partial"
    partial.mkdir()
    (partial / "fund-valuation-1.0.3.tar.gz").write_bytes(b"half")
    running.deploy("1.0.3", attempts=40)
    assert (running.serving(), running.current()) == ("1.0.3", "1.0.3")
    # Killed after the switch, before the restart: what runs is not what `current` says.
    (running.folder / "current").unlink()
    (running.folder / "current").symlink_to("releases/1.0.1")
    assert running.deploy("1.0.1", attempts=40).changed
    assert running.serving() == "1.0.1"


@pytest.mark.servers
def test_the_release_before_comes_back_once_and_needs_no_nexus(running: Lab) -> None:
    before = running.current()
    running.shelf.put(running.service, "1.0.9")
    running.deploy("1.0.9", attempts=40)
    requests = len(running.shelf.requests)
    environ = {name: value for name, value in running.environ.items() if not name.startswith("NEXUS_")}

    def back() -> DeployResult:
        return go_back(running.settings, CATALOGUE, running.service, "dev", "1.0.9", Silent(), environ)

    assert (back().version, running.serving(), running.current()) == (before, before, before)
    again = back()
    assert (again.version, again.changed, running.serving()) == (before, (), before)
    assert len(running.shelf.requests) == requests
    with pytest.raises(BadInputError, match=f"no release of fund-valuation before {before} in dev"):
        go_back(running.settings, CATALOGUE, running.service, "dev", before, Silent(), environ)
    assert running.serving() == before


@pytest.mark.servers
def test_three_releases_are_kept(running: Lab) -> None:
    before = running.current()
    for age, version in enumerate(["0.9.3", "0.9.2", "0.9.1"]):
        old = running.folder / "releases" / version
        old.mkdir()
        os.utime(old, (1_500_000_000 - age, 1_500_000_000 - age))
    (running.folder / "releases" / ".7.0.0.partial").mkdir()
    running.shelf.put(running.service, "1.0.14")
    running.deploy("1.0.14", attempts=40)
    # Which of the others is the youngest depends on the tests before; of those that this one made, it would be 0.9.3.
    (youngest,) = running.releases() - {"1.0.14", before}
    assert youngest not in {"0.9.1", "0.9.2"}


@pytest.mark.servers
def test_no_secret_is_left_in_any_file(running: Lab) -> None:
    files = [path for path in running.state.rglob("*") if path.is_file() and not path.is_symlink()]
    assert files
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []
    assert list((running.state / "operations").iterdir()) == []


@pytest.mark.parametrize(
    ("environment", "version", "environ", "message"),
    [
        ("production", "1.0.1", {}, "has no environment 'production'"),
        ("dev", "../../etc", {}, "is not a version"),
        ("dev", "1.0;id", {}, "is not a version"),
        ("dev", "1" * 61, {}, "is not a version"),
        ("dev", "1.0.1", {}, "NEXUS_USERNAME and NEXUS_PASSWORD are not set"),
    ],
    ids=["environment", "path", "shell", "long", "credentials"],
)
def test_bad_input_is_refused(
    tmp_path: Path, environment: str, version: str, environ: dict[str, str], message: str
) -> None:
    profile = Profile.model_validate(
        {
            "name": "trial",
            "ports": {"gitlab": 18001, "openbao": 18002, "openbao_cluster": 18003, "nexus": 18004},
            "environment_port_offsets": {"dev": 10000},
        }
    )
    settings = Settings(profile=profile, profile_file=PROFILES / "lab.yaml", state=tmp_path, cache=tmp_path)
    with pytest.raises(BadInputError, match=message):
        deploy(settings, CATALOGUE, CATALOGUE.service("settlement"), environment, version, Silent(), environ)
    assert list(tmp_path.iterdir()) == []
