"""Services that come and go, on a stack of their own that begins with one: each test goes on from the last."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from requests.adapters import HTTPAdapter
from rich.console import Console

from infra.cli.display import Display
from infra.clients.gitlab import GitLab
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.core.error import ExitCode, ForgelineError
from infra.core.naming import JWT_MOUNT, deploy_role, publish_role
from infra.core.settings import ROOT
from infra.operations.onboard import Onboarded, Onboarding
from infra.operations.status import gitlab_client
from infra.operations.work import Work
from pipelines.artifact import artifact_path
from pipelines.catalogue import Catalogue
from pipelines.onboarding import Placed, Wish
from pipelines.skeleton import render_skeleton
from tests.trial import FORGELINE, Stack
from tests.trial import stack as new_stack

# The fault sweep cuts connections; what is left of them is collected in any later test.
pytestmark = [
    pytest.mark.lab,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]

LANGUAGES = {"pay-go": "go", "pay-java": "java", "pay-node": "node", "pay-python": "python"}
CHEAP = ("--language", "generic", "--tier", "normal", "--owner", "@risk", "--no-wait", "--yes")
"""For tests that look at something else than the pipeline."""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of a team's own, with one service."""
    folder = tmp_path_factory.mktemp("team")
    (folder / "catalog").mkdir()
    shutil.copy(ROOT / "pipelines" / "catalog" / "market-data.yaml", folder / "catalog")
    shutil.copy(ROOT / "pipelines" / "release.yaml", folder)
    return folder


@pytest.fixture(scope="module")
def place(team: Path) -> Iterator[Stack]:
    """A stack with that service."""
    with new_stack(room=20) as made:
        stack = Stack(made.folder, {**made.environment, "FORGELINE_PIPELINES": str(team)})
        assert stack.json("up")["changed"]
        yield stack


@pytest.fixture(scope="module")
def gitlab(place: Stack) -> GitLab:
    return gitlab_client(place.settings)


def quiet(place: Stack, gitlab: GitLab) -> None:
    """Cancels what runs: the pipelines of services that are only there to come and go take time from others."""
    for service in Catalogue.of(place.settings):
        for status in ("pending", "running"):
            for pipeline in gitlab.project(service.project).pipelines.list(status=status, get_all=True):
                pipeline.cancel()


@pytest.fixture(scope="module")
def four(place: Stack, gitlab: GitLab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Path]:
    """The plan of four services, what became of it, and the file of their wishes."""
    quiet(place, gitlab)
    file = tmp_path_factory.mktemp("wishes") / "services.yaml"
    lines = [
        f"  - {{name: {name}, language: {language}, tier: normal, owners: ['@risk']}}\n"
        for name, language in LANGUAGES.items()
    ]
    file.write_text("services:\n" + "".join(lines))
    plan = place.json("onboard", "--file", str(file), "--dry-run")
    files = [path for path in place.settings.data("pulumi").rglob("*") if path.is_file()]
    left = [path.name for path in files if "service-pay-" in path.name]
    assert left == [], "a dry run leaves nothing"
    return plan, place.json("onboard", "--file", str(file), "--yes"), file


def test_a_service_of_each_language_comes_from_nothing_to_green(four: tuple[Any, Any, Path], place: Stack) -> None:
    _, done, _ = four
    assert {run["service"]: run["status"] for run in done["pipelines"]} == dict.fromkeys(LANGUAGES, "success")
    for name in LANGUAGES:
        for shown in done["environments"][name][:2]:
            version = httpx.get(shown["health"].replace("/health", "/version")).json()
            assert version["name"] == name, shown


def test_the_plan_is_what_happens(four: tuple[Any, Any, Path], team: Path, gitlab: GitLab) -> None:
    plan, done, _ = four
    assert (plan["dry_run"], plan["changed"], done["changed"]) == (True, False, True)
    assert plan["changes"], "an empty plan would prove nothing"
    assert plan["changes"] == done["changes"]
    for key in ("services", "new", "release", "files", "repositories", "environments"):
        assert plan[key] == done[key], key
    for path, text in plan["files"].items():
        assert Path(path).read_text() == text
    assert {Path(path).name for path in plan["files"]} == {"release.yaml", *(f"{name}.yaml" for name in LANGUAGES)}
    for name, files in plan["repositories"].items():
        project = gitlab.project(f"trading/{name}")
        there = project.repository_tree(recursive=True, get_all=True)
        assert {item["path"] for item in there if item["type"] == "blob"} == set(files)
        assert project.files.raw("README.md", ref="main").decode() == files["README.md"]
        assert f"deploy-{name}-production" in files["docs/delivery.md"]
        shares = gitlab.api.projects.get(f"trading/{name}").shared_with_groups
        assert [(share["group_full_path"], share["group_access_level"]) for share in shares] == [("teams/risk", 30)]


def test_a_second_time_changes_nothing(four: tuple[Any, Any, Path], place: Stack, team: Path, gitlab: GitLab) -> None:
    before = {path: path.stat().st_mtime_ns for path in team.rglob("*.yaml")}
    again = place.json("onboard", "--file", str(four[2]), "--yes")
    assert (again["changed"], again["changes"], again["files"], again["new"]) == (False, [], {}, [])
    assert before == {path: path.stat().st_mtime_ns for path in team.rglob("*.yaml")}
    assert [len(gitlab.project(f"trading/{name}").pipelines.list(get_all=True)) for name in LANGUAGES] == [1] * 4
    assert place.json("drift") == []
    assert "Nothing to change" in place.run("preview").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("pay-go", "--tier", "core", "--language", "go"), "pay-go.yaml:5:1", id="another-tier"),
        pytest.param(("payjava", "--language", "java", "--tier", "normal"), "Java package", id="one-in-java"),
        pytest.param(("x;id", "--language", "go", "--tier", "normal"), "mean something to a shell", id="injection"),
        pytest.param(("new", "--language", "go", "--tier", "normal"), "GitLab keeps for itself", id="reserved"),
        pytest.param(("pay-x", "--language", "rust", "--tier", "normal"), "'rust' is not one of", id="language"),
        pytest.param(("pay-x", "--language", "go"), "--tier is missing", id="nobody-to-ask"),
        pytest.param(
            ("pay-x", "--language", "go", "--tier", "core", "--from", "http://127.0.0.1:1/x"), "be cloned", id="from"
        ),
    ],
)
def test_bad_input_touches_nothing(place: Stack, team: Path, arguments: tuple[str, ...], said: str) -> None:
    before = {path: path.read_bytes() for path in team.rglob("*") if path.is_file()}
    result = place.run("onboard", *arguments, "--owner", "risk", "--yes", expect=ExitCode.BAD_INPUT)
    assert said in result.stderr
    assert before == {path: path.read_bytes() for path in team.rglob("*") if path.is_file()}


def test_a_project_that_belongs_to_nobody_is_in_the_way(place: Stack, gitlab: GitLab) -> None:
    group = gitlab.api.groups.get("trading")
    project = gitlab.api.projects.create({"name": "squatter", "path": "squatter", "namespace_id": group.id})
    result = place.run("onboard", "squatter", *CHEAP, expect=ExitCode.BAD_INPUT)
    assert "there is a project trading/squatter already" in result.stderr
    project.delete()


def old_repository(folder: Path, name: str, catalogue: Catalogue) -> None:
    """A repository of two commits that lacks some of what the pipeline needs."""
    like = catalogue.service("market-data").model_copy(update={"name": name})
    for path, text in render_skeleton(like).items():
        if path not in {"CODEOWNERS", ".editorconfig", "integration/checks.json"}:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.test")
    for command in ("init -qb trunk", "add -A", "commit -qm one", "commit -qm two --allow-empty"):
        subprocess.run(["git", *identity, *command.split()], cwd=folder, check=True)


def test_a_repository_comes_with_its_history(place: Stack, gitlab: GitLab, tmp_path: Path) -> None:
    old_repository(tmp_path, "old-quotes", Catalogue.of(place.settings))
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tmp_path, text=True).strip()
    arguments = ("onboard", "old-quotes", "--tier", "normal", "--owner", "risk", "--from", str(tmp_path), "--yes")
    done = place.json(*arguments)
    assert done["services"][0]["language"] == "go"
    project = gitlab.project("trading/old-quotes")
    first, *others = project.commits.list(ref_name="main", get_all=True)
    assert (first.id, len(others)) == (head, 1)
    (request,) = project.mergerequests.list(get_all=True)
    assert done["merge_requests"] == {"old-quotes": request.web_url}
    changed = {change["new_path"]: change["new_file"] for change in request.changes()["changes"]}
    assert changed == dict.fromkeys(done["adopted"]["old-quotes"]["offered"], True)
    assert {"CODEOWNERS", "integration/checks.json", "docs/delivery.md"} <= set(changed)
    assert [run["status"] for run in done["pipelines"]] == ["success"]
    again = place.json(*arguments)
    assert (again["changed"], again["merge_requests"]) == (False, done["merge_requests"])
    assert len(project.mergerequests.list(get_all=True)) == 1


def killed(place: Stack, arguments: tuple[str, ...], after: str) -> int:
    """The exit code of a command that is killed when its output has `after`."""
    with subprocess.Popen(
        [str(FORGELINE), *arguments],
        env=place.environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if after in line:
                break
        run.send_signal(signal.SIGKILL)
        return run.wait(timeout=60)


def test_a_killed_run_is_finished_by_the_same_command(place: Stack, gitlab: GitLab) -> None:
    arguments = ("onboard", "killed", *CHEAP)
    for after in ("checking names", "Release", "platform ", "service-killed", "First pipeline"):
        assert killed(place, arguments, after) == -signal.SIGKILL
    done = place.json(*arguments)
    assert len(done["pipelines"]) == 1
    assert place.json(*arguments)["changed"] is False
    assert len(gitlab.project("trading/killed").commits.list(get_all=True)) == 1
    assert place.json("drift") == []


def test_two_at_once_take_turns(place: Stack) -> None:
    results: dict[str, Any] = {}

    def onboard(name: str) -> None:
        results[name] = place.json("onboard", name, *CHEAP)

    threads = [threading.Thread(target=onboard, args=(name,)) for name in ("first-one", "another")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    services = [results[name]["services"][0] for name in ("first-one", "another")]
    assert len({service["port"] for service in services}) == 2
    assert len({service["pipeline"] for service in services}) == 2
    assert "Nothing to change" in place.run("preview").stdout


class Faults:
    """Lets each request fail once: before it is sent (`refused`), or after it was answered (`lost`)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, lost: bool) -> None:
        self.failed: set[str] = set()
        self.lost = lost
        self._lock = threading.Lock()
        send, handle = HTTPAdapter.send, httpx.HTTPTransport.handle_request

        def requests_send(adapter: Any, request: Any, **options: Any) -> Any:
            due = self._due(request.method, request.path_url)
            answer = None if due and not lost else send(adapter, request, **options)
            if answer is not None and due:
                answer.close()
            if due:
                raise requests.ConnectionError("cut by the test")
            return answer

        def httpx_handle(transport: Any, request: Any) -> Any:
            due = self._due(request.method, request.url.raw_path.decode())
            answer = None if due and not lost else handle(transport, request)
            if answer is not None and due:
                answer.close()
            if due:
                raise httpx.ConnectError("cut by the test")
            return answer

        monkeypatch.setattr(HTTPAdapter, "send", requests_send)
        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", httpx_handle)

    def _due(self, verb: str, path: str) -> bool:
        key = f"{verb} {path.partition('?')[0]}"
        with self._lock:
            first = key not in self.failed
            self.failed.add(key)
        return first


# The SDK leaves the event loops of failed programs unclosed.
@pytest.mark.parametrize("lost", [False, True], ids=["refused", "answer-lost"])
def test_each_request_fails_once_and_the_same_call_finishes(
    place: Stack, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    quiet(place, gitlab)
    name = "swept-lost" if lost else "swept"
    wish = Placed(wish=Wish(name=name, language="generic", tier="normal", owners=("risk",)))
    display = Display(Console(file=io.StringIO()), quiet=True)

    def run() -> Onboarded:
        catalogue = Catalogue.of(place.settings)
        return Onboarding(work=Work(place.settings, catalogue, place.environment, display)).run([wish])

    errors: list[ForgelineError] = []
    with monkeypatch.context() as patched:
        faults = Faults(patched, lost=lost)
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            try:
                run()
                break
            except ForgelineError as error:
                errors.append(error)
        else:
            pytest.fail(f"not finished after {len(errors)} runs: {errors[-1]}")
    made = [key for key in faults.failed if key.startswith(("POST", "PUT", "DELETE"))]
    assert len(made) > 20, "the faults must have reached what changes the servers"
    assert len(errors) > 5
    assert {error.exit_code for error in errors} == {ExitCode.SERVER_FAILED}
    assert run().changed is False
    assert len(gitlab.project(f"trading/{name}").commits.list(get_all=True)) == 1
    assert place.json("drift") == []
    assert "Nothing to change" in place.run("preview").stdout


def test_a_service_that_others_depend_on_stays(place: Stack, team: Path) -> None:
    place.run("onboard", "leaning", *CHEAP, "--depends-on", "market-data")
    result = place.run("offboard", "market-data", "--yes", expect=ExitCode.BAD_INPUT)
    assert f"{team / 'catalog' / 'leaning.yaml'}:9:16: leaning depends on market-data" in result.stderr
    assert (team / "catalog" / "market-data.yaml").exists()
    assert "did you mean 'leaning'?" in place.run("offboard", "leanin", "--yes", expect=ExitCode.BAD_INPUT).stderr


def test_a_service_goes_and_what_it_made_stays(place: Stack, gitlab: GitLab) -> None:
    service = Catalogue.of(place.settings).service("pay-java")
    project = gitlab.api.projects.get(service.project)
    version = str(
        httpx.get(f"http://127.0.0.1:{place.settings.service_port(service.port, 'dev')}/version").json()["version"]
    )
    openbao = OpenBao.of(place.settings)
    nexus = NexusClient.of(place.settings, openbao)
    role = f"auth/{JWT_MOUNT}/role/{deploy_role('pay-java', 'production')}"
    repository, _, path = artifact_path(service, version).partition("/")
    assert openbao.read(role) is not None
    plan = place.json("offboard", "pay-java", "--dry-run")
    assert openbao.read(role) is not None, "a dry run changes nothing"
    assert killed(place, ("offboard", "pay-java", "--yes"), "Deployments") == -signal.SIGKILL
    place.run("offboard", "pay-java", "--yes")
    assert openbao.read(role) is None
    assert openbao.read(f"sys/policies/acl/{publish_role('pay-java')}") is None
    assert gitlab.api.projects.get(service.project).archived
    assert gitlab.api.projects.get(service.project).shared_with_groups == []
    assert project.repository_tree(get_all=True)
    assert nexus.download(repository, path)
    nexus.close()
    openbao.close()
    assert plan["stops"] == ["dev-pay-java", "test-pay-java"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{place.settings.service_port(service.port, 'dev')}/health")
    assert not Path(place.settings.catalog / "pay-java.yaml").exists()
    assert "out of work already" in place.run("offboard", "pay-java", "--yes").stdout
    assert place.json("drift") == []
    assert "Nothing to change" in place.run("preview").stdout


def test_the_tutorial_s_commands_do_what_it_says(place: Stack, gitlab: GitLab, tmp_path: Path) -> None:
    quiet(place, gitlab)
    page = (ROOT / "docs" / "onboarding.md").read_text()
    (wishes,) = re.findall(r"```yaml\n(services:.*?)```", page, re.DOTALL)
    (tmp_path / "services.yaml").write_text(wishes)
    old_repository(tmp_path / "old-prices", "old-prices", Catalogue.of(place.settings))
    commands = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert len(commands) > 5
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "forgeline"
        result = subprocess.run(
            [str(FORGELINE), *arguments],
            env=place.environment,
            cwd=tmp_path,
            text=True,
            capture_output=True,
            check=False,
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    names = set(Catalogue.of(place.settings).services)
    assert {"invoices", "refunds", "old-prices"} <= names
    assert "payments" not in names
