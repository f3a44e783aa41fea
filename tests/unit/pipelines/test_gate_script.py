"""Every gate's script, run with its real tools on a service of each language: green as it is, red with a fault."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.core.settings import load_settings
from infra.toolchain.toolchain import JOB_TOOLS, Toolchain
from pipelines.catalogue import Language, Service, load_catalogue
from pipelines.render import Context, render_pipeline
from pipelines.skeleton import render_skeleton
from pipelines.subject import Subject

pytestmark = pytest.mark.servers

CATALOGUE = load_catalogue()
SETTINGS = load_settings(os.environ, profile="lab")
CONTEXT = Context.of(CATALOGUE, SETTINGS)
GENERIC = CATALOGUE.service("market-data").model_copy(update={"name": "quotes", "language": Language.GENERIC})
SERVICES = {
    "generic": GENERIC,
    "go": CATALOGUE.service("market-data"),
    "java": CATALOGUE.service("settlement"),
    "node": CATALOGUE.service("client-reporting"),
    "python": CATALOGUE.service("fund-valuation"),
}
LANGUAGES = pytest.mark.parametrize("language", SERVICES)

# Maven as it is set up on this machine, instead of by way of a Nexus that isn't there.
MVN = """#!/bin/bash
words=()
while [ $# -gt 0 ]; do
  case "$1" in
    -s) shift ;;
    -Dmaven.repo.local=*) ;;
    *) words+=("$1") ;;
  esac
  shift
done
exec {real} "${{words[@]}}"
"""
BAO = """#!/bin/bash
case "$1" in
  write) cat > /dev/null; echo token ;;
  read) echo '{"data": {"username": "user", "password": "word"}}' ;;
esac
"""


@dataclass(frozen=True)
class Repository:
    """A service's repository with one commit, and jobs run in it as the shell executor does."""

    service: Service
    folder: Path
    path: str

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text, encoding="utf-8")
        if text.startswith("#!"):
            (self.folder / name).chmod(0o755)

    def commit(self) -> None:
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
        for command in (["add", "-A"], ["commit", "-q", "-m", "Change"]):
            subprocess.run([*git, *command], cwd=self.folder, check=True)

    def run(self, job: str, *, service: Service | None = None) -> tuple[int, str]:
        """Exit code and output of the job."""
        subject = Subject(file="x.yml", text=render_pipeline(service or self.service, CONTEXT))
        done = subprocess.run(
            ["bash", "-c", 'set -eo pipefail; : | eval "$SCRIPT"'],
            cwd=self.folder,
            env={**self._environment(), "SCRIPT": subject.script(job).text},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def _environment(self) -> Mapping[str, str]:
        return {
            **{name: os.environ[name] for name in os.environ if not name.startswith(("FORGELINE_", "GIT_", "PYTEST_"))},
            "PATH": self.path,
            "FORGELINE_CACHE": str(SETTINGS.cache),
            "VERSION": "1.0.7",
            "CI_PROJECT_DIR": str(self.folder),
            "OPENBAO_ADDR": "http://127.0.0.1:9",
            "OPENBAO_ID_TOKEN": "x",
        }


def open_repository(language: str, folder: Path) -> Repository:
    tools = folder / "bin"
    (folder / "project").mkdir()
    tools.mkdir()
    real = shutil.which("mvn")
    for name, text in (("bao", BAO), ("mvn", MVN.format(real=real))):
        (tools / name).write_text(text, encoding="utf-8")
        (tools / name).chmod(0o755)
    if language == "java" and real is None:
        pytest.skip("there is no mvn on this machine")
    installed = {name: Toolchain.of(SETTINGS, os.environ).find(name) for name in JOB_TOOLS}
    missing = sorted(name for name, tool in installed.items() if tool is None)
    if missing:
        pytest.skip(f"these tools are not installed: {', '.join(missing)}; run `make tools`")
    folders = [str(tools), str(Path(sys.executable).parent)]
    folders += [str(tool.path.parent) for tool in installed.values() if tool is not None]
    repository = Repository(SERVICES[language], folder / "project", ":".join([*folders, os.environ["PATH"]]))
    for name, text in render_skeleton(SERVICES[language]).items():
        repository.write(name, text)
    subprocess.run(["git", "init", "-q"], cwd=repository.folder, check=True)
    repository.commit()
    return repository


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


VULNERABLE = {
    "go": "pkg:golang/golang.org/x/text@v0.3.6",
    "java": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1?type=jar",
    "node": "pkg:npm/lodash@4.17.20",
    "python": "pkg:pypi/jinja2@2.10",
}


@pytest.mark.parametrize("language", VULNERABLE)
def test_a_vulnerable_dependency_stops(repository: Repository, language: str) -> None:
    with_component(repository, name="bad", version="1", purl=VULNERABLE[language])
    code, output = repository.run("dependency-audit")
    assert code == 1, output
    assert VULNERABLE[language].partition("@")[0] in output
    assert "fixed in" in output
    report = json.loads((repository.folder / "audit.json").read_text(encoding="utf-8"))
    assert [match["component"] for match in report["matches"]] == [VULNERABLE[language]]


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
