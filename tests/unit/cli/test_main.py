"""The command line: what it knows, how it fails, what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from infra.cli.app import run
from infra.cli.commands import COMMANDS, Commands
from infra.cli.main import forgeline
from infra.core.error import BadInputError, ExitCode, ServerError

PROFILE = """\
name: trial
ports: {gitlab: 2001, openbao: 2002, openbao_cluster: 2003, nexus: 2004}
environment_port_offsets: {dev: 10000}
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_helps(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(forgeline, [name, "--help"]) == ExitCode.FINE
    assert "Usage: forgeline" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        *(
            "up",
            "preview",
            "refresh",
            "drift",
            "status",
            "credentials",
            "verify",
            "doctor",
            "tools",
            "deploy",
            "runner",
        ),
        *("services", "services update", "service", "onboard", "offboard", "adopt"),
        *(f"pipelines {name}" for name in ("check", "explain", "diff", "run", "release", "rollout", "drift")),
    ],
)
def test_json_may_be_asked_for_at_the_end(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(forgeline, [*words.split(), "--json", "--help"]) == ExitCode.FINE, capsys.readouterr().err


def test_help_lists_every_command_without_loading_one() -> None:
    code = (
        "import sys\n"
        "from infra.cli.app import run\n"
        "from infra.cli.main import forgeline\n"
        "run(forgeline, ['--help'])\n"
        "assert 'pulumi' not in sys.modules and 'gitlab' not in sys.modules\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(f"  {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["nonsense"], ExitCode.BAD_INPUT, "No such command", id="unknown-command"),
        pytest.param(["--profile", "lap", "status"], ExitCode.BAD_INPUT, "did you mean 'lab'", id="unknown-profile"),
        pytest.param(["pipelines", "render", "market-dat"], ExitCode.BAD_INPUT, "market-data", id="unknown-service"),
        pytest.param(["pipelines", "render"], ExitCode.BAD_INPUT, "--out", id="nothing-to-render"),
        pytest.param(["service", "market-dat"], ExitCode.BAD_INPUT, "market-data", id="unknown-service-in-depth"),
        pytest.param(["services", "--tier", "cor"], ExitCode.BAD_INPUT, "core", id="unknown-tier"),
        pytest.param(["services", "--owner", "rsk"], ExitCode.BAD_INPUT, "risk", id="unknown-owner"),
        pytest.param(["services", "update"], ExitCode.BAD_INPUT, "--all", id="nothing-to-update"),
        pytest.param(["services", "update", "setlement"], ExitCode.BAD_INPUT, "settlement", id="unknown-to-update"),
        pytest.param(["adopt", "setlement"], ExitCode.BAD_INPUT, "settlement", id="unknown-to-adopt"),
        pytest.param(["pipelines", "run"], ExitCode.BAD_INPUT, "--all", id="nothing-to-run"),
        pytest.param(["pipelines", "rollout", "v1"], ExitCode.BAD_INPUT, "vX.Y.Z", id="no-version"),
        pytest.param(
            ["pipelines", "rollout", "v1.0.0", "--rollback", "--wave", "core"],
            ExitCode.BAD_INPUT,
            "leave --wave and --services out",
            id="rollback-of-a-wave",
        ),
        pytest.param(["pipelines", "release", "v9.9.9"], ExitCode.BAD_INPUT, "release.yaml", id="another-version"),
        pytest.param(["tools", "gitlab-runer"], ExitCode.BAD_INPUT, "gitlab-runner", id="unknown-tool"),
        pytest.param(["--profile", "lab", "runner"], ExitCode.BAD_INPUT, "runner itself", id="own-runner"),
        pytest.param(["credentials", "--show", "nexsus"], ExitCode.BAD_INPUT, "nexus", id="unknown-credential"),
    ],
)
def test_bad_input(arguments: list[str], code: ExitCode, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(forgeline, arguments) == code
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_a_broken_profile_tells_every_error_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "trial.yaml"
    profile.write_text(PROFILE.replace("nexus: 2004", "nexus: many").replace("dev: 10000", "deev: 10000"))
    assert run(forgeline, ["--profile", str(profile), "up"]) == ExitCode.BAD_INPUT
    error = capsys.readouterr().err
    assert f"{profile}:2:" in error
    assert "ports.nexus" in error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(BadInputError("a", where="f:1", fix="b"), ExitCode.BAD_INPUT, id="bad-input"),
        pytest.param(ServerError("a", detail="last line", fix="b"), ExitCode.SERVER_FAILED, id="server"),
        pytest.param(KeyboardInterrupt(), ExitCode.INTERRUPTED, id="ctrl-c"),
        pytest.param(ZeroDivisionError(), ExitCode.BUG, id="bug"),
    ],
)
def test_the_boundary(error: BaseException, code: ExitCode, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def fails() -> None:
        raise error

    assert run(fails, []) == code
    shown = capsys.readouterr().err
    if isinstance(error, ServerError):
        assert "last line" in shown
        assert "fix: b" in shown


def test_render_is_the_golden_file(capsys: pytest.CaptureFixture[str]) -> None:
    golden = Path(__file__).parents[2] / "golden" / "pipelines" / "market-data.yml"
    assert run(forgeline, ["--profile", "lab", "pipelines", "render", "market-data"]) == ExitCode.FINE
    assert capsys.readouterr().out == golden.read_text()


def test_check_of_a_bad_file_finds_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / ".gitlab-ci.yml"
    file.write_text("stages: [build]\na:\n  stage: biuld\n  needs: [b]\n  script: echo\n")
    assert run(forgeline, ["--json", "pipelines", "check", str(file)]) == ExitCode.FINDINGS
    rules = {finding["rule"] for finding in json.loads(capsys.readouterr().out)}
    assert {"stage-undeclared", "needs-undefined"} <= rules


def test_json_may_stand_at_the_end_of_a_command_that_programs_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("infra.cli.commands.rollout.pipeline_drift", lambda *_: [])
    assert run(forgeline, ["pipelines", "drift", "--json"]) == ExitCode.FINE
    assert json.loads(capsys.readouterr().out) == []


def test_completion_prints_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(forgeline, ["completion", "bash"]) == ExitCode.FINE
    assert "_FORGELINE_COMPLETE=bash_complete" in capsys.readouterr().out


def completed(*arguments: str, incomplete: str) -> list[str]:
    shell = ShellComplete(forgeline, {}, "forgeline", "_FORGELINE_COMPLETE")
    return [item.value for item in shell.get_completions(list(arguments), incomplete)]


def test_a_service_s_name_is_completed_from_the_catalogue_in_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert completed("service", incomplete="market") == ["market-data"]
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "market-making.yaml").write_text("name: market-making\n")
    monkeypatch.setenv("FORGELINE_PIPELINES", str(tmp_path))
    assert completed("pipelines", "run", incomplete="market") == ["market-making"]
    assert completed("--profile", "lap", "service", incomplete="market") == []


def test_the_group_knows_nothing_else() -> None:
    assert isinstance(forgeline, Commands)
    assert forgeline.get_command(click.Context(forgeline), "nonsense") is None
