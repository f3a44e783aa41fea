"""What the facts say of the Nexus that these tests have is so: a real server is asked it all."""

from __future__ import annotations

from typing import Any

import pytest

from infra.core.naming import NEXUS_ADMIN
from tests.unit.clients.nexus_ask import in_order, problem
from tests.unit.clients.nexus_fact import ANONYMOUS, REAL

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("tests.unit.provider.test_contract")]

OF_A_NEW_SERVER = "anonymous access of a new server"
"""The lab closes it before anybody else may ask."""


def test_a_real_server_answers_as_the_facts_say(lab: Any) -> None:
    nexus = lab.connections.nexus()
    if nexus.version() != REAL:
        pytest.skip(f"this is Nexus {nexus.version()}: the facts are of {REAL}")
    password = lab.connections.secret(f"openbao:{NEXUS_ADMIN}#password").reveal()
    before = nexus.anonymous()
    try:
        facts = [fact for fact in in_order() if not fact.what.startswith(OF_A_NEW_SERVER)]
        assert any(fact.path == ANONYMOUS for fact in facts)
        told = [problem(fact, REAL, lab.settings.nexus_url, password) for fact in facts]
        assert [line for line in told if line] == []
    finally:
        nexus.put_anonymous(before)


def test_there_is_no_agreement_to_accept(lab: Any) -> None:
    nexus = lab.connections.nexus()
    assert nexus.agreement() is None
    assert nexus.may_serve()
    assert nexus.edition() in {"OSS", ""}
