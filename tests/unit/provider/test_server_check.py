"""The doctor's look at servers, at real ones."""

from __future__ import annotations

from typing import Any

import pytest

from infra.operations.check import Verdict
from infra.operations.server_check import examine_servers

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("tests.unit.provider.test_contract")]


def test_servers_that_run_are_told_with_their_versions(lab: Any) -> None:
    gitlab, nexus = lab.connections.gitlab(), lab.connections.nexus()
    checks = {check.name: check for check in examine_servers(lab.settings)}
    assert {check.verdict for check in checks.values()} == {Verdict.FINE}
    assert checks["GitLab"].found == gitlab.version()
    assert nexus.version() in checks["Nexus"].found
    assert "maven2, raw" in checks["Nexus"].found
