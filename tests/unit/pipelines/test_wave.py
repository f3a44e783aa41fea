"""Who moves in which wave, and who is left alone."""

from __future__ import annotations

import pytest

from infra.core.error import BadInputError
from pipelines.catalogue import Catalogue, Hold, load_catalogue
from pipelines.wave import plan_rollout

CATALOGUE = load_catalogue()


def changed(**fields: dict[str, object]) -> Catalogue:
    """The catalogue with some services' fields changed."""
    services = {s.name: s.model_copy(update=fields.get(s.name.replace("-", "_"), {})) for s in CATALOGUE}
    return Catalogue(services=services, release=CATALOGUE.release)


def test_waves_go_from_the_canary_to_what_matters_most() -> None:
    plan = plan_rollout(CATALOGUE, "v1.1.0")
    assert {wave: [move.service for move in plan.of_wave(wave)] for wave in plan.waves} == {
        "canary": ["client-reporting"],
        "important": ["compliance-monitor", "fund-valuation", "position-keeping", "settlement"],
        "core": ["execution-router", "market-data", "order-gateway", "order-management", "pre-trade-risk"],
    }
    assert list(plan.waves) == ["canary", "important", "core"]
    assert str(plan.moves[0]) == "client-reporting: v1.0.0 -> v1.1.0"
    assert plan.stays == ()


def test_a_canary_of_any_tier_goes_first_and_only_once() -> None:
    plan = plan_rollout(changed(market_data={"canary": True}, client_reporting={"canary": False}), "v1.1.0")
    assert [move.service for move in plan.of_wave("canary")] == ["market-data"]
    assert [move.service for move in plan.of_wave("normal")] == ["client-reporting"]
    assert "market-data" not in [move.service for move in plan.of_wave("core")]


def test_waves_that_are_named_go_in_their_own_order() -> None:
    plan = plan_rollout(CATALOGUE, "v1.1.0", waves=["core", "canary"])
    assert plan.waves == ("canary", "core")


def test_services_that_are_named_are_one_wave() -> None:
    plan = plan_rollout(CATALOGUE, "v1.1.0", services=["settlement", "market-data", "settlement"])
    assert [(move.wave, move.service) for move in plan.moves] == [("named", "market-data"), ("named", "settlement")]


def test_a_held_service_and_one_that_is_there_already_are_left_alone_and_listed() -> None:
    catalogue = changed(settlement={"hold": Hold(reason="audit")}, market_data={"pipeline": "v1.1.0"})
    plan = plan_rollout(catalogue, "v1.1.0")
    assert {(stay.service, stay.pipeline, stay.reason) for stay in plan.stays} == {
        ("settlement", "v1.0.0", "audit"),
        ("market-data", "v1.1.0", "is on v1.1.0 already"),
    }
    assert len(plan.moves) == len(CATALOGUE) - 2


def test_what_was_begun_is_finished_though_its_file_is_changed_or_it_is_held_by_now() -> None:
    catalogue = changed(settlement={"pipeline": "v1.1.0", "hold": Hold(reason="audit")})
    plan = plan_rollout(catalogue, "v1.1.0", waves=["important"], begun={"settlement": "v0.9.0"})
    assert "settlement: v0.9.0 -> v1.1.0" in map(str, plan.moves)


@pytest.mark.parametrize(
    ("waves", "services", "fix"),
    [
        pytest.param(["cor"], [], "did you mean 'core'?", id="wave"),
        pytest.param([], ["settlment"], "did you mean 'settlement'?", id="service"),
        pytest.param(["core"], ["settlement"], "not both", id="both"),
    ],
)
def test_names_that_are_not_known_are_refused(waves: list[str], services: list[str], fix: str) -> None:
    with pytest.raises(BadInputError) as caught:
        plan_rollout(CATALOGUE, "v1.1.0", waves=waves, services=services)
    assert fix in caught.value.fix
