"""The suite's report is read back, and a suite that can't run is no success."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.core.error import ToolError
from infra.core.settings import Settings, load_settings
from infra.operations.verify import CheckResult, Outcome, parse_report, verify

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest">
<testcase classname="tests.host.check_file" name="check_file_is_private[local-runner/config.toml]" time="0.25" />
<testcase classname="tests.host.check_nexus" name="check_nexus_is_writable" time="1">
<failure message="AssertionError: Nexus is not writable&#10;assert False">long</failure></testcase>
<testcase classname="tests.host.check_openbao" name="check_openbao_is_unsealed" time="0">
<error message="failed on setup with &quot;infra.core.error.ServerError: does not answer&quot;">long</error></testcase>
<testcase classname="tests.host.check_openbao" name="check_skipped[local]" time="0">
<skipped type="pytest.skip" message="no such server">x</skipped></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"HOME": str(tmp_path), "FORGELINE_STATE": str(tmp_path / "state")})


def suite(folder: Path, content: str) -> Path:
    """A suite of one file."""
    (folder / "pytest.ini").write_text("[pytest]\npython_files = check_*.py\npython_functions = check_*\n")
    (folder / "check_it.py").write_text(content)
    return folder


def test_a_report_is_read() -> None:
    assert parse_report(REPORT) == [
        CheckResult(name="file is private: runner/config.toml", area="file", outcome=Outcome.PASSED, seconds=0.25),
        CheckResult(
            name="nexus is writable",
            area="nexus",
            outcome=Outcome.FAILED,
            message="Nexus is not writable",
            seconds=1.0,
        ),
        CheckResult(
            name="openbao is unsealed",
            area="openbao",
            outcome=Outcome.ERROR,
            message="infra.core.error.ServerError: does not answer",
        ),
        CheckResult(name="skipped", area="openbao", outcome=Outcome.SKIPPED, message="no such server"),
    ]
    assert [result.passed for result in parse_report(REPORT)] == [True, False, False, False]


def test_the_suite_looks_at_the_settings_that_are_given(settings: Settings, tmp_path: Path) -> None:
    content = "import os\ndef check_state():\n    assert False, os.environ['FORGELINE_STATE']\n"
    (result,) = verify(settings, suite=suite(tmp_path, content))
    assert result.message == str(settings.state)


@pytest.mark.parametrize(
    "content",
    [pytest.param("import nothing_of_this_name\n", id="does-not-import"), pytest.param("", id="has-no-check")],
)
def test_a_suite_that_cannot_run_is_told(settings: Settings, tmp_path: Path, content: str) -> None:
    with pytest.raises(ToolError, match="could not be run"):
        verify(settings, suite=suite(tmp_path, content))


@pytest.mark.servers
def test_nothing_that_needs_a_server_passes_without_one(settings: Settings) -> None:
    assert [result.name for result in verify(settings) if result.passed] == [
        # There is no file yet that a first start could have left.
        "first password is gone: openbao/operator.password",
        "first password is gone: nexus/data/admin.password",
    ]
