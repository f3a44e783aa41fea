"""The descriptions of the lab's servers: loopback only, private, no secret in them, and files that parse."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

from infra.core.server import Server, placeholder
from infra.core.settings import Settings, load_settings
from infra.servers import gitlab, nexus, openbao, runner
from infra.servers.machine import this_machine

NAMES = ("openbao", "nexus", "gitlab", "runner")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"HOME": str(tmp_path), "FORGELINE_STATE": str(tmp_path / "state")})


@pytest.fixture
def servers(settings: Settings, tmp_path: Path) -> dict[str, Server]:
    names = ("openbao", "nexus", "java", "gitlab-runner", "nexus-secrets", "go")
    tools = {name: tmp_path / "tools" / name / "bin" / name for name in names}
    place = this_machine(settings, tools)
    return {module.NAME: module.describe(settings, place) for module in (openbao, nexus, gitlab, runner)}


@pytest.mark.parametrize("name", NAMES)
def test_it_listens_on_loopback_only(servers: dict[str, Server], name: str) -> None:
    assert {listener.address for listener in servers[name].listeners} <= {"127.0.0.1"}


@pytest.mark.parametrize("name", NAMES)
def test_its_files_and_folders_are_private(servers: dict[str, Server], name: str, settings: Settings) -> None:
    server = servers[name]
    assert {folder.mode for folder in server.folders} == {0o700}
    assert all(file.mode == 0o600 for file in server.files)
    paths = [folder.path for folder in server.folders] + [file.path for file in server.files] + [server.log]
    assert all(Path(path).is_relative_to(settings.data(name)) for path in paths)


@pytest.mark.parametrize("name", NAMES)
def test_it_needs_only_servers_that_are_there(servers: dict[str, Server], name: str) -> None:
    assert set(servers[name].needs) <= set(servers)


@pytest.mark.parametrize("name", NAMES)
def test_two_descriptions_of_the_same_are_the_same(servers: dict[str, Server], name: str) -> None:
    assert Server.model_validate(servers[name].model_dump(mode="json")).digest == servers[name].digest


def test_the_runners_file_is_what_the_runner_reads(servers: dict[str, Server], settings: Settings) -> None:
    (file,) = servers["runner"].files
    assert file.secrets == {"token": "openbao:platform/runner#token"}
    parsed = tomllib.loads(file.content.replace(placeholder("token"), "glrt-x"))
    assert parsed["concurrent"] == settings.profile.runner_concurrency
    (entry,) = parsed["runners"]
    assert entry["token"] == "glrt-x"
    assert entry["executor"] == "shell"
    variables = dict(variable.split("=", 1) for variable in entry["environment"])
    assert variables["FORGELINE_STATE"] == str(settings.state)
    folders = variables["PATH"].split(os.pathsep)
    assert folders.index(next(folder for folder in folders if folder.endswith("go/bin"))) < folders.index("/usr/bin")
    assert len(set(folders)) == len(folders)


def test_the_template_of_anothers_runner_gives_jobs_the_same_and_has_no_token() -> None:
    (entry,) = tomllib.loads(runner.template({"PATH": "/a b:/c", "FORGELINE_STATE": '/srv/"x"'}))["runners"]
    assert entry == {"executor": "shell", "shell": "bash", "environment": ['FORGELINE_STATE=/srv/"x"', "PATH=/a b:/c"]}


def test_openbao_reads_its_operators_password_from_a_file_of_the_first_start(servers: dict[str, Server]) -> None:
    configuration, password = servers["openbao"].files
    assert password.first_start_only
    assert password.secrets == {"password": "derived:openbao-operator"}
    requests = json.loads(configuration.content)["initialize"][0]["forgeline"]["request"]
    # The login is made last: who can sign in finds all the rest.
    (last,) = requests[-1].values()
    assert last["data"]["password"] == {"eval_type": "string", "eval_source": "file", "path": password.path}


def test_nexus_never_has_a_default_password(servers: dict[str, Server]) -> None:
    server = servers["nexus"]
    assert "nexus.security.randompassword=true" in server.files[0].content
    assert "NEXUS_SECURITY_INITIAL_PASSWORD" not in server.environment
    assert server.readiness.first_password_file.endswith("admin.password")


def test_gitlabs_credentials_go_to_standard_input_only(servers: dict[str, Server]) -> None:
    server = servers["gitlab"]
    (preparation,) = server.preparations
    assert set(preparation.secrets) == {"password", "token"}
    assert not any("{{" in word for word in (*preparation.command, *server.command, *server.environment.values()))
