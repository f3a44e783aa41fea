"""Wishes: what becomes of them, and what is wrong with them and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.core.document import InvalidDocumentError, parse
from infra.core.settings import load_settings
from pipelines.catalogue import Catalogue, Service
from pipelines.onboarding import Placed, Wish, entries, entry_text, environments_of, load_wishes
from pipelines.service_page import service_page

SETTINGS = load_settings({}, profile="lab")
CATALOGUE = Catalogue.of(SETTINGS)


def wish(**given: Any) -> Placed:
    fields = {"name": "payments", "language": "go", "tier": "core", "owners": ("@risk",), **given}
    return Placed(wish=Wish.model_validate(fields))


def made(*wishes: Placed) -> tuple[Service, ...]:
    return entries(wishes, CATALOGUE, SETTINGS.profile).services


def refused(*wishes: Placed) -> str:
    with pytest.raises(InvalidDocumentError) as caught:
        made(*wishes)
    return str(caught.value)


def test_what_is_not_said_is_chosen() -> None:
    (service,) = made(wish())
    ports = {one.port for one in CATALOGUE}
    assert service.port == max(ports) + 1
    assert service.language_version == CATALOGUE.service("market-data").language_version
    assert (service.owners, service.dependencies, service.seeded) == (("risk",), (), True)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"description": 'Pays: "out", # and in\\', "dependencies": ("market-data",)},
        {"description": "yes"},
        {"description": "- a list?"},
        {"description": "{{ 7 * 7 }} %s ${HOME}"},
        {"source": "/somewhere", "language_version": "1.25"},
    ],
    ids=["plain", "quotes", "word-of-yaml", "mark-of-yaml", "template", "adopted"],
)
def test_the_entry_says_what_was_wished(given: dict[str, Any]) -> None:
    (service,) = made(wish(**given))
    assert parse(entry_text(service), "x.yaml", Service) == service


def test_many_have_ports_of_their_own_and_may_depend_on_each_other() -> None:
    services = made(wish(name="alpha", dependencies=("beta",)), wish(name="beta"), wish(name="gamma"))
    assert len({service.port for service in (*services, *CATALOGUE)}) == len(CATALOGUE) + 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"name": "Pay"}, "NAME: 'Pay' has capital letters", id="name"),
        pytest.param({"owners": ("@riks",)}, "--owner: there is no team 'riks'\nfix: did you mean 'risk'?", id="owner"),
        pytest.param({"dependencies": ("market-dta",)}, "did you mean 'market-data'?", id="dependency"),
        pytest.param({"dependencies": ("payments",)}, "no other service 'payments'", id="on-itself"),
        pytest.param({"port": 8101}, "--port: 8101 is already the port of market-data", id="port-taken"),
        pytest.param({"port": 80}, "80 is not from 1024 to 32767", id="port-of-the-system"),
        pytest.param({"language_version": "latest"}, "'latest' is not a version", id="version"),
        pytest.param(
            {"name": "positionkeeping", "language": "java"},
            "is already the Java package of position-keeping",
            id="java",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_option(given: dict[str, Any], said: str) -> None:
    assert said in refused(wish(**given))


def test_the_same_again_is_no_work_and_something_else_names_the_line() -> None:
    there = CATALOGUE.service("settlement")
    same = wish(name="settlement", language="java", tier="important", owners=there.owners)
    found = entries([same], CATALOGUE, SETTINGS.profile)
    assert (found.services, found.new) == ((there,), frozenset())
    said = refused(wish(name="settlement", language="java", tier="core", owners=there.owners))
    lines = CATALOGUE.sources["settlement"].read_text().splitlines()
    assert f"settlement.yaml:{lines.index('tier: important') + 1}:1" in said
    assert "tier 'important', not 'core'" in said


def test_a_look_alike_is_a_warning() -> None:
    found = entries([wish(name="ordergateway")], CATALOGUE, SETTINGS.profile)
    assert [finding.rule for finding in found.warnings] == ["look-alike"]
    assert not entries([wish()], CATALOGUE, SETTINGS.profile).warnings


def test_a_file_of_wishes_tells_every_error_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "many.yaml"
    file.write_text(
        "services:\n"
        "  - {name: alpha, language: go, tier: core, owners: [risk]}\n"
        "  - name: Beta\n"
        "    language: go\n"
        "    tier: core\n"
        "    owners: [risk]\n"
        "  - {name: alpha, language: go, tier: core, owners: [risk]}\n"
    )
    said = refused(*load_wishes(file))
    assert f"{file}:3:5: 'Beta' has capital letters" in said
    assert f"{file}:7:6: 'alpha' is wished for twice" in said
    file.write_text("services:\n  - {name: alpha, langauge: go, tier: core, owners: [risk]}\n")
    with pytest.raises(InvalidDocumentError, match="2 errors") as caught:
        load_wishes(file)
    assert f"{file}:2:19: services.0.langauge: is not a known key (did you mean 'language'?)" in caught.value.detail
    file.write_text("services: []\n")
    with pytest.raises(InvalidDocumentError, match="has no service"):
        load_wishes(file)


def test_the_page_has_every_environment_role_and_place() -> None:
    (service,) = made(wish(language="java"))
    page = service_page(service, SETTINGS)
    for shown in environments_of(service, SETTINGS):
        assert f"| {shown['environment']} | {shown['port']} | <{shown['health']}> |" in page
        assert f"deploy-payments-{shown['environment']}" in page
    for text in ("publish-payments", "maven-releases/com/forgeline/trading/payments/", "@teams/risk", "--back-from"):
        assert text in page
