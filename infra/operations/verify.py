"""Checks of the running stack: a testinfra suite, run in a process of its own and read back."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from infra.core.error import BadInputError, ToolError
from infra.core.settings import ROOT, Placement, Settings

SUITES = {Placement.LAB: ROOT / "tests" / "host", Placement.DOCKER: ROOT / "tests" / "container"}
"""By where the servers run."""
SECONDS = 300
"""After this long the suite is given up."""


class Outcome(StrEnum):
    """How a check ended: `error` is a check that could not be made, which is no success either."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One check: what must be true, and what was found if it is not. `seconds` is how long it took."""

    name: str
    area: str
    outcome: Outcome
    message: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether what must be true is true."""
        return self.outcome == Outcome.PASSED

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the result's fields."""
        return {
            "name": self.name,
            "area": self.area,
            "outcome": str(self.outcome),
            "message": self.message,
            "seconds": round(self.seconds, 3),
        }


def verify(settings: Settings, *, suite: Path | None = None) -> list[CheckResult]:
    """The result of every check, in the suite's order. Raises ToolError if the suite itself can't be run."""
    if settings.existing:
        raise BadInputError(
            "the checks are of servers that Forgeline runs",
            where=str(settings.profile_file),
            fix="`forgeline doctor`, `forgeline status` and `forgeline drift` look at those of others",
        )
    suite = suite or SUITES[settings.profile.placement]
    with tempfile.TemporaryDirectory(prefix="forgeline-verify-") as folder:
        report = Path(folder) / "report.xml"
        command = [
            *(sys.executable, "-m", "pytest", "--quiet", "-p", "no:randomly"),
            *("-c", str(suite / "pytest.ini"), f"--rootdir={ROOT}", f"--junitxml={report}", str(suite)),
        ]
        try:
            result = subprocess.run(
                command,
                env=_environment(settings),
                cwd=ROOT,
                text=True,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ToolError(f"the checks were given up after {SECONDS} s", where=str(suite)) from error
        # 0: all passed, 1: some did not; everything else is about the suite, not about the stack.
        if result.returncode not in {0, 1} or not report.is_file():
            raise ToolError(
                f"the checks could not be run (pytest ended with {result.returncode})",
                where=str(suite),
                detail="\n".join((result.stdout + result.stderr).splitlines()[-20:]),
                fix="read the message above",
            )
        return parse_report(report.read_text(encoding="utf-8"))


def parse_report(text: str) -> list[CheckResult]:
    """The results in a JUnit report of pytest's."""
    # The report was written by our own subprocess a moment ago.
    root = ET.fromstring(text)  # noqa: S314
    return [_result(case) for case in root.iter("testcase")]


def _result(case: ET.Element) -> CheckResult:
    outcome, message = Outcome.PASSED, ""
    for tag, meaning in (("failure", Outcome.FAILED), ("error", Outcome.ERROR), ("skipped", Outcome.SKIPPED)):
        found = case.find(tag)
        if found is not None:
            outcome, message = meaning, _message(found.get("message") or found.text or "")
            break
    return CheckResult(
        name=_words(case.get("name", "")),
        area=case.get("classname", "").rpartition(".")[2].removeprefix("check_"),
        outcome=outcome,
        message=message,
        seconds=float(case.get("time", "0")),
    )


def _words(name: str) -> str:
    """`check_file_is_private[runner/config.toml]` as "file is private: runner/config.toml"."""
    function, bracket, parameters = name.removeprefix("check_").partition("[")
    words = function.replace("_", " ")
    # testinfra's own parameter, the host, is always this machine.
    of = parameters.removesuffix("]").removeprefix("local").removeprefix("-") if bracket else ""
    return f"{words}: {of}" if of else words


def _message(text: str) -> str:
    """What was found, without pytest's own words around it: the first line."""
    first = text.strip().partition("\n")[0]
    for prefix in ("AssertionError: ", "Failed: ", "failed on setup with "):
        first = first.removeprefix(prefix)
    return first.strip('"')


def _environment(settings: Settings) -> dict[str, str]:
    """The caller's environment, with this very profile and these very folders."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "FORGELINE_"))}
    return {
        **kept,
        "FORGELINE_PROFILE": str(settings.profile_file),
        "FORGELINE_STATE": str(settings.state),
        "FORGELINE_CACHE": str(settings.cache),
        "FORGELINE_PIPELINES": str(settings.pipelines),
    }
