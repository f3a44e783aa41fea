"""The scripts of rendered jobs, run by bash as the runner does, with small programs that stand for bao and Nexus."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from infra.core.settings import load_settings
from pipelines.artifact import artifact_path, sbom_path
from pipelines.catalogue import load_catalogue
from pipelines.render import Context, render_pipeline
from pipelines.subject import Subject
from tests.loopback import serving

CATALOGUE = load_catalogue()
CONTEXT = Context.of(CATALOGUE, load_settings({}))
JWT, TOKEN, USERNAME, PASSWORD = "jwt-0123456789", "token-0123456789", "leased-user", "pass-0123456789"

CREDENTIALS = f'{{"data": {{"username": "{USERNAME}", "password": "{PASSWORD}"}}}}'
BAO = f"""#!/bin/bash
echo "bao $*" >> "$CALLS"
case "$1 $2" in
  "write -field=token") [ "$(cat)" = {JWT} ] && echo {TOKEN} ;;
  "read -format=json") [ "$BAO_TOKEN" = {TOKEN} ] && echo '{CREDENTIALS}' ;;
  "token revoke") [ "$BAO_TOKEN" = {TOKEN} ] ;;
  *) exit 2 ;;
esac
"""
RECORDER = '#!/bin/bash\necho "{name} $*" >> "$CALLS"\nexec {real} "$@"\n'


class Nexus:
    """A hosted repository whose files can be written once."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        allowed = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        nexus = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200 if self.path in nexus.files else 404, nexus.files.get(self.path, b""))

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                known = self.path in nexus.files
                if not known and self.headers.get("Authorization") == allowed:
                    nexus.files[self.path] = body
                self._answer(400 if known else 201, b"")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status if self.headers.get("Authorization") == allowed else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                return

        self.closing = ExitStack()
        self.url = self.closing.enter_context(serving(Handler))

    def release(self) -> dict[str, bytes]:
        return {path.removeprefix("/repository/"): body for path, body in self.files.items()}


class Runner:
    """Runs a service's jobs in one folder, one after another."""

    def __init__(self, folder: Path, nexus: Nexus) -> None:
        self.folder, self.nexus = folder / "build", nexus
        self.calls = folder / "calls"
        self.calls.touch()
        tools = folder / "bin"
        for made in (self.folder, tools, folder / "tmp"):
            made.mkdir()
        programs = {"bao": BAO} | {
            name: RECORDER.format(name=name, real=shutil.which(name)) for name in ("curl", "python3")
        }
        for name, text in programs.items():
            (tools / name).write_text(text, encoding="utf-8")
            (tools / name).chmod(0o755)
        self.environment = {
            "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TMPDIR": str(folder / "tmp"),
            "CALLS": str(self.calls),
            "OPENBAO_ADDR": "http://127.0.0.1:9",
            "OPENBAO_ID_TOKEN": JWT,
            "NEXUS_URL": nexus.url,
            "VERSION": "1.0.7",
            "CI_PROJECT_DIR": str(self.folder),
        }

    def run(self, service: str, job: str, **variables: str) -> tuple[int, str]:
        """Exit code and output of the job, as the runner's shell executor starts it."""
        subject = Subject(file="x.yml", text=render_pipeline(CATALOGUE.service(service), CONTEXT))
        done = subprocess.run(
            ["bash", "-c", 'set -eo pipefail; : | eval "$SCRIPT"'],
            cwd=self.folder,
            env={**self.environment, "SCRIPT": subject.script(job).text, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def commit(self, message: str) -> None:
        for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", message]):
            subprocess.run(
                ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *command], cwd=self.folder, check=True
            )


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    nexus = Nexus()
    yield Runner(tmp_path, nexus)
    nexus.closing.close()


def package(runner: Runner, service: str) -> Path:
    """The package of a service whose build left something in dist/; its path."""
    dist = runner.folder / "dist"
    dist.mkdir(exist_ok=True)
    name = Path(artifact_path(CATALOGUE.service(service), "1.0.7")).name
    (dist / (name if name.endswith(".jar") else service)).write_bytes(b"program")
    (runner.folder / "sbom.cdx.json").write_text("{}", encoding="utf-8")
    if not (runner.folder / ".git").exists():
        runner.commit("Start")
    code, output = runner.run(service, "package")
    assert code == 0, output
    return runner.folder / name


@pytest.mark.parametrize("service", ["market-data", "settlement", "fund-valuation", "client-reporting"])
def test_a_package_is_published_where_a_deployment_looks_for_it(runner: Runner, service: str) -> None:
    artifact = package(runner, service)
    code, output = runner.run(service, "publish")
    assert code == 0, output
    path = artifact_path(CATALOGUE.service(service), "1.0.7")
    released = runner.nexus.release()
    assert released[path] == artifact.read_bytes()
    assert released[sbom_path(CATALOGUE.service(service), "1.0.7")] == b"{}"
    assert released[f"{path}.sha256"].decode().split()[0] == hashlib.sha256(artifact.read_bytes()).hexdigest()


def test_a_package_is_the_same_bytes_when_it_is_made_again(runner: Runner) -> None:
    first = package(runner, "market-data").read_bytes()
    os.utime(runner.folder / "dist" / "market-data", (1, 1))
    assert package(runner, "market-data").read_bytes() == first


def test_publishing_again_is_fine_and_another_file_is_refused(runner: Runner) -> None:
    artifact = package(runner, "market-data")
    assert runner.run("market-data", "publish")[0] == 0
    before = runner.nexus.release()
    code, output = runner.run("market-data", "publish")
    assert (code, runner.nexus.release()) == (0, before)
    assert "is there already" in output
    artifact.write_bytes(b"something else")
    code, output = runner.run("market-data", "publish")
    assert (code, runner.nexus.release()) == (1, before)
    assert "is there already, and is another file" in output


def test_a_publish_that_was_killed_half_way_is_finished_by_the_next(runner: Runner) -> None:
    artifact = package(runner, "market-data")
    path = artifact_path(CATALOGUE.service("market-data"), "1.0.7")
    runner.nexus.files[f"/repository/{path}"] = artifact.read_bytes()
    assert runner.run("market-data", "publish")[0] == 0
    assert f"{path}.sha256" in runner.nexus.release()


def test_no_secret_is_an_argument_or_left_behind_and_the_token_is_revoked(runner: Runner) -> None:
    package(runner, "market-data")
    code, output = runner.run("market-data", "publish")
    assert code == 0
    calls = runner.calls.read_text(encoding="utf-8")
    assert "bao write -field=token auth/gitlab/login role=publish-market-data jwt=-" in calls
    assert "bao read -format=json nexus/creds/publish-market-data" in calls
    assert calls.splitlines()[-1] == "bao token revoke -self"
    for secret in (JWT, TOKEN, PASSWORD):
        assert secret not in calls
        assert secret not in output
    assert list(Path(runner.environment["TMPDIR"]).iterdir()) == []


def test_a_refused_login_is_told(runner: Runner) -> None:
    package(runner, "market-data")
    code, output = runner.run("market-data", "publish", OPENBAO_ID_TOKEN="of-another-project")
    assert code == 1
    assert "OpenBao refuses role publish-market-data to this job" in output
    assert runner.nexus.files == {}


def test_a_failed_publish_revokes_its_token_too(runner: Runner) -> None:
    package(runner, "market-data")
    code, _ = runner.run("market-data", "publish", NEXUS_URL="http://127.0.0.1:9")
    assert code != 0
    assert runner.calls.read_text(encoding="utf-8").splitlines()[-1] == "bao token revoke -self"


@pytest.mark.parametrize(("covered", "code"), [(80, 0), (79, 1), (0, 1)], ids=["at the floor", "below it", "nothing"])
def test_coverage_below_the_floor_fails_the_job(runner: Runner, covered: int, code: int) -> None:
    subject = Subject(file="x.yml", text=render_pipeline(CATALOGUE.service("order-management"), CONTEXT))
    script = subject.script("unit-test").text
    report = runner.folder / "target" / "site" / "jacoco" / "jacoco.csv"
    report.parent.mkdir(parents=True)
    report.write_text(f"G,P,C,IM,IC,BM,BC,LM,LC\na,b,c,0,0,0,0,{100 - covered},{covered}\n", encoding="utf-8")
    gate = script[script.index("maven test\n") + len("maven test\n") :]
    done = subprocess.run(
        ["bash", "-c", f"set -eo pipefail\n{gate}"], cwd=runner.folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, f"Coverage: {covered}.0%" in done.stdout) == (code, True), done
    assert ("needs 80%" in done.stderr) is (code == 1)


AT_RELEASE = f"market-data.yml@platform/pipelines:{CATALOGUE.release}"
GO_VERSIONS = """case "$*" in
  env*) echo go1.99.0 ;;
  *gotestsum) echo mod x v1.13.0 ;;
  *gocover-cobertura) echo mod x v1.5.0 ;;
  *) echo mod x v0.8.2 ;;
esac
"""


def pretend_tools(folder: Path) -> None:
    """Programs that say of themselves what the job `validate` wants to hear."""
    said = {"gitleaks": "echo 8.30.1", "gosec": "echo 2.30.0", "go": GO_VERSIONS}
    for name in ("gotestsum", "staticcheck", "gocover-cobertura", *said):
        (folder / name).write_text(f"#!/bin/sh\n{said.get(name, '')}\n", encoding="utf-8")
        (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("place", "change", "found"),
    [
        (AT_RELEASE, None, "market-data 1.0.7 by pipeline"),
        ("market-data.yml@platform/pipelines:v9.9.9", None, "the project's setting is now market-data.yml@platform"),
        (".gitlab-ci.yml", None, "market-data 1.0.7 by pipeline"),
        (".gitlab-ci.yml", ("go vet ./...", "true"), ".gitlab-ci.yml was changed by hand"),
        (".gitlab-ci.yml", ("# Content sha256 ", "# Content "), ".gitlab-ci.yml was changed by hand"),
    ],
    ids=["released", "another release", "own file", "own file, weakened", "own file, hash taken away"],
)
def test_validate_looks_at_the_pipeline_itself(
    runner: Runner, place: str, change: tuple[str, str] | None, found: str
) -> None:
    pretend_tools(Path(runner.environment["PATH"].partition(":")[0]))
    text = render_pipeline(CATALOGUE.service("market-data"), CONTEXT)
    (runner.folder / ".gitlab-ci.yml").write_text(text.replace(*change) if change else text, encoding="utf-8")
    runner.commit("Start")
    code, output = runner.run(
        "market-data", "validate", CI_PROJECT_PATH="trading/market-data", CI_CONFIG_PATH=place, GITLAB_USER_LOGIN="ann"
    )
    assert found in output
    assert (code == 0) is found.startswith("market-data")
    if code == 0:
        assert (runner.folder / "requester.txt").read_text(encoding="utf-8") == "ann\n\n"


@pytest.mark.parametrize(("tag", "code"), [("v1.2.3", 0), ("v1.0.9", 1)], ids=["release", "a branch's number"])
def test_a_release_is_never_called_as_a_branch_build_is(runner: Runner, tag: str, code: int) -> None:
    pretend_tools(Path(runner.environment["PATH"].partition(":")[0]))
    runner.commit("Start")
    where = {"CI_PROJECT_PATH": "trading/market-data", "CI_CONFIG_PATH": AT_RELEASE}
    ended, output = runner.run("market-data", "validate", VERSION=tag, CI_COMMIT_TAG=tag, **where)
    assert ended == code
    assert ("market-data 1.2.3 by" if code == 0 else "begin at v1.1.0") in output


@pytest.mark.parametrize(
    ("project", "message", "found"),
    [
        ("trading/market-data", "Start", "market-data 1.0.7 by pipeline v1.0.0: Start"),
        ("trading/settlement", "Start", "this is the pipeline of trading/market-data"),
        ("trading/market-data", "fixup! Start", "squash this commit"),
        ("trading/market-data", "x" * 121, "more than 120 characters"),
    ],
    ids=["good", "project", "fixup", "long"],
)
def test_validate_looks_at_the_project_and_the_commit(runner: Runner, project: str, message: str, found: str) -> None:
    tools = Path(runner.environment["PATH"].partition(":")[0])
    pretend_tools(tools)
    runner.commit(message)
    code, output = runner.run("market-data", "validate", CI_PROJECT_PATH=project, CI_CONFIG_PATH=AT_RELEASE)
    assert found in output
    assert (code == 0) is (found.startswith("market-data"))


@pytest.mark.parametrize(
    ("healthy", "back", "code", "said"),
    [
        (0, 0, 0, ""),
        (1, 0, 1, "1.0.7 is not healthy; the version before it is back"),
        (1, 3, 1, "1.0.7 is not healthy, and the version before it did not come back: call the service's owners"),
    ],
    ids=["healthy", "brought back", "not brought back"],
)
def test_production_that_is_not_healthy_is_brought_back_and_the_job_is_red(
    runner: Runner, healthy: int, back: int, code: int, said: str
) -> None:
    tools = Path(runner.environment["PATH"].partition(":")[0])
    text = f'echo "forgeline $*" >> "$CALLS"\ncase "$1" in gate) exit {healthy} ;; deploy) exit {back} ;; esac\n'
    (tools / "forgeline").write_text(f"#!/bin/bash\n{text}", encoding="utf-8")
    (tools / "forgeline").chmod(0o755)
    ended, output = runner.run("market-data", "verify-production")
    assert (ended, output.strip()) == (code, said)
    calls = runner.calls.read_text(encoding="utf-8").splitlines()
    assert calls[0].startswith("forgeline gate health http://127.0.0.1:")
    back_again = "forgeline deploy market-data --environment production --back-from 1.0.7"
    assert calls[1:] == ([back_again] if healthy else [])


@pytest.mark.parametrize("service", ["settlement", "position-keeping"])
def test_a_machine_without_a_jdk_is_told_the_command(runner: Runner, service: str) -> None:
    tools = Path(runner.environment["PATH"].partition(":")[0])
    for name in ("bash", "git", "tar", "gzip", "sha256sum", "sort", "head", "wc", "sed", "cat"):
        (tools / name).symlink_to(shutil.which(name) or "")
    runner.commit("Start")
    code, output = runner.run(service, "validate", PATH=str(tools), CI_PROJECT_PATH=f"trading/{service}")
    assert code == 1
    assert "javac is not on this runner's PATH" in output
    assert "sudo apt-get install -y openjdk-17-jdk-headless maven" in output
