"""`forgeline onboard` and `offboard`: who is asked what, and what is refused before anything is looked at."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from infra.cli.app import run
from infra.cli.commands import onboard as command
from infra.cli.main import forgeline
from infra.core.error import ExitCode
from infra.core.settings import ROOT
from pipelines.onboarding import Placed

ALL = ("payments", "--language", "go", "--tier", "core", "--owner", "@risk")


class StoppedError(Exception):
    """The work would begin here."""


@pytest.fixture(autouse=True)
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue that may be changed, and a stack that isn't there."""
    folder = tmp_path / "team"
    shutil.copytree(ROOT / "pipelines" / "catalog", folder / "catalog")
    shutil.copy(ROOT / "pipelines" / "release.yaml", folder)
    monkeypatch.setenv("FORGELINE_PIPELINES", str(folder))
    monkeypatch.setenv("FORGELINE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("FORGELINE_PROFILE", "lab")
    return folder


@pytest.fixture
def wished(monkeypatch: pytest.MonkeyPatch) -> list[Placed]:
    """What the work was asked for, in place of the work."""
    seen: list[Placed] = []

    def instead(_onboarding: Any, wishes: Sequence[Placed], **_: Any) -> None:
        seen.extend(wishes)
        raise StoppedError

    monkeypatch.setattr(command.Onboarding, "run", instead)
    return seen


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(command, "at_a_terminal", lambda: there)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("payments", "--yes"), "--language, --tier, --owner is missing", id="missing"),
        pytest.param(("--yes",), "NAME, --language, --tier, --owner is missing", id="nothing"),
        pytest.param(ALL, "nothing says yes", id="nobody-to-ask"),
        pytest.param((*ALL[:-1], "@riks", "--yes"), "did you mean 'risk'?", id="owner"),
        pytest.param(("Pay", *ALL[1:], "--yes"), "capital letters", id="name"),
        pytest.param((*ALL, "--port", "8101", "--yes"), "already the port of market-data", id="port"),
        pytest.param((*ALL, "--depends-on", "market-dta", "--yes"), "did you mean 'market-data'?", id="dependency"),
        pytest.param((*ALL, "--from", "/nowhere", "--yes"), "neither a folder nor an address", id="from"),
        pytest.param(("x", "--language", "rust", "--yes"), "'rust' is not one of", id="language"),
        pytest.param(("x", "--tier", "vital", "--yes"), "'vital' is not one of", id="tier"),
        pytest.param(("--file", "nowhere.yaml", "--yes"), "does not exist", id="no-file"),
    ],
)
def test_bad_input_is_told_before_anything_is_touched(
    arguments: tuple[str, ...],
    said: str,
    team: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    at_a_terminal(monkeypatch, False)
    before = {path: path.read_bytes() for path in team.rglob("*.yaml")}
    assert run(forgeline, ["onboard", *arguments]) == ExitCode.BAD_INPUT
    assert said in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in team.rglob("*.yaml")}
    assert not (team.parent / "state").exists()


def test_options_and_a_file_are_one_too_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "many.yaml"
    file.write_text("services:\n  - {name: alpha, language: go, tier: core, owners: [risk]}\n")
    assert run(forgeline, ["onboard", "beta", "--tier", "core", "--file", str(file), "--yes"]) == ExitCode.BAD_INPUT
    assert "NAME, --tier can't be combined with --file" in capsys.readouterr().err


def test_what_is_said_is_wished(wished: list[Placed]) -> None:
    arguments = [
        *ALL,
        "--owner",
        "operations",
        "--description",
        "Pays",
        "--depends-on",
        "market-data",
        "--port",
        "8200",
    ]
    CliRunner().invoke(forgeline, ["onboard", *arguments, "--language-version", "1.25", "--yes"])
    (placed,) = wished
    assert json.loads(placed.wish.model_dump_json()) == {
        "name": "payments",
        "language": "go",
        "tier": "core",
        "owners": ["@risk", "operations"],
        "description": "Pays",
        "dependencies": ["market-data"],
        "port": 8200,
        "language_version": "1.25",
        "source": None,
    }
    assert placed.wish.teams == ("risk", "operations")


def test_what_is_missing_is_asked_for_at_a_terminal(wished: list[Placed], monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_terminal(monkeypatch, True)
    result = CliRunner().invoke(forgeline, ["onboard"], input="payments\nrust\npython\n\nnobody\nrisk\n")
    (placed,) = wished
    assert (placed.wish.name, placed.wish.language, placed.wish.tier) == ("payments", "python", "normal")
    assert placed.wish.owners == ("risk",)
    assert result.output.count("is not one of") == 2


def test_an_option_that_is_given_is_not_asked_for(wished: list[Placed], monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_terminal(monkeypatch, True)
    CliRunner().invoke(forgeline, ["onboard", *ALL], input="")
    assert [placed.wish.name for placed in wished] == ["payments"]


@pytest.mark.parametrize(
    ("begun", "incomplete", "found"),
    [
        (["onboard", "--owner"], "@ri", ["risk"]),
        (["onboard", "--language"], "ja", ["java"]),
        (["onboard", "--depends-on"], "mark", ["market-data"]),
        (["offboard"], "settle", ["settlement"]),
    ],
    ids=["owner", "language", "dependency", "service"],
)
def test_completion(begun: list[str], incomplete: str, found: list[str]) -> None:
    complete = ShellComplete(forgeline, {}, "forgeline", "_FORGELINE_COMPLETE")
    assert [item.value for item in complete.get_completions(begun, incomplete)] == found


@pytest.mark.parametrize(
    ("name", "said"),
    [("settlemnt", "did you mean 'settlement'?"), ("market-data", "order-gateway.yaml:9:")],
    ids=["unknown", "depended-on"],
)
def test_what_can_t_go_is_told_before_anything_is_touched(
    name: str, said: str, team: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (team / "catalog" / "order-gateway.yaml").read_text()
    (team / "catalog" / "order-gateway.yaml").write_text(text.replace("[order-management, ", "[market-data, "))
    assert run(forgeline, ["offboard", name, "--yes"]) == ExitCode.BAD_INPUT
    assert said in capsys.readouterr().err
    assert not (team.parent / "state").exists()


def test_going_needs_a_yes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(forgeline, ["offboard", "client-reporting"]) == ExitCode.BAD_INPUT
    assert "nothing says yes" in capsys.readouterr().err
