"""Services that go, and the tutorial, in which some come and some go."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.clients.gitlab import GitLab
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.core.error import ExitCode
from infra.core.naming import JWT_MOUNT, deploy_role, publish_role
from infra.core.settings import ROOT
from pipelines.artifact import artifact_path
from pipelines.catalogue import Catalogue
from tests.lab.onboarding.place import CHEAP, killed, old_repository, quiet
from tests.trial import FORGELINE, Stack

pytestmark = pytest.mark.lab


def test_a_service_that_others_depend_on_stays(place: Stack, team: Path) -> None:
    place.run("onboard", "leaning", *CHEAP, "--depends-on", "market-data")
    result = place.run("offboard", "market-data", "--yes", expect=ExitCode.BAD_INPUT)
    assert f"{team / 'catalog' / 'leaning.yaml'}:9:16: leaning depends on market-data" in result.stderr
    assert (team / "catalog" / "market-data.yaml").exists()
    assert "did you mean 'leaning'?" in place.run("offboard", "leanin", "--yes", expect=ExitCode.BAD_INPUT).stderr


def test_a_service_goes_and_what_it_made_stays(four: tuple[Any, Any, Path], place: Stack, gitlab: GitLab) -> None:
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
