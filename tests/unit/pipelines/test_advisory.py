"""Advisories: which component of which version is hit, and databases that can't be read."""

from __future__ import annotations

import itertools
import json
import zipfile
from pathlib import Path

import pytest

from infra.core.error import BadInputError
from infra.core.settings import ROOT, load_settings
from pipelines.advisory import Advisories, stops, version_key
from pipelines.policy import Severity
from pipelines.sbom import Component

SAMPLE = Advisories.load(ROOT / "infra" / "profiles" / "advisories")


def component(purl: str) -> Component:
    return Component(name="x", version="1", purl=purl, licenses=())


@pytest.mark.parametrize(
    ("purl", "hits"),
    [
        ("pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1?type=jar", ["GHSA-jfh8-c2jp-5v3q"]),
        ("pkg:maven/org.apache.logging.log4j/log4j-core@2.0-beta9", ["GHSA-jfh8-c2jp-5v3q"]),
        ("pkg:maven/org.apache.logging.log4j/log4j-core@2.0-beta8", []),
        ("pkg:maven/org.apache.logging.log4j/log4j-core@2.12.2", []),
        ("pkg:maven/org.apache.logging.log4j/log4j-core@2.17.1", []),
        ("pkg:npm/lodash@4.17.20", ["GHSA-35jh-r3h4-6jhm"]),
        ("pkg:npm/minimist@1.2.6", []),
        ("pkg:pypi/Jinja2@2.10", ["GHSA-462w-v97r-4m45"]),
        ("pkg:pypi/jinja2@2.10.1", []),
        ("pkg:golang/golang.org/x/text@v0.3.6", ["GHSA-ppp9-7jff-5vj2"]),
        ("pkg:golang/golang.org/x/text@v0.3.7", []),
        ("pkg:npm/lodash", ["GHSA-35jh-r3h4-6jhm"]),
        ("pkg:cargo/lodash@1", []),
        ("not a package URL", []),
    ],
)
def test_a_version_is_hit_or_not(purl: str, hits: list[str]) -> None:
    assert [match.id for match in SAMPLE.matches([component(purl)])] == hits


def test_versions_are_in_order() -> None:
    ordered = [
        "0",
        "0.9",
        "1.0.dev1",
        "1.0a1",
        "1.0-beta2",
        "1.0-M1",
        "1.0rc1",
        "1.0-SNAPSHOT",
        "1.0",
        "1.0-jre",
        "1.0.1",
    ]
    ordered += ["1.2", "1.10", "v2.0.0"]
    keys = [version_key(version) for version in ordered]
    assert all(first < second for first, second in itertools.pairwise(keys)), list(zip(ordered, keys, strict=True))
    assert version_key("1.0") == version_key("1.0.0") == version_key("v1") == version_key("1.0.0+build5")


def test_how_bad_it_must_be_to_stop() -> None:
    (match,) = SAMPLE.matches([component("pkg:npm/lodash@4.17.20")])
    assert match.severity is Severity.HIGH
    assert [stops(match, severity) for severity in Severity] == [True, True, True, False]


def advisory(**changes: object) -> str:
    affected = {"package": {"ecosystem": "npm", "name": "x"}, "versions": ["1.0.0"]}
    return json.dumps({"id": "A-1", "modified": "2026-01-02T03:04:05Z", "affected": [affected], **changes})


def test_one_that_nobody_rated_stops_and_a_withdrawn_one_does_not(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(advisory(), encoding="utf-8")
    (tmp_path / "b.json").write_text(advisory(id="A-2", withdrawn="2026-01-01T00:00:00Z"), encoding="utf-8")
    matches = Advisories.load(tmp_path).matches([component("pkg:npm/x@1.0.0"), component("pkg:npm/x@1.0.1")])
    assert [(match.id, stops(match, Severity.CRITICAL)) for match in matches] == [("A-1", True)]


def test_a_zip_is_a_database_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "npm.zip", "w") as archive:
        archive.writestr("A-1.json", advisory())
    database = Advisories.load(tmp_path / "npm.zip")
    assert (database.count, database.modified) == (1, "2026-01-02")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": 1}', "[" * 100_000], ids=lambda text: text[:5])
def test_what_is_no_advisory_is_told_with_its_place(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        Advisories.load(tmp_path)
    assert str(tmp_path) in caught.value.where


def test_a_database_that_is_not_there_or_empty(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path(__file__)):
        with pytest.raises(BadInputError):
            Advisories.load(path)


def test_the_lab_names_its_sample() -> None:
    advisories = load_settings({}, profile="lab").profile.advisories
    assert advisories is not None
    assert Advisories.load(ROOT / advisories).count == 6
