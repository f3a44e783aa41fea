"""What a playbook's processes see of the environment."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from infra.clients.supervisor.configuration import MARKER
from infra.core.progress import Silent
from infra.operations import ansible
from infra.operations.ansible import run_playbook

PLAYBOOK = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Write the environment down
      ansible.builtin.shell:
        cmd: env > {{ target }}
"""


@pytest.mark.servers
def test_a_playbook_belongs_to_its_lab_and_sees_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "probe.yml").write_text(PLAYBOOK)
    monkeypatch.setattr(ansible, "PLAYBOOKS", tmp_path)
    target = tmp_path / "seen"
    environ = {**psutil.Process().environ(), MARKER: "/a/lab", "NEXUS_PASSWORD": "hidden-from-playbooks"}
    run_playbook(
        "probe",
        variables={"target": str(target)},
        prompts={},
        folder=tmp_path / "operations",
        environ=environ,
        on_task=lambda task: Silent().start("probe", task),
    )
    seen = target.read_text()
    assert f"{MARKER}=/a/lab" in seen.splitlines()
    assert "hidden-from-playbooks" not in seen
