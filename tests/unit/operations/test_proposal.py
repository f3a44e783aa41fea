"""Which release a change of the catalogue takes, and that a run that was killed anywhere is finished."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from infra.core.blob import blob_ids
from infra.core.document import InvalidDocumentError, read_text, write_text
from infra.core.error import BadInputError, FindingsError
from infra.core.finding import Finding
from infra.core.settings import ROOT, Settings, load_settings
from infra.operations import proposal as module
from infra.operations.proposal import Proposal, propose
from pipelines.catalogue import Catalogue, Drafts, Service
from pipelines.onboarding import entry_text
from pipelines.source import Source


class Releases:
    """Releases in memory: files by version."""

    def __init__(self, held: Mapping[str, Mapping[str, str]]) -> None:
        self.held = {version: dict(files) for version, files in held.items()}

    def versions(self) -> list[str]:
        return sorted(self.held)

    def blobs(self, version: str) -> dict[str, str]:
        return blob_ids(self.held.get(version, {}))

    def files(self, version: str, known: Mapping[str, str] | None = None) -> dict[str, str]:
        return dict(self.held.get(version, {}))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a catalogue of three services, whose pipelines are not proven: other tests do that."""
    monkeypatch.setattr(module, "prove", lambda *_: [])
    for name in ("market-data", "client-reporting", "settlement"):
        (tmp_path / "p" / "catalog").mkdir(parents=True, exist_ok=True)
        text = (ROOT / "pipelines" / "catalog" / f"{name}.yaml").read_text()
        free = "\n".join("dependencies: []" if line.startswith("dependencies") else line for line in text.splitlines())
        (tmp_path / "p" / "catalog" / f"{name}.yaml").write_text(free + "\n")
    shutil.copy(ROOT / "pipelines" / "release.yaml", tmp_path / "p")
    return load_settings(
        {
            "FORGELINE_PIPELINES": str(tmp_path / "p"),
            "FORGELINE_STATE": str(tmp_path / "state"),
            "FORGELINE_CACHE": str(tmp_path / "cache"),
        }
    )


@pytest.fixture
def releases(settings: Settings) -> Releases:
    return Releases({"v1.0.0": files(Catalogue.of(settings), settings)})


def files(catalogue: Catalogue, settings: Settings) -> dict[str, str]:
    return Source.of(settings, catalogue).files()


def newcomer(settings: Settings, version: str) -> Drafts:
    """The draft of a new service at a version; none where its file is there, as a killed run may have left it."""
    path = settings.catalog / "payments.yaml"
    if path.exists():
        return {}
    like = Catalogue.of(settings).service("settlement")
    service: Service = like.model_copy(update={"name": "payments", "port": 8150, "pipeline": version})
    return {path: entry_text(service)}


def proposed(settings: Settings, releases: Releases) -> Proposal:
    return propose(settings, releases, lambda version: newcomer(settings, version))


def test_a_new_service_takes_the_next_version_and_moves_nobody(settings: Settings, releases: Releases) -> None:
    comments = [line for line in read_text(settings.release_file).splitlines() if line.startswith("#")]
    made = proposed(settings, releases)
    assert (made.release.version, made.release.published, made.release.affected) == ("v1.0.1", False, ("payments",))
    assert {service.name: service.pipeline for service in made.catalogue} == {
        "client-reporting": "v1.0.0",
        "market-data": "v1.0.0",
        "payments": "v1.0.1",
        "settlement": "v1.0.0",
    }
    assert set(made.files) == {settings.release_file, settings.catalog / "payments.yaml"}
    assert not (settings.catalog / "payments.yaml").exists(), "nothing is written yet"
    made.write()
    assert Catalogue.of(settings) == made.catalogue
    assert [line for line in read_text(settings.release_file).splitlines() if line.startswith("#")] == comments


def test_a_version_that_somebody_raised_already_is_taken(settings: Settings, releases: Releases) -> None:
    text = read_text(settings.release_file).replace("version: v1.0.0", "version: v2.0.0")
    write_text(settings.release_file, text)
    made = proposed(settings, releases)
    assert made.release.version == "v2.0.0"
    assert set(made.files) == {settings.catalog / "payments.yaml"}


@pytest.mark.parametrize("done", ["nothing", "published", "release-written", "all"])
def test_a_killed_run_is_finished_with_the_same_release(settings: Settings, releases: Releases, done: str) -> None:
    first = proposed(settings, releases)
    if done != "nothing":
        releases.held["v1.0.1"] = files(first.catalogue, settings)
    if done == "release-written":
        replace(first, files={settings.release_file: first.files[settings.release_file]}).write()
    if done == "all":
        first.write()
    again = proposed(settings, releases)
    assert again.release.version == "v1.0.1"
    assert again.release.published is (done != "nothing")
    assert bool(again.files) is (done != "all")
    again.write()
    assert Catalogue.of(settings) == first.catalogue
    assert not proposed(settings, releases).files


def test_the_other_order_of_files_is_finished_too(settings: Settings, releases: Releases) -> None:
    first = proposed(settings, releases)
    releases.held["v1.0.1"] = files(first.catalogue, settings)
    entry = settings.catalog / "payments.yaml"
    replace(first, files={entry: first.files[entry]}).write()
    proposed(settings, releases).write()
    assert Catalogue.of(settings) == first.catalogue


def test_a_service_that_goes_takes_a_version_too(settings: Settings, releases: Releases) -> None:
    gone = settings.catalog / "settlement.yaml"
    made = propose(settings, releases, lambda _: {gone: None})
    assert made.release.version == "v1.0.1"
    assert [str(change) for change in made.release.changes if change.service in made.release.affected] == [
        "removed: settlement.yml"
    ]
    made.write()
    assert not gone.exists()
    assert Catalogue.of(settings).release == "v1.0.1"


def test_what_can_t_be_is_refused_with_nothing_written(settings: Settings, releases: Releases) -> None:
    before = {path: path.read_bytes() for path in settings.pipelines.rglob("*") if path.is_file()}
    draft = "name: payments\nport: x\n"
    with pytest.raises(InvalidDocumentError):
        propose(settings, releases, lambda _: {settings.catalog / "payments.yaml": draft})
    releases.held["v1.0.0"]["settlement.yml"] += "# altered\n"
    releases.held["v1.0.1"] = {"x.yml": ""}
    made = proposed(settings, releases)
    assert made.release.version == "v1.0.2", "what is published with other content is passed over"
    assert before == {path: path.read_bytes() for path in settings.pipelines.rglob("*") if path.is_file()}


def test_a_published_release_that_was_altered_is_told(settings: Settings, releases: Releases) -> None:
    first = proposed(settings, releases)
    first.write()
    held = files(first.catalogue, settings)
    held["payments.yml"] = "# altered\n" + held["payments.yml"]
    releases.held["v1.0.1"] = held
    with pytest.raises(FindingsError, match="is not what was published"):
        proposed(settings, releases)


def test_a_folder_that_can_t_be_written_is_told_first(
    settings: Settings, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.core.document.os.access", lambda *_: False)
    with pytest.raises(BadInputError, match="its folder is read-only"):
        proposed(settings, releases)


def test_what_is_new_is_proven_and_what_was_proven_is_not_again(
    settings: Settings, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    found = Finding(rule="gate", message="weakened", file="payments.yml")
    monkeypatch.setattr(module, "prove", lambda tasks, _: seen.extend(task.file for task in tasks) or [found])
    with pytest.raises(FindingsError, match="the proofs find 1 errors"):
        proposed(settings, releases)
    assert seen == ["payments.yml"]
    assert not (settings.catalog / "payments.yaml").exists()
