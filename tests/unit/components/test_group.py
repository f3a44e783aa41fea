"""A GitLab group a team, with its members."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from infra.core.settings import ROOT


def test_each_team_is_a_group_of_its_members() -> None:
    command = [sys.executable, "-m", "tests.unit.components.declared_groups"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    made = json.loads(result.stdout)
    groups = {inputs["path"] for kind, _, inputs in made if kind == "gitlab:Group"}
    assert groups == {"platform", "trading", "teams", "teams/risk", "teams/operations"}
    members = [(i["holder"], i["username"], i["access_level"]) for kind, _, i in made if kind == "gitlab:Member"]
    assert sorted(members) == [("teams/risk", "alice", "developer"), ("teams/risk", "bob", "developer")]
