"""What a repository with a history lacks: for each finding a repository that has it and one that does not."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from infra.core.error import BadInputError
from pipelines.adoption import CHECKS, boilerplate, detect, lacking
from pipelines.catalogue import Language, Service, load_catalogue
from pipelines.skeleton import render_skeleton

ONE_OF = {
    Language.GO: "market-data",
    Language.JAVA: "settlement",
    Language.NODE: "client-reporting",
    Language.PYTHON: "fund-valuation",
}


@dataclass
class Memory:
    """A repository in memory."""

    files: dict[str, str]

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(self.files)

    def read(self, path: str) -> str:
        return self.files.get(path, "")

    def mentions(self, text: str, suffix: str) -> bool:
        return any(text in content for path, content in self.files.items() if path.endswith(suffix))


def service(language: Language) -> Service:
    return load_catalogue().service(ONE_OF[language])


def complete(language: Language) -> Memory:
    return Memory(render_skeleton(service(language)))


def rules(language: Language, content: Memory) -> set[str]:
    return {f"{finding.rule} {finding.file}" for finding in lacking(service(language), content)}


@pytest.mark.parametrize("language", ONE_OF, ids=str)
def test_what_a_skeleton_has_lacks_nothing(language: Language) -> None:
    content = complete(language)
    assert rules(language, content) == set()
    assert detect(content, "x")[0] is language


@pytest.mark.parametrize(
    ("language", "gone", "rule"),
    [
        (Language.GO, "cmd/market-data/main.go", "build-file cmd/market-data/main.go"),
        (Language.GO, "_test.go", "no-tests go.mod"),
        (Language.JAVA, "pom.xml", "build-file pom.xml"),
        (Language.JAVA, "src/test", "no-tests pom.xml"),
        (Language.NODE, "package-lock.json", "build-file package-lock.json"),
        (Language.NODE, "test", "no-tests package.json"),
        (Language.PYTHON, "requirements.lock", "build-file requirements.lock"),
        (Language.PYTHON, "__main__.py", "build-file src/fund_valuation/__main__.py"),
        (Language.PYTHON, "test", "no-tests pyproject.toml"),
    ],
    ids=lambda value: str(value).replace("/", "-"),
)
def test_what_is_not_there_is_told(language: Language, gone: str, rule: str) -> None:
    content = complete(language)
    content.files = {path: text for path, text in content.files.items() if gone not in path}
    assert rule in rules(language, content)


@pytest.mark.parametrize(
    ("language", "old", "new", "rule"),
    [
        (Language.GO, "/health", "/hello", "no-endpoint go.mod"),
        (Language.GO, "\ngo 1.", "\ngo 9.", "language-version go.mod"),
        (Language.JAVA, "jacoco-maven-plugin", "x", "build-tool pom.xml"),
        (Language.JAVA, "${revision}", "1.0", "build-tool pom.xml"),
        (Language.PYTHON, 'requires-python = ">=3.', 'requires-python = ">=9.', "language-version pyproject.toml"),
    ],
    ids=lambda value: str(value).strip().replace("/", "-"),
)
def test_what_is_wrong_in_a_file_is_told(language: Language, old: str, new: str, rule: str) -> None:
    content = complete(language)
    assert any(old in text for text in content.files.values())
    content.files = {path: text.replace(old, new) for path, text in content.files.items()}
    assert rule in rules(language, content)


def test_go_modules_that_are_required_are_locked() -> None:
    content = complete(Language.GO)
    content.files["go.mod"] += "\nrequire example.com/x v1.0.0\n"
    content.files.pop("go.sum", None)
    assert "no-lock go.sum" in rules(Language.GO, content)
    content.files["go.sum"] = "x"
    assert rules(Language.GO, content) == set()


def test_only_what_is_not_there_is_offered_and_nothing_of_what_the_service_does() -> None:
    skeleton = render_skeleton(service(Language.JAVA))
    assert boilerplate(service(Language.JAVA), Memory(skeleton), skeleton) == {}
    offered = boilerplate(service(Language.JAVA), Memory({"CODEOWNERS": "* @x", "pom.xml": ""}), skeleton)
    assert {"checkstyle.xml", CHECKS} <= set(offered)
    assert "CODEOWNERS" not in offered
    assert not any(path.endswith((".java", "pom.xml")) for path in offered)


def test_a_repository_that_says_nothing_needs_a_word() -> None:
    with pytest.raises(BadInputError, match="nothing says what it is written in") as caught:
        detect(Memory({"README.md": ""}), "/old")
    assert "--language" in caught.value.fix
