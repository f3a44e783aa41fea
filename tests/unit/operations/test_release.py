"""What publishing means, and what is refused, with releases that are in memory."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from infra.core.blob import blob_ids
from infra.core.document import InvalidDocumentError
from infra.core.error import BadInputError, FindingsError, ForgelineError
from infra.core.finding import Finding, Severity
from infra.core.settings import ROOT, Settings, load_settings
from infra.operations.pipeline_drift import Server, compare
from infra.operations.release import ReleasePlan, check_pins, decide
from pipelines.catalogue import Catalogue
from pipelines.release import Effect
from pipelines.source import Source


class Releases:
    """Releases in memory: files by version."""

    def __init__(self, **held: Mapping[str, str]) -> None:
        self.held = {version.replace("_", "."): files for version, files in held.items()}

    def versions(self) -> list[str]:
        return sorted(self.held)

    def blobs(self, version: str) -> dict[str, str]:
        return blob_ids(self.held.get(version, {}))

    def files(self, version: str, known: Mapping[str, str] | None = None) -> dict[str, str]:
        return dict(self.held.get(version, {}))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a catalogue and templates that a test may change."""
    shutil.copytree(ROOT / "pipelines" / "catalog", tmp_path / "p" / "catalog")
    shutil.copy(ROOT / "pipelines" / "release.yaml", tmp_path / "p")
    shutil.copytree(ROOT / "templates" / "pipelines", tmp_path / "p" / "templates")
    return load_settings({"FORGELINE_PIPELINES": str(tmp_path / "p"), "FORGELINE_STATE": str(tmp_path / "state")})


def source(settings: Settings) -> Source:
    return Source.of(settings, Catalogue.of(settings))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def decided(settings: Settings, releases: Releases, findings: list[Finding] | None = None) -> ReleasePlan:
    return decide(source(settings), releases, lambda _: findings or [], file=settings.release_file)


def raise_version(settings: Settings, version: str) -> None:
    edit(settings.release_file, "version: v1.0.0", f"version: {version}")


def change_go(settings: Settings) -> None:
    """Changes the pipelines of the Go services, and of no other."""
    go = settings.templates / "go.yml.j2"
    text = go.read_text()
    go.write_text(text.replace("go build", "go build -v", 1))
    assert go.read_text() != text


GO = {"execution-router.yml", "market-data.yml", "order-gateway.yml"}


def test_the_first_release_adds_every_file(settings: Settings) -> None:
    plan = decided(settings, Releases())
    assert (plan.version, plan.previous, plan.published) == ("v1.0.0", None, False)
    assert {change.effect for change in plan.changes} == {Effect.ADDED}
    assert len(plan.changes) == len(plan.affected) == 10


def test_a_newer_one_is_compared_with_the_newest(settings: Settings) -> None:
    published = Releases(v1_0_0=source(settings).files())
    raise_version(settings, "v1.1.0")
    change_go(settings)
    plan = decided(settings, published)
    assert plan.previous == "v1.0.0"
    assert {change.path for change in plan.changes if change.effect is Effect.CHANGED} == GO
    assert {change.effect for change in plan.changes if change.path not in GO} == {Effect.HEADER}
    assert {f"{service}.yml" for service in plan.affected} == GO
    assert plan.pins["market-data"] == "v1.0.0"


def test_a_service_that_comes_and_one_that_goes_are_told(settings: Settings) -> None:
    published = Releases(v1_0_0=source(settings).files())
    raise_version(settings, "v1.1.0")
    (settings.catalog / "client-reporting.yaml").rename(settings.catalog / "newcomer.yaml")
    edit(settings.catalog / "newcomer.yaml", "name: client-reporting", "name: newcomer")
    effects = {change.path: change.effect for change in decided(settings, published).changes}
    assert effects == {"client-reporting.yml": Effect.REMOVED, "newcomer.yml": Effect.ADDED}


def test_what_is_published_already_is_no_work(settings: Settings) -> None:
    plan = decided(settings, Releases(v1_0_0=source(settings).files()))
    assert (plan.published, plan.changes, plan.affected) == (True, (), ())


def test_headers_alone_take_no_new_version(settings: Settings) -> None:
    published = Releases(v1_0_0=source(settings).files())
    edit(settings.catalog / "settlement.yaml", "description: ", "description: All ")
    plan = decided(settings, published)
    assert (plan.published, [str(change) for change in plan.changes], plan.affected) == (
        True,
        ["changed: the header of settlement.yml"],
        (),
    )


def test_changed_files_without_a_new_version_are_refused_and_listed(settings: Settings) -> None:
    published = Releases(v1_0_0=source(settings).files())
    change_go(settings)
    with pytest.raises(BadInputError, match="files changed without a new version") as caught:
        decided(settings, published)
    line = settings.release_file.read_text().splitlines().index("version: v1.0.0") + 1
    assert caught.value.where == f"{settings.release_file}:{line}:1"
    assert "changed: market-data.yml (+1 -1 lines)" in caught.value.detail
    assert "changed: the header of settlement.yml" in caught.value.detail
    assert "v1.0.1 or v1.1.0" in caught.value.fix


def test_a_version_that_is_taken_or_not_newer_is_refused(settings: Settings) -> None:
    first = source(settings).files()
    change_go(settings)
    raise_version(settings, "v1.1.0")
    second = source(settings).files()
    edit(settings.release_file, "version: v1.1.0", "version: v1.0.0")
    with pytest.raises(BadInputError, match=r"v1\.0\.0 is published with other content"):
        decided(settings, Releases(v1_0_0=first, v1_1_0=second))
    edit(settings.release_file, "version: v1.0.0", "version: v1.0.9")
    with pytest.raises(BadInputError, match=r"v1\.0\.9 is not newer than v1\.1\.0") as caught:
        decided(settings, Releases(v1_0_0=first, v1_1_0=second))
    assert "v1.1.1 or v1.2.0" in caught.value.fix


def test_a_published_release_that_was_altered_is_told(settings: Settings) -> None:
    files = {**source(settings).files(), "settlement.yml": "x: 1\n"}
    with pytest.raises(FindingsError, match="is not what was published") as caught:
        decided(settings, Releases(v1_0_0=files))
    assert "settlement.yml is not what release.lock.json says" in caught.value.detail


def test_only_what_is_proven_is_published(settings: Settings) -> None:
    found = Finding(rule="gate", message="weakened", file="settlement.yml", line=3)
    with pytest.raises(FindingsError) as caught:
        decided(settings, Releases(), [found])
    assert "settlement.yml:3: [gate] weakened" in caught.value.detail
    assert not decided(settings, Releases(), [replace(found, severity=Severity.WARNING)]).published


def test_a_pin_to_what_no_gitlab_has_is_an_error_at_its_line(settings: Settings) -> None:
    check_pins(settings, Catalogue.of(settings), None)
    edit(settings.catalog / "settlement.yaml", "pipeline: v1.0.0", "pipeline: v0.9.0")
    with pytest.raises(InvalidDocumentError) as caught:
        check_pins(settings, Catalogue.of(settings), None)
    lines = (settings.catalog / "settlement.yaml").read_text().splitlines()
    assert caught.value.where == f"{settings.catalog / 'settlement.yaml'}:{lines.index('pipeline: v0.9.0') + 1}:1"
    assert "pin v1.0.0" in caught.value.fix
    check_pins(settings, Catalogue.of(settings), lambda: Releases(v0_9_0={"x": ""}))
    with pytest.raises(ForgelineError):
        check_pins(settings, Catalogue.of(settings), lambda: Releases(v0_8_0={"x": ""}))


def drift(settings: Settings, releases: Releases, **recorded: Mapping[str, str]) -> dict[str, list[str]]:
    """The states of the services that are not clean."""
    made = source(settings)
    place = {s.name: f"{s.name}.yml@platform/pipelines:{s.pipeline}" for s in made.catalogue}
    blobs = {version.replace("_", "."): blob_ids(files) for version, files in recorded.items()}
    server = Server(releases=releases, recorded=blobs, applied=place, actual=place)
    return {item.service: [str(state) for state in item.states] for item in compare(made, server) if item.drifted}


def test_drift_is_told_for_the_services_that_it_is_about(settings: Settings) -> None:
    files = source(settings).files()
    released = Releases(v1_0_0=files)
    assert drift(settings, released, v1_0_0=files) == {}
    other = {**files, "settlement.yml": "x: 1\n"}
    assert drift(settings, Releases(v1_0_0=other)) == {"settlement": ["released-file-altered"]}
    # Somebody who moves the tag and writes a lock that fits is found by what was recorded.
    assert drift(settings, released, v1_0_0=other) == {"settlement": ["released-file-altered"]}
    assert set(drift(settings, Releases())) == set(Catalogue.of(settings).services)
    edit(settings.catalog / "settlement.yaml", "tier: important", "tier: core")
    assert drift(settings, released) == {"settlement": ["catalogue-changed"]}
    change_go(settings)
    # The templates' hash is of all of them: of a service whose entry changed too, nobody knows which it was.
    assert drift(settings, released) == {
        "settlement": ["catalogue-changed", "template-newer"],
        **{path.removesuffix(".yml"): ["template-newer"] for path in GO},
    }


def test_a_server_s_setting_is_told_apart_from_a_pin_that_is_not_brought_about(settings: Settings) -> None:
    made = source(settings)
    place = {s.name: f"{s.name}.yml@platform/pipelines:{s.pipeline}" for s in made.catalogue}
    server = Server(
        releases=Releases(v1_0_0=made.files()), recorded={}, applied=place, actual={**place, "settlement": "x.yml"}
    )
    assert [(i.service, str(i.state)) for i in compare(made, server) if i.drifted] == [
        ("settlement", "setting-altered")
    ]
    moved = replace(server, actual=place, applied={**place, "settlement": "settlement.yml@platform/pipelines:v0.9.0"})
    states = {item.service: item.states for item in compare(made, moved) if item.drifted}
    assert {str(state) for state in states["settlement"]} == {"setting-altered", "catalogue-changed"}
