"""The catalogue: the ten services load, and every kind of mistake is found at its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from infra.core.document import InvalidDocumentError
from infra.core.error import BadInputError, ExitCode
from pipelines.catalogue import Language, Service, catalogue_schema, load_catalogue

GOOD = {
    "name": "quotes",
    "description": "Quotes of venues",
    "language": "go",
    "language_version": '"1.26"',
    "tier": "core",
    "owners": "[market]",
    "port": "8101",
    "dependencies": "[]",
    "environments": "[dev]",
}


class Folder:
    """A catalogue folder that a test fills."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.release = path.parent / "release.yaml"
        self.release.write_text("version: v1.2.3\n", encoding="utf-8")

    def add(self, file: str, **values: str | None) -> None:
        entry = {**GOOD, "name": file, **values}
        entry.setdefault("pipeline", "v1.2.3")
        text = "".join(f"{key}: {value}\n" for key, value in entry.items() if value is not None)
        (self.path / f"{file}.yaml").write_text(text, encoding="utf-8")

    def findings(self) -> list[tuple[str, str, str]]:
        """Place (file name, line, column), rule and message with remedy of each finding."""
        with pytest.raises(InvalidDocumentError) as caught:
            load_catalogue(self.path, release=self.release)
        assert caught.value.exit_code == ExitCode.BAD_INPUT
        return [(f.where.rpartition("/")[2], f.rule, f"{f.message} | {f.fix}") for f in caught.value.findings]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "catalog"
    path.mkdir()
    return Folder(path)


def test_the_ten_services_load() -> None:
    catalogue = load_catalogue()
    by_language = {language: [s.name for s in catalogue if s.language is language] for language in Language}
    assert by_language == {
        Language.GO: ["execution-router", "market-data", "order-gateway"],
        Language.JAVA: ["order-management", "position-keeping", "pre-trade-risk", "settlement"],
        Language.PYTHON: ["compliance-monitor", "fund-valuation"],
        Language.NODE: ["client-reporting"],
        Language.GENERIC: [],
    }
    assert sorted(service.port for service in catalogue) == list(range(8101, 8111))
    assert catalogue.service("settlement").project == "trading/settlement"


def test_a_service_is_on_the_release_that_its_file_names(folder: Folder) -> None:
    folder.add("quotes", pipeline="v1.0.0", canary="true", hold="{reason: waits for Java 21}")
    catalogue = load_catalogue(folder.path, release=folder.release)
    service = catalogue.service("quotes")
    assert (catalogue.release, service.pipeline, service.canary) == ("v1.2.3", "v1.0.0", True)
    assert service.hold
    assert service.hold.reason == "waits for Java 21"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(BadInputError, match="'market-date'") as caught:
        load_catalogue().service("market-date")
    assert "market-data" in caught.value.fix


@pytest.mark.parametrize(
    ("tier", "override", "floor"),
    [("core", None, 80), ("important", None, 75), ("normal", None, 70), ("normal", "90", 90)],
    ids=["core", "important", "normal", "stricter"],
)
def test_coverage_floor(folder: Folder, tier: str, override: str | None, floor: int) -> None:
    folder.add("quotes", tier=tier, overrides=f"{{coverage: {override}}}" if override else None)
    assert load_catalogue(folder.path, release=folder.release).service("quotes").coverage_floor == floor


@pytest.mark.parametrize(
    ("values", "place", "message"),
    [
        ({"langage": "go"}, "quotes.yaml:10:1", "langage: is not a known key | did you mean 'language'?"),
        ({"tier": None}, "quotes.yaml:1:1", "tier: is missing | "),
        ({"tier": "vital"}, "quotes.yaml:5:1", "tier: Input should be 'core', 'important' or 'normal' | "),
        ({"language_version": "1.26"}, "quotes.yaml:4:1", "language_version: Input should be a valid string | "),
        ({"port": "80"}, "quotes.yaml:7:1", "port: Input should be greater than or equal to 1024 | "),
        ({"owners": "[]"}, "quotes.yaml:6:1", "owners: "),
        ({"owners": "[a, a]"}, "quotes.yaml:6:1", "owners: Value error, names something twice | "),
        ({"description": '"a\\nb"'}, "quotes.yaml:2:1", "description: Value error, must be one line"),
        ({"name": "Quotes;rm"}, "quotes.yaml:1:1", "name: String should match pattern"),
        ({"name": "q" * 41}, "quotes.yaml:1:1", "name: String should have at most 40 characters"),
        ({"name": '"quotes\\n"'}, "quotes.yaml:1:1", "name: String should match pattern"),
        ({"name": "orders"}, "quotes.yaml:1:1", "name: is 'orders', not the file's name | rename the file"),
        ({"pipeline": "v1.0"}, "quotes.yaml:10:1", "pipeline: String should match pattern"),
        ({"pipeline": None}, "quotes.yaml:1:1", "pipeline: is missing | "),
        ({"hold": "{}"}, "quotes.yaml:10:1", "hold.reason: is missing | "),
        ({"hold": '{reason: "a\\nb"}'}, "quotes.yaml:10:8", "hold.reason: Value error, must be one line"),
        ({"dependencies": "[ordres]"}, "quotes.yaml:8:16", "dependencies: there is no service 'ordres'"),
        ({"dependencies": "[quotes]"}, "quotes.yaml:8:16", "dependencies: go round in a circle: quotes -> quotes"),
        (
            {"environments": "[dev, staging]"},
            "quotes.yaml:9:1",
            "environments: Value error, must be dev, test, staging",
        ),
        ({"environments": "[test, dev]"}, "quotes.yaml:9:1", "environments: Value error, must be dev, test, staging"),
        ({"repository": "other/quotes"}, "quotes.yaml:10:1", "repository: String should match pattern"),
        ({"overrides": "{allow_failure: true}"}, "quotes.yaml:10:13", "overrides.allow_failure: is not a known key"),
        ({"name": "[quotes"}, "quotes.yaml:2:", "is not valid YAML"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_mistake_is_found_at_its_place(
    folder: Folder, values: dict[str, str | None], place: str, message: str
) -> None:
    folder.add("quotes", **values)
    found = folder.findings()
    assert found[0][0].startswith(place), found
    assert found[0][2].startswith(message), found


@pytest.mark.parametrize(
    ("overrides", "place", "message"),
    [
        (
            "{coverage: 10}",
            13,
            "overrides.coverage: 10 is less than the 80 that gate 'unit-test' demands of this tier | ",
        ),
        ("{timeout_minutes: 5}", 13, "overrides.timeout_minutes: Input should be greater than or equal to 15 | "),
        ("{sast: {allow_failure: true}}", 13, "overrides.sast: 'sast' is a gate, which no override can touch | remove"),
        ("{approve-production: null}", 13, "overrides.approve-production: 'approve-production' is a gate, which"),
        ("{deploy-production: {}}", 13, "overrides.deploy-production: 'deploy-production' is a job of the standard"),
        ("{before: {unit-test: [exit]}}", 22, "overrides.before.unit-test: 'unit-test' is a gate: no step can be put"),
        ("{after: {publish: [ls]}}", 21, "overrides.after.publish: 'publish' is a gate: no step can be put after it"),
        ("{after: {deploy-dev: [ls]}}", 21, "overrides.after.deploy-dev: 'deploy-dev' holds credentials"),
        ("{after: {biuld: [ls]}}", 21, "overrides.after.biuld: there is no job 'biuld' (did you mean 'build'?)"),
        ('{before: {build: [")\\nexit 0\\n("]}}', 30, "overrides.before.build.0: is not shell: "),
        ('{before: {build: ["ls\\u2028x"]}}', 30, "overrides.before.build.0: has characters that are no text"),
        (
            "{variables: {PATH: /tmp}}",
            25,
            "overrides.variables.PATH: 'PATH' is read by GitLab, the shell or a tool of a gate",
        ),
        ("{variables: {LD_PRELOAD: x}}", 25, "overrides.variables.LD_PRELOAD: 'LD_PRELOAD' is read"),
        ("{variables: {CI_COMMIT_TAG: v9}}", 25, "overrides.variables.CI_COMMIT_TAG: 'CI_COMMIT_TAG' is read"),
        ("{variables: {PYTEST_ADDOPTS: x}}", 25, "overrides.variables.PYTEST_ADDOPTS: 'PYTEST_ADDOPTS' is read"),
        ("{variables: {GITLEAKS_CONFIG: x}}", 25, "overrides.variables.GITLEAKS_CONFIG: 'GITLEAKS_CONFIG' is read"),
        ("{variables: {VERSION: x}}", 25, "overrides.variables.VERSION: 'VERSION' is read"),
        ("{variables: {a b: x}}", 25, "overrides.variables.a b: 'a b' is not a variable's name | use capital"),
        ('{variables: {APP_X: "a\\nb"}}', 25, "overrides.variables.APP_X: must be one line of printable text"),
        ("{cache: [/root/.m2]}", 21, "overrides.cache.0: '/root/.m2' is not a path inside the project | name a folder"),
        ("{cache: [a/../../b]}", 21, "overrides.cache.0: 'a/../../b' is not a path inside the project"),
        ("{cache: [.git/hooks]}", 21, "overrides.cache.0: '.git/hooks' is not a path inside the project"),
        (
            "{services: [{image: 'postgres:17', alias: db}]}",
            25,
            "overrides.services.0.image: String should match pattern",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("{") else None,
)
def test_an_override_that_could_weaken_is_refused_by_name(
    folder: Folder, overrides: str, place: int, message: str
) -> None:
    folder.add("quotes", overrides=overrides)
    found = folder.findings()
    assert found[0][0].startswith(f"quotes.yaml:10:{place}"), found
    assert found[0][2].startswith(message), found


def test_two_services_in_one_repository(folder: Folder) -> None:
    folder.add("quotes")
    folder.add("zebra", repository="trading/quotes", port="8102")
    assert [rule for _, rule, _ in folder.findings()] == ["duplicate-repository"]


def test_the_errors_of_all_files_are_told_together(folder: Folder) -> None:
    folder.add("alpha", tier="vital")
    folder.add("beta", dependencies="[gamma]")
    folder.add("gamma", dependencies="[beta]")
    folder.add("delta", port="8102")
    (folder.path / "epsilon.yaml").write_bytes(b"\xff\xfe")
    folder.release.write_text("version: latest\n", encoding="utf-8")
    found = folder.findings()
    assert [(place.partition(":")[0], rule) for place, rule, _ in found] == [
        ("alpha.yaml", "schema"),
        ("epsilon.yaml", "file"),
        ("gamma.yaml", "duplicate-port"),
        ("gamma.yaml", "dependency-cycle"),
        ("release.yaml", "schema"),
    ]
    assert "8101 is already the port of beta | 8103 is free" in found[2][2]
    assert "beta -> gamma -> beta" in found[3][2]


def test_two_files_with_one_name(folder: Folder) -> None:
    folder.add("quotes")
    folder.add("zebra", name="quotes", port="8102")
    assert [rule for _, rule, _ in folder.findings()] == ["file-name", "duplicate-name"]


def test_an_empty_folder_is_refused(folder: Folder) -> None:
    with pytest.raises(BadInputError, match=r"no \*\.yaml"):
        load_catalogue(folder.path, release=folder.release)


def test_a_service_is_frozen() -> None:
    service = load_catalogue().service("settlement")
    with pytest.raises(ValidationError, match="frozen"):
        service.port = 1  # type: ignore[misc]


def test_the_schema_knows_every_key() -> None:
    schema = catalogue_schema()
    assert set(schema["properties"]) == set(Service.model_fields)
    assert schema["additionalProperties"] is False
    json.dumps(schema)


def test_a_base_group_is_before_every_path_and_in_no_file() -> None:
    service = load_catalogue().service("market-data")
    below = service.below("acme/delivery")
    assert below.project == "acme/delivery/trading/market-data"
    assert below.owner_groups == tuple(f"acme/delivery/teams/{owner}" for owner in service.owners)
    assert below.pipeline_place("v1.2.3") == "market-data.yml@acme/delivery/platform/pipelines:v1.2.3"
    assert below.model_dump() == service.model_dump()
    assert (service.project, service.base_group) == ("trading/market-data", "")
