"""Every gate's script, run with its real tools on a service of each language: green as it is, red with a fault."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.unit.pipelines.service_repository import SERVICES, Repository, open_repository

pytestmark = pytest.mark.servers

LANGUAGES = pytest.mark.parametrize("language", SERVICES)


@pytest.fixture
def repository(language: str, tmp_path: Path) -> Repository:
    return open_repository(language, tmp_path)


@LANGUAGES
def test_a_service_as_it_begins_passes_every_gate(repository: Repository) -> None:
    for job in ("build", "unit-test", "lint", "secret-scan", "sast", "sbom", "dependency-audit", "license-check"):
        code, output = repository.run(job)
        assert code == 0, f"{job}:\n{output}"
    code, output = repository.run("package")
    assert code == 0, output
    document = json.loads((repository.folder / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert document["metadata"]["component"]["name"] == repository.service.name
    assert document["metadata"]["component"]["version"] == "1.0.7"
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=repository.folder, capture_output=True, text=True, check=True
    )
    left = [line for line in status.stdout.splitlines() if f" {repository.service.name}-1.0.7." not in line]
    assert left == [], "what jobs leave is in .gitignore"


FAILING_TEST = {
    "generic": (
        "test/test_bad.py",
        "import unittest\n\n\nclass Bad(unittest.TestCase):\n    def test(self):\n        self.fail()\n",
    ),
    "go": (
        "internal/quote/bad_test.go",
        'package quote\n\nimport "testing"\n\nfunc TestBad(t *testing.T) { t.Fail() }\n',
    ),
    "java": (
        "src/test/java/BadTest.java",
        "class BadTest { @org.junit.jupiter.api.Test void bad() { org.junit.jupiter.api.Assertions.fail(); } }\n",
    ),
    "node": (
        "test/bad.test.js",
        'import { test } from "node:test";\n\ntest("bad", () => {\n  throw new Error("bad");\n});\n',
    ),
    "python": ("tests/test_bad.py", "def test_bad() -> None:\n    raise AssertionError\n"),
}


@LANGUAGES
def test_a_failing_test_stops(repository: Repository, language: str) -> None:
    repository.write(*FAILING_TEST[language])
    assert repository.run("unit-test")[0] != 0


@LANGUAGES
def test_too_little_coverage_stops(repository: Repository, language: str) -> None:
    if language == "node":  # its tests miss nothing
        repository.write("src/untested.js", "export function untested(a) {\n  return a;\n}\n")
    overrides = repository.service.overrides.model_copy(update={"coverage": 100})
    strict = repository.service.model_copy(update={"overrides": overrides})
    code, output = repository.run("unit-test", service=strict)
    assert code == 1, output
    assert "needs 100%" in output


LINT = {
    "generic": ("src/domain.py", "x = 1 \n"),
    "go": ("internal/quote/bad.go", "package quote\n\nfunc  bad() {}\n"),
    "java": ("src/main/java/Bad.java", "import java.util.*;\npublic class Bad { }\n"),
    "node": ("src/bad.js", "var a = 1;\n"),
    "python": ("src/fund_valuation/bad.py", "import os\n"),
}


@LANGUAGES
def test_bad_style_stops(repository: Repository, language: str) -> None:
    repository.write(*LINT[language])
    repository.commit()
    code, output = repository.run("lint")
    assert code != 0, output


SAST = {
    "generic": ("src/bad.py", "eval(input())\n"),
    "go": (
        "internal/quote/bad.go",
        'package quote\n\nimport (\n\t"os"\n\t"os/exec"\n)\n\n'
        'func Bad() error { return exec.Command("sh", "-c", os.Getenv("X")).Run() }\n',
    ),
    "java": (
        "src/main/java/Bad.java",
        "public class Bad { byte[] of(byte[] b) throws Exception {"
        ' return java.security.MessageDigest.getInstance("MD5").digest(b); } }\n',
    ),
    "node": (
        "src/bad.js",
        '/* eslint-disable */\nimport cp from "node:child_process";\nimport { exec } from "node:child_process";\n'
        "export const bad = (x) => exec(x) && new RegExp(x);\n",
    ),
    "python": ("src/fund_valuation/bad.py", "import subprocess\n\nsubprocess.run(input(), shell=True)\n"),
}


@LANGUAGES
def test_code_with_a_security_fault_stops(repository: Repository, language: str) -> None:
    repository.write(*SAST[language])
    code, output = repository.run("sast")
    assert code != 0, output
    assert "bad" in output.lower(), "the finding is told with its place"


@pytest.mark.parametrize("language", ["go"])
@pytest.mark.parametrize(
    ("comment", "code"), [("#nosec", 1), ("#nosec G204", 1), ("#nosec G204,G702 -- the words are the operator's", 0)]
)
def test_a_finding_in_go_is_set_aside_by_rule_and_reason_only(repository: Repository, comment: str, code: int) -> None:
    name, text = SAST["go"]
    repository.write(name, text.replace("func Bad", f"// {comment}\nfunc Bad"))
    ended, output = repository.run("sast")
    assert ended == code, output


@pytest.mark.parametrize("language", ["java"])
def test_a_scanner_that_is_skipped_is_no_scanner_that_finds_nothing(repository: Repository) -> None:
    pom = (repository.folder / "pom.xml").read_text(encoding="utf-8")
    repository.write("pom.xml", pom.replace("<maxHeap>", "<skip>true</skip><maxHeap>"))
    code, output = repository.run("sast")
    assert code == 1, output
    assert "SpotBugs did not run" in output


@LANGUAGES
def test_a_secret_stops_even_if_a_later_commit_takes_it_away(repository: Repository) -> None:
    key = "AKIA" + "QYLPMN5HHHFPZAM2"
    repository.write("notes.txt", f'aws_access_key_id = "{key}" # gitleaks:allow\n')
    repository.write(".gitleaks.toml", "[allowlist]\npaths = ['''.*''']\n")
    repository.commit()
    (repository.folder / "notes.txt").unlink()
    repository.commit()
    code, output = repository.run("secret-scan")
    assert code == 1, output
    assert "notes.txt" in output
    assert "aws-access-token" in output
    assert key not in output, "the secret itself is not in the log"


def with_component(repository: Repository, **component: object) -> None:
    """The SBOM of a service that has one component."""
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", **component}]}
    repository.write("sbom.cdx.json", json.dumps(document))


@pytest.mark.parametrize("language", ["python"])
@pytest.mark.parametrize(
    ("licenses", "said"),
    [([{"license": {"id": "GPL-3.0-only"}}], "GPL-3.0-only"), (None, "no licence that is known")],
    ids=["forbidden", "unknown"],
)
def test_a_component_whose_licence_is_not_allowed_stops(
    repository: Repository, licenses: list[object] | None, said: str
) -> None:
    component = {"name": "bad", "version": "1", "purl": "pkg:pypi/bad@1"}
    with_component(repository, **component, **({"licenses": licenses} if licenses else {}))
    code, output = repository.run("license-check")
    assert code == 1, output
    assert f"pkg:pypi/bad@1: {said}" in output


@pytest.mark.parametrize("language", ["python"])
def test_a_repository_can_not_take_findings_of_secrets_away(repository: Repository) -> None:
    repository.write(".gitleaksignore", "notes.txt:aws-access-token:1\n")
    code, output = repository.run("secret-scan")
    assert (code, output) == (1, "remove .gitleaksignore: it takes findings away\n")
