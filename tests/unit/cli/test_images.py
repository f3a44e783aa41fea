from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from infra.cli.app import run
from infra.cli.commands.images import IMAGE, SERVER
from infra.cli.main import forgeline
from infra.core.error import ExitCode


@pytest.fixture(autouse=True)
def _an_empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGELINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")


def test_a_dry_run_needs_no_engine_and_says_what_images_would_be_made_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(forgeline, ["images", "build", "--dry-run", "--only", "openbao", "--json"]) == ExitCode.FINE
    [image] = json.loads(capsys.readouterr().out)
    assert image["reference"].startswith("forgeline/openbao:")
    assert image["state"] == "to be built"
    assert [layer["name"] for layer in image["layers"]] == ["base", "openbao", "nexus-secrets", "home-openbao"]
    assert "to be fetched or built first" in image["layers"][1]["of"]
    assert run(forgeline, ["images", "build", "--dry-run"]) == ExitCode.FINE
    assert "not GitLab" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["build", "--only", "nexsu", "--dry-run"], ExitCode.BAD_INPUT, "nexus"),
        (["build"], ExitCode.SERVER_FAILED, "no container engine answers"),
        (["list"], ExitCode.SERVER_FAILED, "no container engine answers"),
    ],
    ids=["a name that no image has", "no engine to build for", "no engine to ask"],
)
def test_what_is_wrong_is_told(words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(forgeline, ["images", *words]) == code
    assert says in capsys.readouterr().err


def test_the_shell_completes_names() -> None:
    context = click.Context(forgeline)
    found = IMAGE.shell_complete(context, click.Option(["--only"]), "jobs-")
    assert [item.value for item in found] == ["jobs-go", "jobs-java", "jobs-node"]


@pytest.mark.parametrize(
    ("profile", "words", "code", "says"),
    [
        ("docker", [], ExitCode.BAD_INPUT, "images that are built here"),
        ("docker-official", ["--only", "gitlba"], ExitCode.BAD_INPUT, "gitlab"),
        ("docker-official", ["--version", "1.0"], ExitCode.BAD_INPUT, "--only SERVER"),
        ("docker-official", [], ExitCode.SERVER_FAILED, "no container engine answers"),
    ],
    ids=["a profile that pins none", "a name that no server has", "a version of all", "no engine to ask"],
)
def test_what_can_not_be_pinned_is_told(
    profile: str, words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(forgeline, ["--profile", profile, "images", "pin", *words]) == code
    assert says in capsys.readouterr().err


def test_the_shell_completes_servers() -> None:
    found = SERVER.shell_complete(click.Context(forgeline), click.Option(["--only"]), "p")
    assert [item.value for item in found] == ["proxy"]
