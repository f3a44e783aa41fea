"""The file backend's files: state, pending operations, locks."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from infra.programs.checkpoint import Checkpoints


def _write(folder: Path, latest: dict[str, object] | None) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    file = checkpoints.file("one")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"version": 3, "checkpoint": {"stack": "one", "latest": latest}}))
    return checkpoints


def _lock(folder: Path, pid: int) -> Path:
    file = folder / ".pulumi" / "locks" / "organization" / "forgeline" / "one" / "x.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"pid": pid, "hostname": os.uname().nodename}))
    return file


def test_only_living_resources_of_the_provider_are_told(tmp_path: Path) -> None:
    urn = "urn:pulumi:one::forgeline::forgeline:gitlab:Group::g"
    resource = {"urn": urn, "type": "forgeline:gitlab:Group", "id": "g", "custom": True, "inputs": {"path": "g"}}
    others = [{**resource, "delete": True}, {"urn": "u", "type": "pulumi:pulumi:Stack", "custom": False}]
    checkpoints = _write(tmp_path, {"resources": [resource, *others]})
    assert [(item.urn, item.inputs) for item in checkpoints.resources("one")] == [(urn, {"path": "g"})]
    assert checkpoints.names() == ["one"]


@pytest.mark.parametrize(
    ("latest", "pending"),
    [(None, False), ({"resources": []}, False), ({"pending_operations": [{"type": "creating"}]}, True)],
    ids=["new", "settled", "killed"],
)
def test_pending_operations_are_seen(tmp_path: Path, latest: dict[str, object] | None, pending: bool) -> None:
    assert _write(tmp_path, latest).has_pending("one") is pending


def test_a_stack_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.resources("none") == []
    assert not checkpoints.has_pending("none")
    assert not checkpoints.exists("none")


def test_a_dead_holder_s_lock_is_broken(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    file = _lock(tmp_path, ended.pid)
    assert Checkpoints(tmp_path).break_stale_locks("one") is None
    assert not file.exists()


def test_a_living_engine_s_lock_is_respected(tmp_path: Path) -> None:
    binary = tmp_path / "pulumi"
    binary.symlink_to("/bin/sleep")
    engine = subprocess.Popen([str(binary), "60"])
    try:
        file = _lock(tmp_path, engine.pid)
        assert Checkpoints(tmp_path).break_stale_locks("one") == engine.pid
        assert file.exists()
    finally:
        engine.kill()
        engine.wait()


def test_a_lock_of_a_pid_that_is_another_program_by_now_is_broken(tmp_path: Path) -> None:
    file = _lock(tmp_path, os.getpid())
    assert Checkpoints(tmp_path).break_stale_locks("one") is None
    assert not file.exists()


@pytest.mark.parametrize(
    ("latest", "dropped"),
    [
        (None, True),
        ({"manifest": {}}, True),
        ({"resources": [{}], "manifest": {}}, False),
        ({"pending_operations": [{}]}, False),
    ],
    ids=["new", "previewed", "brought up", "killed"],
)
def test_only_a_state_that_has_nothing_is_removed(
    tmp_path: Path, latest: dict[str, object] | None, dropped: bool
) -> None:
    checkpoints = _write(tmp_path, latest)
    beside = checkpoints.file("one").with_name("one.json.attrs")
    beside.write_text("")
    assert checkpoints.drop_empty("one") is dropped
    assert (checkpoints.exists("one"), beside.exists()) == (not dropped, not dropped)
    assert checkpoints.drop_empty("none") is False


def test_a_torn_state_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    checkpoints = _write(tmp_path, None)
    checkpoints.file("one").write_text('{"version": 3, "check')
    assert checkpoints.drop_empty("one") is False
