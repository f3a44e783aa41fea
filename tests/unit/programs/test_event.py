"""The engine's messages as people should read them."""

from __future__ import annotations

import pytest
from pulumi.automation.events import EngineEvent

from infra.core.progress import Silent
from infra.programs.event import Watcher, plain
from infra.programs.plan import Op, urn_name, urn_type

URN = "urn:pulumi:s::forgeline::forgeline:component:Groups$forgeline:gitlab:Group::trading"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("<{%fg 1%}>error:<{%reset%}> x", "error: x"),
        ("1 error occurred:\n\t* rpc error: code = FailedPrecondition desc = no group\n\n", "no group"),
        ("python inline source runtime error: shut\nTraceback (most recent call last):\n  File", "shut"),
    ],
    ids=["markup", "rpc", "program"],
)
def test_a_message_loses_what_the_engine_put_around_it(message: str, expected: str) -> None:
    assert plain(message) == expected


def test_a_urn_tells_type_and_name() -> None:
    assert (urn_type(URN), urn_name(URN)) == ("forgeline:gitlab:Group", "trading")


def _step(op: str, type_name: str = "forgeline:gitlab:Group") -> EngineEvent:
    diff = {"name": {"diffKind": "update", "inputDiff": True}}
    metadata = {"op": op, "urn": URN, "type": type_name, "provider": "p", "detailedDiff": diff}
    return EngineEvent.from_json(
        {"sequence": 1, "timestamp": 1, "resourcePreEvent": {"metadata": metadata, "planning": True}}
    )


def test_changes_are_collected_once_and_named() -> None:
    watcher = Watcher("s", Silent())
    for event in (_step("update"), _step("update"), _step("same"), _step("create", "forgeline:component:Groups")):
        watcher(event)
    (change,) = watcher.changes
    assert (change.op, change.name, change.fields) == (Op.UPDATE, "trading", ("name",))
    assert str(change) == "update gitlab:Group trading [name]"


def test_errors_are_kept_by_resource() -> None:
    watcher = Watcher("s", Silent())
    for urn, message in ((URN, "no"), ("urn:pulumi:s::p::pulumi:pulumi:Stack::s", "update failed")):
        event = {"message": message, "severity": "error", "urn": urn, "color": "never"}
        watcher(EngineEvent.from_json({"sequence": 1, "timestamp": 1, "diagnosticEvent": event}))
    assert [(failure.urn, failure.message) for failure in watcher.failures] == [(URN, "no")]
