"""Stacks with the real engine on real servers: plan, apply, nothing to change, drift, faults, removal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.core.candidate import Verdict
from infra.core.error import StackError
from infra.core.progress import Silent
from infra.core.secret import SecretRef
from infra.programs.gate import ARTIFACTS, Gates
from infra.programs.plan import Op
from infra.programs.session import Session
from infra.programs.stack import Layer, Stack

# The SDK leaves the event loops of failed programs unclosed; that would be held against a later test.
pytestmark = [
    pytest.mark.servers,
    pytest.mark.xdist_group(__name__),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]


@pytest.fixture
def session(lab: Any) -> Iterator[Session]:
    connections, pulumi = lab.connections, lab.tools["pulumi"]
    with Session(lab.settings, engine=lambda: pulumi, connections=connections, progress=Silent()) as it:
        yield it
        it.destroy()


def _program(description: str, level: str) -> Callable[[Gates], None]:
    def build(_gates: Gates) -> None:
        from infra.provider.resource import gitlab, vault

        group = gitlab.Group("g", path="sessions", description=description)
        project = gitlab.Project("p", path=group.path.apply(lambda path: f"{path}/app"))
        gitlab.ProtectedBranch("b", project=project.path, branch="main", merge_access_level=level)
        vault.KvSecret("k", path="sessions/kv", generated={"value": "Zz9-"})
        secret = str(SecretRef("sessions/shared", "value"))
        gitlab.ProjectVariable("v", project=project.path, key="S", secret=secret, masked=True)
        gitlab.Runner("r", description="sessions", token="openbao:sessions/runner#token")

    return build


def _stack(description: str = "one", level: str = "developer") -> Stack:
    inputs = {"description": description, "level": level}
    return Stack(name="service-x", layer=Layer.SERVICE, inputs=inputs, program=_program(description, level))


@pytest.fixture
def shared(lab: Any) -> str:
    openbao = lab.connections.openbao()
    openbao.write_kv("sessions/shared", {"value": "Shared-value-123456"})
    return "Shared-value-123456"


def test_the_plan_is_what_is_carried_out_and_then_nothing_is_left(session: Session, lab: Any, shared: str) -> None:
    planned = session.preview([_stack()])
    assert {change.op for change in planned[0].changes} == {Op.CREATE}
    assert session.apply([_stack()])[0].changes == planned[0].changes

    lab.written.clear()
    assert session.apply([_stack()])[0].skipped
    assert session.drift() == []
    assert lab.written == []

    planned = session.preview([_stack("two", "maintainer")])
    named = {(str(change.op), change.name, change.fields) for change in planned[0].changes}
    assert named == {("update", "g", ("description",)), ("update", "b", ("merge_access_level",))}
    assert session.apply([_stack("two", "maintainer")])[0].changes == planned[0].changes


def _lose_state(session: Session) -> None:
    session.checkpoints.file("service-x").unlink()


def test_a_lost_state_is_adopted_without_a_write(session: Session, lab: Any, shared: str) -> None:
    session.apply([_stack()])
    _lose_state(session)
    lab.written.clear()
    (planned,) = session.adopt([_stack()], dry_run=True)
    assert session.checkpoints.resources("service-x") == []
    (found,) = session.adopt([_stack()])
    assert found.candidates == planned.candidates
    assert {one.verdict for one in found.candidates} == {Verdict.EQUAL}
    assert len(session.checkpoints.resources("service-x")) == len(found.candidates) == 6
    assert session.preview([_stack()])[0].changes == ()
    assert session.apply([_stack()])[0].changes == ()
    assert lab.written == []


def test_what_differs_is_adopted_only_when_asked(session: Session, lab: Any, shared: str) -> None:
    session.apply([_stack()])
    _lose_state(session)
    gitlab = lab.connections.gitlab()
    gitlab.api.groups.update("sessions", {"description": "by hand"})
    gitlab.project("sessions/app").protectedbranches.delete("main")
    lab.written.clear()
    (found,) = session.adopt([_stack()])
    told = {one.urn.rpartition("::")[2]: (one.verdict, one.fields) for one in found.candidates}
    assert told["g"] == (Verdict.DIFFERENT, ("description",))
    assert told["b"] == (Verdict.MISSING, ())
    names = {recorded.urn.rpartition("::")[2] for recorded in session.checkpoints.resources("service-x")}
    assert names == set(told) - {"g", "b"}

    (taken,) = session.adopt([_stack()], different=True)
    assert [one.urn.rpartition("::")[2] for one in taken.taken(different=True)] == ["g"]
    planned = session.preview([_stack()])[0].changes
    assert {(str(change.op), change.name, change.fields) for change in planned} == {
        ("update", "g", ("description",)),
        ("create", "b", ()),
    }
    assert lab.written == []
    assert session.apply([_stack()])[0].changes == planned
    assert session.drift() == []


ENGINE = """#!/bin/sh
sleep 20 &
trap 'kill $!; touch {folder}/asked; exit 1' INT
touch {folder}/running
wait $!
exit 1
"""


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """An engine that is at work until it is asked to stop."""
    file = tmp_path / "engine"
    file.write_text(ENGINE.format(folder=tmp_path))
    file.chmod(0o755)
    return file


def test_ctrl_c_while_the_engine_is_started_lets_it_do_nothing(lab: Any, engine: Path, tmp_path: Path) -> None:
    def start() -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)  # longer than it takes until Ctrl-C is seen
        return engine

    starting = Session(lab.settings, engine=start, connections=lab.connections, progress=Silent())
    with starting as session, pytest.raises(KeyboardInterrupt):
        session.refresh([_stack()])
    assert not (tmp_path / "running").exists() or (tmp_path / "asked").exists()


def test_ctrl_c_while_adopting_asks_the_engines_to_stop(lab: Any, engine: Path, tmp_path: Path) -> None:
    def press() -> None:
        while not (tmp_path / "running").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    with Session(lab.settings, engine=lambda: engine, connections=lab.connections, progress=Silent()) as session:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            session.adopt([_stack()])
    thread.join()
    assert (tmp_path / "asked").exists()


def test_a_preview_of_a_lost_state_hides_nothing(session: Session, shared: str) -> None:
    session.apply([_stack()])
    _lose_state(session)
    assert session.preview([_stack()])[0].changes
    assert not session.apply([_stack()])[0].skipped
    assert session.checkpoints.resources("service-x")


def test_no_secret_is_in_any_file_of_the_state(session: Session, lab: Any, shared: str) -> None:
    session.apply([_stack()])
    openbao = lab.connections.openbao()
    values = [shared] + [
        value.reveal()
        for path in ("sessions/kv", "sessions/runner", "platform/gitlab-root")
        for name, value in (openbao.read_kv(path) or {}).items()
        if name != "username"
    ]
    assert len(values) >= 4
    for file in lab.settings.data("pulumi").rglob("*"):
        if file.is_file():
            content = file.read_text(errors="replace")
            assert not [value for value in values if value in content], file


def test_an_edit_on_the_server_is_drift_and_is_repaired(session: Session, lab: Any, shared: str) -> None:
    session.apply([_stack()])
    gitlab = lab.connections.gitlab()
    gitlab.api.groups.update("sessions", {"description": "by hand"})
    gitlab.project("sessions/app").protectedbranches.delete("main")
    found = {(difference.field, difference.actual) for difference in session.drift()}
    assert found == {("description", "by hand"), ("", None)}
    session.apply([_stack()], refresh=True)
    assert session.drift() == []
    assert gitlab.find_group("sessions").description == "one"


def test_a_refresh_takes_the_servers_into_the_state(session: Session, lab: Any, shared: str) -> None:
    session.apply([_stack()])
    lab.connections.gitlab().api.groups.update("sessions", {"description": "by hand"})
    session.refresh([_stack()])
    assert session.drift() == []
    (plan,) = session.preview([_stack()])
    assert [(change.name, change.fields) for change in plan.changes] == [("g", ("description",))]


def test_a_failure_names_the_resource_and_leaves_the_rest(session: Session, lab: Any) -> None:
    def build(_gates: Gates) -> None:
        from infra.provider.resource import gitlab

        gitlab.Project("lost", path="no-such-group/app")

    with pytest.raises(StackError) as caught:
        session.apply([Stack(name="service-x", layer=Layer.SERVICE, inputs={}, program=build)])
    assert caught.value.where == "service-x: forgeline:gitlab:Project lost"
    assert "there is no group 'no-such-group'" in caught.value.what
    assert caught.value.fix == "declare the group first"


def test_what_only_waited_for_a_failed_platform_is_not_blamed(session: Session, lab: Any) -> None:
    def platform(_gates: Gates) -> None:
        from infra.provider.resource import gitlab

        gitlab.Project("lost", path="no-such-group/app")

    def service(gates: Gates) -> None:
        from infra.provider.resource import gitlab

        gitlab.Group("g", path=gates.hold(ARTIFACTS, "sessions"))

    with pytest.raises(StackError) as caught:
        session.apply(
            [
                Stack(name="platform", layer=Layer.PLATFORM, inputs={}, program=platform),
                Stack(name="service-x", layer=Layer.SERVICE, inputs={}, program=service),
            ]
        )
    assert "there is no group 'no-such-group'" in caught.value.what
    assert "service-x" not in str(caught.value)


def test_a_bad_value_is_refused_before_anything_is_touched(session: Session, lab: Any) -> None:
    def build(_gates: Gates) -> None:
        from infra.provider.resource import gitlab

        gitlab.Group("g", path="sessions", visibility="secret")

    lab.written.clear()
    with pytest.raises(StackError, match="visibility"):
        session.apply([Stack(name="service-x", layer=Layer.SERVICE, inputs={}, program=build)])
    assert lab.written == []


def test_a_killed_run_is_gone_on_with(session: Session, lab: Any, shared: str) -> None:
    """What a kill leaves: a lock whose process is dead, and an operation of which nobody knows how it ended."""
    session.apply([_stack()])
    ended = subprocess.Popen(["true"])
    ended.wait()
    folder: Path = lab.settings.data("pulumi") / ".pulumi"
    lock = folder / "locks" / "organization" / "forgeline" / "service-x" / "left.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(json.dumps({"pid": ended.pid, "username": "x", "hostname": os.uname().nodename}))
    state = session.checkpoints.file("service-x")
    document = json.loads(state.read_text())
    latest = document["checkpoint"]["latest"]
    index = next(i for i, item in enumerate(latest["resources"]) if item["type"].endswith("ProtectedBranch"))
    latest["pending_operations"] = [{"resource": latest["resources"].pop(index), "type": "creating"}]
    state.write_text(json.dumps(document))

    (plan,) = session.apply([_stack("two")])
    assert {change.name for change in plan.changes} == {"g", "b"}
    assert not lock.exists()
    assert not session.checkpoints.has_pending("service-x")
    assert session.drift() == []


def test_removing_leaves_nothing(session: Session, lab: Any, shared: str) -> None:
    session.apply([_stack()])
    session.destroy()
    assert session.checkpoints.names() == []
    assert lab.connections.gitlab().find_group("sessions") is None
    assert lab.connections.openbao().read_kv("sessions/kv") is None
