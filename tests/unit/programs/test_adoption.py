"""What the engine's import is given: resources, the components above them, and names that can't be mistaken."""

from __future__ import annotations

from infra.core.candidate import Candidate, Verdict
from infra.programs.adoption import import_document
from infra.programs.plan import Adoption

ROOT = "urn:pulumi:service-a::forgeline::pulumi:pulumi:Stack::forgeline-service-a"
TOP = "urn:pulumi:service-a::forgeline::forgeline:component:Access::a"
ROLE = "urn:pulumi:service-a::forgeline::forgeline:component:Access$forgeline:component:JobRole::build-a"
POLICY = f"{ROLE.rpartition('::')[0]}$forgeline:vault:Policy::policy-build-a"
SECRET = "urn:pulumi:service-a::forgeline::forgeline:vault:KvSecret::a"
PARENTS = {ROOT: "", TOP: ROOT, ROLE: TOP, POLICY: ROLE, SECRET: ROOT}


def test_components_come_before_what_they_hold() -> None:
    found = import_document([(POLICY, "build-a"), (SECRET, "a")], PARENTS)
    assert found["nameTable"] == {}
    assert [(entry["type"], entry["logicalName"], entry.get("id")) for entry in found["resources"]] == [
        ("forgeline:component:Access", "a", None),
        ("forgeline:component:JobRole", "build-a", None),
        ("forgeline:vault:Policy", "policy-build-a", "build-a"),
        ("forgeline:vault:KvSecret", "a", "a"),
    ]
    assert [entry.get("component", False) for entry in found["resources"]] == [True, True, False, False]
    assert [entry.get("parent") for entry in found["resources"]] == [None, TOP, ROLE, None]
    assert len({entry["name"] for entry in found["resources"]}) == 4


def test_a_component_that_the_state_knows_is_named_and_not_imported() -> None:
    parents = {POLICY: ROLE, ROLE: TOP}
    found = import_document([(POLICY, "build-a")], parents)
    assert [entry["name"] for entry in found["resources"]] == [ROLE, POLICY]
    assert found["nameTable"] == {TOP: TOP}


def test_what_differs_is_taken_only_when_asked() -> None:
    candidates = tuple(Candidate(urn=str(verdict), id="x", verdict=verdict) for verdict in Verdict)
    adoption = Adoption(stack="service-a", candidates=candidates, parents={})
    assert [one.urn for one in adoption.taken(different=False)] == ["equal"]
    assert [one.urn for one in adoption.taken(different=True)] == ["equal", "different"]
    assert adoption.told == "1 equal, 1 different, 1 missing"
    assert Adoption(stack="service-a", candidates=(), parents={}).told == "nothing new"
