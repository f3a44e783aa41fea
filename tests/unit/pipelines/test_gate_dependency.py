"""A dependency that somebody really adds, by the language's own tool: the gates see it in the lock file's own way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.pipelines.service_repository import Repository, open_repository

pytestmark = pytest.mark.servers


@pytest.fixture
def repository(language: str, tmp_path: Path) -> Repository:
    return open_repository(language, tmp_path)


def add_go(repository: Repository) -> None:
    repository.write(
        "internal/language/language.go",
        "// Package language tells languages.\npackage language\n\n"
        'import "golang.org/x/text/language"\n\n'
        "// Of reads a tag.\nfunc Of(text string) string { return language.Make(text).String() }\n",
    )
    main = next(repository.folder.glob("cmd/*/main.go"))
    module = (repository.folder / "go.mod").read_text(encoding="utf-8").split()[1]
    text = main.read_text(encoding="utf-8").replace("import (", f'import (\n\t_ "{module}/internal/language"', 1)
    main.write_text(text, encoding="utf-8")
    repository.use("go", "get", "golang.org/x/text@v0.3.6")


def add_java(repository: Repository) -> None:
    pom = repository.folder / "pom.xml"
    dependency = (
        "<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId>"
        "<version>2.14.1</version></dependency>"
    )
    text = pom.read_text(encoding="utf-8").replace("<dependencies>", f"<dependencies>{dependency}", 1)
    pom.write_text(text, encoding="utf-8")


def add_node(repository: Repository) -> None:
    repository.use("npm", "install", "--save-exact", "--ignore-scripts", "--no-audit", "lodash@4.17.20")


def add_python(repository: Repository, requirement: str = "jinja2==2.10") -> None:
    wanted = repository.folder / "requirements.in"
    wanted.write_text(f"{wanted.read_text(encoding='utf-8')}\n{requirement}\n", encoding="utf-8")
    lock = ("--generate-hashes", "--no-emit-index-url", "-q", "-o", "requirements.lock")
    repository.use("uv", "pip", "compile", *lock, "requirements.in")


VULNERABLE = {
    "go": (add_go, "pkg:golang/golang.org/x/text@v0.3.6"),
    "java": (add_java, "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"),
    "node": (add_node, "pkg:npm/lodash@4.17.20"),
    "python": (add_python, "pkg:pypi/jinja2@2.10"),
}


@pytest.mark.parametrize("language", VULNERABLE)
def test_a_vulnerable_dependency_stops(repository: Repository, language: str) -> None:
    add, purl = VULNERABLE[language]
    add(repository)
    repository.commit()
    for job in ("build", "sbom"):
        code, output = repository.run(job)
        assert code == 0, f"{job}: {output}"
    code, output = repository.run("dependency-audit")
    assert code == 1, output
    report = json.loads((repository.folder / "audit.json").read_text(encoding="utf-8"))
    assert purl in {match["component"].partition("?")[0] for match in report["matches"]}, report


@pytest.mark.parametrize("language", ["python"])
def test_a_dependency_whose_licence_is_not_allowed_stops(repository: Repository) -> None:
    add_python(repository, "unidecode==1.3.8")
    repository.commit()
    code, output = repository.run("sbom")
    assert code == 0, output
    code, output = repository.run("license-check")
    assert code == 1, output
    assert "pkg:pypi/unidecode@1.3.8: GPL" in output
