"""Servers that others run: real ones, with things in them that people made by hand, and credentials with few rights.

A lab stands for the company's servers. Forgeline then works on them from another state folder, by their addresses. Each
test goes on from the last; the commands of docs/existing.md are those that are run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from rich.console import Console

from infra.cli.display import Display
from infra.clients.gitlab import GitLab
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.clients.supervisor import Supervisor
from infra.core.naming import NEXUS_PLUGIN
from infra.core.secret import SecretValue
from infra.core.settings import ROOT
from infra.operations import desired
from infra.operations.status import gitlab_client
from infra.operations.work import Work
from infra.toolchain.toolchain import Toolchain
from pipelines.catalogue import Catalogue
from tests.lab.journey import green
from tests.trial import Stack
from tests.trial import stack as new_stack

pytestmark = pytest.mark.lab

PAGE = (ROOT / "docs" / "existing.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
POLICY = re.search(r"```hcl\n(.*?)```", PAGE, re.S)
PRIVILEGES = re.search(r"```text\n(.*?)```", PAGE, re.S)
REGISTER = re.search(r"```console\n(gitlab-runner register .*?)```", PAGE, re.S)
SECRET = "An0ther-Secret-99"
JSON = dict[str, Any]


@dataclass
class Company:
    """The servers as their administrators know them, and Forgeline as it is used on them."""

    gitlab: GitLab
    nexus: NexusClient
    openbao: OpenBao
    forgeline: Stack
    done: list[str] = field(default_factory=list)

    def run(self, command: str, *, expect: int = 0) -> str:
        """What a command of the page prints, to either stream; it must end with `expect`."""
        ended = self.command(self.forgeline, command, expect=expect)
        return ended.stdout + ended.stderr

    def command(self, place: Stack, command: str, *, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """A command of the page that was run in a place: Forgeline's own, or the runner's."""
        assert command in COMMANDS, f"the page does not have: {command}"
        self.done.append(command)
        profile = place.environment["FORGELINE_PROFILE"]
        words = [profile if word == "existing" else word for word in shlex.split(command)[1:]]
        return place.run(*words, expect=expect)

    def checks(self, *, expect: int) -> dict[str, JSON]:
        """What the doctor says, by the checks' names."""
        return {check["name"]: check for check in self.forgeline.json("doctor", expect=expect)}

    def grant(self) -> None:
        """What the page says that Forgeline needs."""
        assert POLICY is not None
        assert PRIVILEGES is not None
        self.openbao.write("sys/policies/acl/delivery", {"policy": KEPT_POLICY + POLICY[1]})
        self.nexus.put_role({"id": "delivery", "name": "delivery", "privileges": PRIVILEGES[1].split(), "roles": []})


KEPT = "vault:company/delivery/nexus#password"
KEPT_POLICY = 'path "company/data/delivery/*" { capabilities = ["read"] }\n'


@pytest.fixture(scope="module")
def servers() -> Iterator[Stack]:
    """Servers with nothing in them: a lab's foundation alone."""
    with new_stack() as made:
        settings = made.settings
        work = Work(settings, Catalogue.of(settings), made.environment, Display(Console(quiet=True), quiet=True))
        tools = work.tools()
        with work.session(tools) as opened, work.phase("Servers") as opened.current.progress:
            opened.session.apply(desired.foundation_stack(settings, tools, os.environ))
            opened.connections.settle()
        yield made
        # Whoever started the supervisor has to see it end, and that is this process.
        Supervisor(settings.state).shutdown()


@pytest.fixture(scope="module")
def company(servers: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """What people made by hand, and a profile for Forgeline."""
    folder = tmp_path_factory.mktemp("company")
    settings = servers.settings
    openbao = OpenBao.of(settings)
    nexus, gitlab = NexusClient.of(settings, openbao), gitlab_client(settings, openbao)
    by_hand(openbao, nexus, servers)
    acme = gitlab.api.groups.create({"name": "acme", "path": "acme"})
    delivery = gitlab.api.groups.create({"name": "delivery", "path": "delivery", "parent_id": acme.id})
    trading = gitlab.api.groups.create({"name": "Old trading", "path": "trading", "parent_id": delivery.id})
    gitlab.api.projects.create({"name": "legacy", "namespace_id": trading.id})
    # What runs jobs for the whole company is for others' jobs.
    (shared,) = gitlab.api.runners_all.list(get_all=True)
    gitlab.api.runners.update(shared.id, {"description": "shared", "tag_list": "windows", "run_untagged": False})
    token = delivery.access_tokens.create({"name": "forgeline", "scopes": ["api"], "access_level": 30})
    profile = folder / "company.yaml"
    profile.write_text(
        "name: company\n"
        "placement: existing\n"
        "servers:\n"
        f'  gitlab: {{url: "{settings.gitlab_url}", token: "file:{folder}/gitlab", group: acme/delivery}}\n'
        f'  nexus: {{url: "{settings.nexus_url}", username: delivery, password: "{KEPT}"}}\n'
        f'  openbao: {{url: "{settings.openbao_url}", username: delivery, password: "env:VAULT_PASSWORD"}}\n'
        f"environment_port_offsets: {json.dumps(settings.profile.environment_port_offsets)}\n"
        "advisories: infra/profiles/advisories\n"
    )
    (folder / "gitlab").write_text(token.token)
    (folder / "gitlab").chmod(0o600)
    (folder / "catalog").mkdir()
    shutil.copy(ROOT / "pipelines" / "catalog" / "market-data.yaml", folder / "catalog")
    shutil.copy(ROOT / "pipelines" / "release.yaml", folder)
    environment = {
        **servers.environment,
        "FORGELINE_PROFILE": str(profile),
        "FORGELINE_STATE": str(folder / "state"),
        "FORGELINE_PIPELINES": str(folder),
        "VAULT_PASSWORD": SECRET,
    }
    yield Company(gitlab=gitlab, nexus=nexus, openbao=openbao, forgeline=Stack(folder, environment))
    nexus.close()
    gitlab.close()
    openbao.close()


def by_hand(openbao: OpenBao, nexus: NexusClient, servers: Stack) -> None:
    """What a company has in Vault and Nexus; and the plug-in, which an administrator installs."""
    openbao.write("sys/mounts/company", {"type": "kv", "options": {"version": "2"}})
    openbao.write("company/data/delivery/nexus", {"data": {"password": SECRET}})
    openbao.write("sys/mounts/transit", {"type": "transit", "description": "Keys of the whole company"})
    openbao.write("transit/keys/payroll", {"type": "ed25519"})
    openbao.write("sys/policies/acl/delivery", {"policy": KEPT_POLICY})
    openbao.write("auth/userpass/users/delivery", {"password": SECRET, "token_policies": ["delivery"]})
    plugin = Toolchain.of(servers.settings, servers.environment).find("nexus-secrets")
    assert plugin is not None
    checksum = hashlib.sha256(plugin.path.read_bytes()).hexdigest()
    openbao.register_plugin(NEXUS_PLUGIN, command=plugin.path.name, sha256=checksum)
    nexus.put_role({"id": "delivery", "name": "delivery", "privileges": [], "roles": []})
    user = {"userId": "delivery", "firstName": "D", "lastName": "D", "emailAddress": "d@example.com"}
    nexus.put_user({**user, "status": "active", "roles": ["delivery"]}, SecretValue(SECRET))
    store = {"blobStoreName": "default", "strictContentTypeValidation": True, "writePolicy": "ALLOW"}
    nexus.put_repository("raw", "hosted", {"name": "raw-releases", "online": True, "storage": store})
    nexus.upload("raw-releases", "/old/thing.txt", b"kept since years")


@pytest.fixture(scope="module")
def machine(company: Company) -> Iterator[Stack]:
    """Where the company's runner is, whose jobs get the variables of the page."""
    state = company.forgeline.folder / "jobs"
    kept = {name: value for name, value in company.forgeline.environment.items() if name != "VAULT_PASSWORD"}
    yield Stack(company.forgeline.folder, {**kept, "FORGELINE_STATE": str(state)})
    # Jobs started it, to look after what they deployed.
    Supervisor(state).shutdown()


@pytest.fixture(scope="module")
def runner(company: Company, machine: Stack, servers: Stack) -> Iterator[str]:
    """What the company calls the runner of its group, which it registers and runs as the page says."""
    assert REGISTER is not None
    group = company.gitlab.api.groups.get("acme/delivery").id
    wanted = {"runner_type": "group_type", "group_id": group, "description": "builds", "tag_list": "linux"}
    made: Any = company.gitlab.api.http_post("/user/runners", post_data={**wanted, "run_untagged": True})
    template = company.command(machine, "forgeline runner --profile existing").stdout
    (machine.folder / "forgeline.toml").write_text(template)
    program = Toolchain.of(servers.settings, servers.environment).find("gitlab-runner")
    assert program is not None
    config = ("--config", str(machine.folder / "config.toml"))
    given = {"CI_SERVER_URL": servers.settings.gitlab_url, "CI_SERVER_TOKEN": made["token"]}
    register = [str(program.path), *shlex.split(REGISTER[1])[1:], *config]
    subprocess.run(register, cwd=machine.folder, env={**os.environ, **given}, capture_output=True, check=True)
    run = (str(program.path), "run", *config, "--working-directory", str(machine.folder))
    with subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        yield str(wanted["description"])
        process.terminate()


def cancel(company: Company, project: str) -> None:
    """Its pipelines would only take time from what is looked at; another one's is followed to its end."""
    for pipeline in company.gitlab.project(project).pipelines.list(get_all=True):
        pipeline.cancel()


def snapshot(company: Company) -> JSON:
    """What the servers have, as far as Forgeline might touch it."""
    groups = company.gitlab.api.groups.list(get_all=True)
    return {
        "groups": sorted((group.full_path, group.description) for group in groups),
        "projects": sorted(one.path_with_namespace for one in company.gitlab.api.projects.list(get_all=True)),
        "mounts": {path: mount["description"] for path, mount in company.openbao.mounts().items()},
        "auth": sorted(company.openbao.auth_methods()),
        "policies": sorted(company.openbao.keys("sys/policies/acl")),
        "keys": company.openbao.keys("transit/keys"),
        "repositories": [
            company.nexus.repository(one["format"], one["type"], one["name"])
            for one in sorted(company.nexus.repositories(), key=lambda one: str(one["name"]))
        ],
        "runners": sorted((one.description, one.paused) for one in company.gitlab.api.runners_all.list(get_all=True)),
        "realms": company.nexus.realms(),
        "anonymous": company.nexus.anonymous(),
    }


def test_missing_permissions_are_named_before_anything_is_changed(company: Company) -> None:
    before = snapshot(company)
    company.run("forgeline doctor --profile existing", expect=3)
    checks = company.checks(expect=3)
    missing = {name for name, check in checks.items() if check["verdict"] == "missing"}
    assert {"nexus permission nx-roles-all", "nexus permission nx-repository-admin-*-*-*"} <= missing
    assert {"vault permission sys/auth/gitlab", "vault permission sys/policies/acl/*"} <= missing
    assert "gitlab permission owner of acme/delivery" in missing
    assert checks["gitlab permission owner of acme/delivery"]["found"].endswith("is developer of acme/delivery")
    assert "sudo" in checks["vault permission sys/auth/gitlab"]["fix"]
    refused = company.forgeline.run("up", expect=3).stderr
    assert "nx-roles-all" in refused
    assert snapshot(company) == before


def test_capabilities_are_read_from_the_servers(company: Company) -> None:
    company.grant()
    (token,) = company.gitlab.group("acme/delivery").access_tokens.list(get_all=True)
    company.gitlab.group("acme/delivery").members.update(token.user_id, {"access_level": 50})
    checks = company.checks(expect=0)
    assert {name for name, check in checks.items() if check["verdict"] != "fine"} == {"gitlab runners"}
    assert "pipelines would wait" in checks["gitlab runners"]["found"]
    assert checks["gitlab runner shared"]["found"] == "of the instance, online; tags: windows; no jobs without tags"
    assert checks["vault product"]["found"] == "OpenBao"
    assert re.fullmatch(r"\d+\.\d+\.\d+", checks["vault version"]["found"])
    assert "userpass (userpass)" in checks["vault auth methods"]["found"]
    assert (checks["nexus edition"]["found"], checks["nexus formats"]["found"]) == ("OSS", "apt, maven2, raw")
    assert checks["nexus version"]["found"].startswith("3.")
    assert "no administrator" in checks["gitlab identity"]["found"]
    assert checks["gitlab place"]["found"] == "owner of acme/delivery"


def test_what_is_there_is_refused_by_name_until_it_is_adopted(company: Company) -> None:
    before = snapshot(company)
    for said in (
        company.run("forgeline preview --profile existing", expect=2),
        company.forgeline.run("up", expect=2).stderr,
    ):
        for name in ("Group acme/delivery/trading", "Repository raw-releases", "SecretsMount transit"):
            assert name in said
        assert "SecretsMount forgeline" in said
        assert "fix: `forgeline adopt" in said
    company.run("forgeline adopt --profile existing --dry-run", expect=1)
    company.run("forgeline adopt --profile existing", expect=1)
    taken = company.run("forgeline adopt --profile existing --take")
    assert "0 changes on the servers" in taken
    assert snapshot(company) == before


def test_up_makes_the_rest_and_a_second_one_changes_nothing(company: Company) -> None:
    company.run("forgeline up --profile existing")
    assert company.forgeline.json("up") | {"phases": 0} == {"changed": False, "writes": 0, "changes": [], "phases": 0}
    groups = {group.full_path for group in company.gitlab.api.groups.list(get_all=True)}
    assert {"acme/delivery/platform", "acme/delivery/teams/risk"} <= groups
    assert not {"platform", "trading", "teams"} & groups
    project = company.gitlab.project("acme/delivery/trading/market-data")
    place = company.gitlab.api.projects.get("acme/delivery/trading/market-data").ci_config_path
    assert place.startswith("market-data.yml@acme/delivery/platform/pipelines:v")
    assert "@acme/delivery/teams/" in project.files.get("CODEOWNERS", ref="main").decode().decode()
    assert company.nexus.download("raw-releases", "/old/thing.txt") == b"kept since years"
    # The engine makes real users with the given one: a job's credentials would work.
    made = company.openbao.read("nexus/creds/reader")
    assert made is not None
    assert company.nexus.accepts(made["username"], SecretValue(made["password"]))


def test_a_pipeline_goes_to_its_end_on_a_runner_of_theirs(company: Company, machine: Stack, runner: str) -> None:
    project = company.gitlab.project("acme/delivery/trading/market-data")
    (waiting,) = project.pipelines.list(get_all=True)
    green(project, waiting.id)
    assert {job.runner["description"] for job in waiting.jobs.list(get_all=True)} == {runner}
    settings = machine.settings
    for environment in ("dev", "test"):
        port = settings.service_port(Catalogue.of(settings).service("market-data").port, environment)
        answer = httpx.get(f"http://127.0.0.1:{port}/version").json()
        assert answer == {"name": "market-data", "version": f"1.0.{waiting.iid}"}
    checks = company.checks(expect=0)
    assert {check["verdict"] for check in checks.values()} == {"fine"}
    assert checks[f"gitlab runner {runner}"]["found"] == "of the group, online; tags: linux; also jobs without tags"


def test_it_is_shown_without_secrets(company: Company) -> None:
    shown = company.run("forgeline status --profile existing")
    assert "run by others" in shown
    assert "2 online for acme/delivery/trading" in shown
    credentials = company.run("forgeline credentials --profile existing")
    assert KEPT in credentials
    assert company.forgeline.run("credentials", "--show", "nexus").stdout.strip() == SECRET
    assert "as declared" in company.run("forgeline drift --profile existing")
    state = company.forgeline.settings.state
    token = (company.forgeline.folder / "gitlab").read_text()
    for file in state.rglob("*"):
        assert not file.is_file() or not {SECRET, token} & set(re.findall(r"[\w-]+", file.read_text(errors="ignore")))
    assert SECRET not in credentials + shown
    assert "forgeline doctor" in company.forgeline.run("verify", expect=2).stderr


def test_a_change_by_hand_is_drift_and_is_undone(company: Company) -> None:
    company.gitlab.api.projects.update("acme/delivery/trading/market-data", {"description": "by hand"})
    assert "by hand" in company.forgeline.run("drift", expect=1).stdout
    company.forgeline.run("up", "--refresh")
    company.forgeline.run("drift")


def test_a_service_is_onboarded(company: Company) -> None:
    command = next(line for line in COMMANDS if line.startswith("forgeline onboard"))
    company.run(command)
    cancel(company, "acme/delivery/trading/payments")
    assert "publish-payments" in company.openbao.keys("sys/policies/acl")


def test_nothing_of_others_is_stopped_or_removed(company: Company) -> None:
    assert "Nothing was stopped" in company.run("forgeline down --profile existing")
    teams = company.gitlab.find_group("acme/delivery/teams")
    assert teams is not None
    theirs = company.gitlab.api.groups.create({"name": "guests", "path": "guests", "parent_id": teams.id})
    destroy = next(line for line in COMMANDS if line.startswith("forgeline destroy"))
    refused = company.run(destroy, expect=3)
    assert "acme/delivery/teams/guests" in refused
    assert "kept    Group acme/delivery/trading" in refused
    theirs.delete()
    company.run(destroy)
    left = snapshot(company)
    assert [path for path, _ in left["groups"]] == ["acme", "acme/delivery", "acme/delivery/trading"]
    assert left["projects"] == ["acme/delivery/trading/legacy"]
    assert {"company/", "forgeline/", "transit/"} <= set(left["mounts"])
    assert "nexus/" not in left["mounts"]
    assert "gitlab/" not in left["auth"]
    assert [name for name in left["policies"] if name.startswith(("build-", "publish-", "deploy-"))] == []
    assert left["keys"] == ["payroll"]
    assert [repository["name"] for repository in left["repositories"]] == ["raw-releases"]
    assert company.nexus.download("raw-releases", "/old/thing.txt") == b"kept since years"
    assert company.openbao.read_kv("platform/gitlab-root") is not None
    assert not company.forgeline.settings.state.exists()


def test_the_whole_page_was_run(company: Company) -> None:
    assert [line for line in COMMANDS if line not in company.done] == []
