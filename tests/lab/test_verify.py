"""Every check of `forgeline verify` passes on a sound stack and is seen to fail on a broken one.

The stack is the one that the other tests used; it is of no use afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from infra.clients.gitlab import GitLab
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.clients.supervisor import Supervisor
from infra.clients.supervisor.configuration import MARKER
from infra.core.naming import NEXUS_ADMIN, RUNNER_TOKEN
from infra.core.secret import SecretValue
from infra.operations.verify import CheckResult, verify
from pipelines.catalogue import load_catalogue
from tests.trial import Stack

pytestmark = pytest.mark.lab

BROKEN_FOLDERS = (
    "",
    "openbao",
    "openbao/data",
    "openbao/audit",
    "nexus",
    "nexus/data",
    "gitlab",
    "runner",
    "supervisor",
)
BROKEN_FILES = (
    "openbao/openbao.json",
    "openbao/audit/audit.log",
    "nexus/data/etc/nexus.properties",
    "runner/config.toml",
    "supervisor/supervisord.conf",
    "supervisor/supervisord.log",
)


class Saboteur:
    """Breaks the shared stack, one thing for each check."""

    def __init__(self, stack: Stack, openbao: OpenBao, nexus: NexusClient, gitlab: GitLab) -> None:
        self.settings = stack.settings
        self.openbao = openbao
        self.supervisor = Supervisor(stack.settings.state)
        self._nexus = nexus
        self._gitlab = gitlab.api

    def break_all(self) -> list[subprocess.Popen[bytes]]:
        """Breaks everything that can be broken while the servers go on. The processes are to be ended afterwards."""
        state = self.settings.state
        secret = self.openbao.resolve(RUNNER_TOKEN).reveal()
        application = self._gitlab.settings.get()
        application.signup_enabled = True
        application.save()
        self._nexus.put_anonymous({"enabled": True, "userId": "anonymous", "realmName": "NexusAuthorizingRealm"})
        self._nexus.change_password("admin", SecretValue("admin123"))
        # As a careless hand would: the checks sign in as the administrator with what OpenBao has.
        self.openbao.write_kv(NEXUS_ADMIN, {"username": "admin", "password": "admin123"})
        for service in load_catalogue():
            current = self.settings.deployments("dev") / service.name / "current"
            current.unlink()
            current.symlink_to("releases/0.0.9")
        self.supervisor.stop("runner")
        for registered in self._gitlab.runners_all.list(get_all=True):
            self._gitlab.runners.delete(registered.id)
        for name in ("openbao/operator.password", "nexus/data/admin.password"):
            (state / name).write_text("x")
        self.supervisor.place.socket.chmod(0o666)
        for name in BROKEN_FILES:
            (state / name).chmod(0o644)
        for name in reversed(BROKEN_FOLDERS):
            (state / name).chmod(0o755)
        marked = {**os.environ, MARKER: str(state)}
        listen = "import http.server; http.server.HTTPServer(('0.0.0.0', 0), None).serve_forever()"
        return [
            subprocess.Popen([sys.executable, "-c", listen], env=marked),
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", secret], env=marked),
        ]


@pytest.fixture
def lab(stack: Stack, runs: dict[str, Any], openbao: OpenBao, nexus: NexusClient, gitlab: GitLab) -> Saboteur:
    assert len(runs) == len(load_catalogue())
    return Saboteur(stack, openbao, nexus, gitlab)


def failed(results: list[CheckResult]) -> set[str]:
    return {result.name for result in results if not result.passed}


def test_each_check_is_seen_to_fail(lab: Saboteur) -> None:
    sound = verify(lab.settings)
    assert {result.name: result.message for result in sound if not result.passed} == {}
    every = {result.name for result in sound}

    started = lab.break_all()
    try:
        broken = failed(verify(lab.settings))
    finally:
        for process in started:
            process.kill()
            process.wait()
    services = {name for name in every if name.startswith("service is healthy")}
    assert len(services) == 10
    modes = {f"folder is private: {name or 'state'}" for name in BROKEN_FOLDERS}
    modes |= {f"file is private: {name}" for name in BROKEN_FILES}
    assert broken == modes | services | {
        "control socket is private",
        "first password is gone: nexus/data/admin.password",
        "first password is gone: openbao/operator.password",
        "gitlab refuses sign up",
        "nexus refuses anonymous access",
        "nexus refuses the default password",
        "ports are on loopback only",
        "process runs under the supervisor: runner",
        "runner is online",
        "runner is the pinned version",
        "secrets are not shown in the process list",
    }

    lab.openbao.write("sys/seal", {})
    sealed = failed(verify(lab.settings))
    assert "openbao is unsealed" in sealed

    lab.supervisor.shutdown()
    lab.settings.bootstrap_key.chmod(0o644)
    with lab.settings.bootstrap_key.open("ab") as key:
        key.write(b"x")
    assert broken | sealed | failed(verify(lab.settings)) == every
