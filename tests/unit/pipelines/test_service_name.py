"""What a service may be called, and which names are one in what is derived from them."""

from __future__ import annotations

import pytest

from infra.core.naming import SERVICE_NAME_LIMIT
from pipelines.catalogue import Catalogue, Language, load_catalogue
from pipelines.service_name import collisions, derived_names, look_alikes, name_problem

CATALOGUE = load_catalogue()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("zahlungen-für-alle", "LATIN SMALL LETTER U WITH DIAERESIS", id="non-ascii"),
        pytest.param("market-d\N{CYRILLIC SMALL LETTER A}ta", "CYRILLIC SMALL LETTER A", id="look-alike-letter"),
        pytest.param("Payments", "capital letters", id="capitals"),
        pytest.param("a" * (SERVICE_NAME_LIMIT + 1), "41 characters; the limit is 40", id="too-long"),
        pytest.param("../../etc", "mean something to a shell", id="path"),
        pytest.param("a b", "mean something to a shell", id="space"),
        pytest.param("x;rm -rf", "mean something to a shell", id="shell"),
        pytest.param("$(id)", "mean something to a shell", id="substitution"),
        pytest.param("a\nb", "mean something to a shell", id="line-break"),
        pytest.param("{{ 7 }}", "mean something to a shell", id="template"),
        pytest.param("a'b", "mean something to a shell", id="quote"),
        pytest.param("-rf", "is not a service's name", id="option"),
        pytest.param("a--b", "is not a service's name", id="two-hyphens"),
        pytest.param("a_b", "is not a service's name", id="underscore"),
        pytest.param("9lives", "is not a service's name", id="digit-first"),
        pytest.param("tree", "GitLab keeps for itself", id="gitlab"),
        pytest.param("platform", "Forgeline uses", id="forgeline"),
        pytest.param("production", "Forgeline uses", id="environment"),
        pytest.param("class", "has a meaning of its own in python", id="keyword"),
        pytest.param("json", "has a meaning of its own in python", id="standard-library"),
    ],
)
def test_a_name_that_can_t_be_is_told_apart(name: str, said: str) -> None:
    problem = name_problem(name, Language.PYTHON)
    assert problem is not None
    assert said in problem[0]
    assert problem[1]


@pytest.mark.parametrize("name", ["payments", "order-gateway-2", "a", "a" * SERVICE_NAME_LIMIT])
def test_a_name_that_can_be(name: str) -> None:
    assert name_problem(name, Language.GO) is None


def test_the_names_of_the_catalogue_can_be() -> None:
    for service in CATALOGUE:
        assert name_problem(service.name, service.language) is None
        assert list(collisions(service.name, service.language, CATALOGUE)) == []


@pytest.mark.parametrize(
    ("name", "language", "said"),
    [
        pytest.param("positionkeeping", Language.JAVA, "Java package com.forgeline.trading.positionkeeping", id="java"),
        pytest.param("market-data", Language.GO, "", id="its-own"),
        pytest.param("positionkeeping", Language.GO, "", id="another-language"),
    ],
)
def test_what_is_one_name_in_what_is_derived(name: str, language: Language, said: str) -> None:
    found = list(collisions(name, language, CATALOGUE))
    assert [said in line for line in found] == ([True] if said else [])


def test_a_repository_of_another_name_is_taken_too() -> None:
    service = CATALOGUE.service("settlement").model_copy(update={"repository": "trading/clearing"})
    catalogue = Catalogue(services={"settlement": service}, release="v1.0.0")
    assert ["trading/clearing" in line for line in collisions("clearing", Language.GO, catalogue)] == [True]


def test_every_system_has_its_derived_name() -> None:
    derived = derived_names("pay-out", Language.PYTHON)
    assert {"trading/pay-out", "publish-pay-out", "deploy-pay-out-dev", "pay_out", "dev-pay-out"} <= set(
        derived.values()
    )


@pytest.mark.parametrize("other", ["0rder-gateway", "order-gatewey", "ordergateway", "order-gatway", "order-gatewya"])
def test_look_alikes(other: str) -> None:
    assert look_alikes(other, CATALOGUE.services) == ["order-gateway"]


@pytest.mark.parametrize("other", ["order-gateway", "payments", "order-archive"])
def test_what_does_not_look_alike(other: str) -> None:
    assert look_alikes(other, CATALOGUE.services) == []
