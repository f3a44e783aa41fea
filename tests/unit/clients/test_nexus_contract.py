"""Our client of Nexus against each version that it must work with, as the facts say that those answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.clients.nexus import Agreement, AgreementError, NexusClient
from infra.clients.readiness import Prober
from infra.core.error import ServerError
from infra.core.secret import SecretValue
from infra.core.server import Probe, Readiness
from infra.operations.check import Verdict
from infra.operations.server_check import nexus_check
from infra.provider.connection import Connections
from infra.provider.kind import Kind
from infra.provider.nexus.settings import AGREEMENT, ANONYMOUS_ACCESS, CLEANUP_POLICY, REALMS
from infra.provider.provider import bring_about, complete
from tests.unit.clients.nexus_ask import in_order, problem
from tests.unit.clients.nexus_fact import EULA, FACTS, FIRST, LATE, REAL, TEXT, VERSIONS
from tests.unit.clients.nexus_replay import Nexus, replay

WITH_AGREEMENT = (FIRST, LATE)


@pytest.fixture
def nexus(request: pytest.FixtureRequest) -> Iterator[Nexus]:
    """A server of the version that the test names."""
    with replay(Nexus(version=request.param)) as server:
        yield server


@pytest.fixture
def client(nexus: Nexus) -> Iterator[NexusClient]:
    made = NexusClient(nexus.url, username="admin", password=lambda: SecretValue("right"))
    yield made
    made.close()


@pytest.fixture
def connections(client: NexusClient) -> Connections:
    return Connections(nexus=lambda: client)


every_version = pytest.mark.parametrize("nexus", VERSIONS, indirect=True)
with_agreement = pytest.mark.parametrize("nexus", WITH_AGREEMENT, indirect=True)
without = pytest.mark.parametrize("nexus", [REAL], indirect=True)


def wanted(kind: Kind[Any], inputs: dict[str, Any]) -> Any:
    fields, failures = complete(kind, inputs)
    assert not failures
    return kind.inputs.model_validate(fields)


@every_version
def test_the_replay_answers_as_the_facts_say(nexus: Nexus) -> None:
    told = [problem(fact, nexus.version, nexus.url, "right") for fact in in_order()]
    assert [line for line in told if line] == []


def test_every_fact_has_a_source() -> None:
    assert all(fact.sources and all(fact.sources) for fact in FACTS)
    assert {fact.what for fact in FACTS if fact.has_one_source} == {
        "an artifact asked for by a stranger who is not let in"
    }


@every_version
def test_version_and_edition_are_read(nexus: Nexus, client: NexusClient) -> None:
    assert (client.version(), client.edition()) == (nexus.version, nexus.edition)


@without
def test_where_there_is_no_agreement_nothing_is_accepted(nexus: Nexus, connections: Connections) -> None:
    bring_about(AGREEMENT, connections, wanted(AGREEMENT, {"accept": True}))
    assert not [request for request in nexus.requests if request.startswith("POST")]
    assert nexus_check(connections.nexus(), accept=False).verdict is Verdict.FINE


@with_agreement
def test_the_agreement_is_never_accepted_by_itself(nexus: Nexus, connections: Connections) -> None:
    with pytest.raises(AgreementError) as caught:
        bring_about(AGREEMENT, connections, wanted(AGREEMENT, {}))
    assert "`accept_nexus_eula: true`" in caught.value.fix
    assert "(https://agreement.example/ce-eula)" in caught.value.fix
    assert not nexus.accepted
    assert not [request for request in nexus.requests if request.startswith("POST")]
    check = nexus_check(connections.nexus(), accept=False)
    assert check.verdict is Verdict.MISSING
    assert "https://agreement.example/ce-eula" in check.fix


@with_agreement
def test_the_agreement_is_accepted_with_its_own_text_where_the_profile_says_so(
    nexus: Nexus, connections: Connections
) -> None:
    described = wanted(AGREEMENT, {"accept": True})
    assert nexus_check(connections.nexus(), accept=True).verdict is Verdict.WARNING
    bring_about(AGREEMENT, connections, described)
    assert nexus.accepted
    nexus.requests.clear()
    bring_about(AGREEMENT, connections, described)
    assert nexus.requests == [f"GET {EULA}"]
    assert nexus_check(connections.nexus(), accept=True).verdict is Verdict.FINE


@with_agreement
def test_an_acceptance_that_is_not_kept_is_told(nexus: Nexus, client: NexusClient) -> None:
    answer = nexus._eula
    nexus._eula = lambda verb, *rest: (204, None) if verb == "POST" else answer(verb, *rest)  # type: ignore[method-assign]
    with pytest.raises(ServerError, match="did not keep it"):
        client.settle_agreement(accept=True)


@with_agreement
def test_an_artifact_before_that_says_what_is_in_its_way(client: NexusClient) -> None:
    with pytest.raises(AgreementError, match="EULA"):
        client.download("raw-any", "some/file")


def test_who_may_not_ask_for_the_agreement_goes_on() -> None:
    with replay(Nexus(version=LATE)) as server:
        server._eula = lambda *_: (403, None)  # type: ignore[method-assign]
        other = NexusClient(server.url, username="admin", password=lambda: SecretValue("right"))
        assert other.agreement() is None
        assert other.may_serve()
        other.close()


def test_a_licensed_server_has_nothing_to_accept() -> None:
    with replay(Nexus(version=LATE, edition="PRO")) as server:
        other = NexusClient(server.url, username="admin", password=lambda: SecretValue("right"))
        other.settle_agreement(accept=False)
        assert other.download("raw-any", "some/file") is None
        other.close()


def test_the_agreements_address_ends_before_the_full_stop() -> None:
    assert Agreement(accepted=False, disclaimer=TEXT).address == "https://agreement.example/ce-eula"
    assert Agreement(accepted=False, disclaimer="").address == ""


@every_version
@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        (REALMS, {"realms": ["NexusAuthenticatingRealm", "DefaultRole"]}),
        (ANONYMOUS_ACCESS, {"enabled": False}),
        (ANONYMOUS_ACCESS, {"enabled": True}),
        (CLEANUP_POLICY, {"name": "old", "format": "raw", "last_downloaded": 30}),
    ],
    ids=["realms", "closed", "open", "cleanup"],
)
def test_a_setting_is_made_and_stays(
    nexus: Nexus, connections: Connections, kind: Kind[Any], inputs: dict[str, Any]
) -> None:
    described = wanted(kind, inputs)
    bring_about(kind, connections, described)
    found = kind.read(connections, described)
    assert found is not None
    assert kind.changes(described.model_dump(mode="json"), kind.observed(described, found)) == {}
    nexus.requests.clear()
    bring_about(kind, connections, described)
    assert all(request.startswith("GET") for request in nexus.requests)


@pytest.mark.parametrize("nexus", [LATE], indirect=True)
def test_a_server_that_lists_the_authorizing_realm_keeps_it(nexus: Nexus, connections: Connections) -> None:
    """As with `nexus.security.enableAuthorizationRealmManagement` (RealmManagerImpl of 3.71 and 3.77)."""
    nexus.realms = ["NexusAuthenticatingRealm", "NexusAuthorizingRealm"]

    def put(verb: str, _path: str, body: Any) -> tuple[int, Any]:
        nexus.realms = body if verb == "PUT" else nexus.realms
        return (204, None) if verb == "PUT" else (200, nexus.realms)

    nexus._realms = put  # type: ignore[method-assign]
    bring_about(REALMS, connections, wanted(REALMS, {"realms": ["DefaultRole"]}))
    assert nexus.realms == ["DefaultRole", "NexusAuthorizingRealm"]


class Vault:
    """Has the administrator's password."""

    @staticmethod
    def resolve(_reference: object) -> SecretValue:
        return SecretValue("generated")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("stale", [False, True], ids=["first start", "stale file"])
def test_the_first_password_is_replaced_once_and_strangers_are_kept_out(
    tmp_path: Path, version: str, stale: bool
) -> None:
    file = tmp_path / "admin.password"
    file.write_text("nobody-has-it" if stale else "first")
    vault: Any = Vault()
    prober = Prober(vault)
    readiness = Readiness(
        probe=Probe.NEXUS, url="", secrets={"password": "openbao:a/b#c"}, first_password_file=str(file), timeout=1
    )
    with replay(Nexus(version=version, password="generated" if stale else "first")) as server:
        asked = readiness.model_copy(update={"url": server.url})
        if not stale:
            assert prober.ask(asked) == "the administrator's password was set"
            assert server.anonymous["enabled"] is False
        assert prober.ask(asked) == ""
        assert server.password == "generated"
        assert not file.exists(), "what is void must not be taken for a password"
