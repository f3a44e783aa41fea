"""The fleet at a glance: what it costs, what it tells, and what becomes of it when a server does not answer."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.clients.gitlab import GitLab
from infra.core.blob import blob_ids
from infra.core.error import BadInputError, ServerError
from infra.core.secret import SecretValue
from infra.core.settings import ROOT, Settings, load_settings
from infra.operations.fleet_view import FleetView, Selection, fleet_view
from pipelines.catalogue import Catalogue
from pipelines.source import Source
from tests.trial import free_ports
from tests.unit.operations.gitlab_stub import Answer, stub

EVERYTHING = Selection()


def fleet_of(folder: Path, count: int) -> Settings:
    """Settings with a catalogue of `count` services, made after `client-reporting`."""
    (folder / "catalog").mkdir(parents=True)
    shutil.copy(ROOT / "pipelines" / "release.yaml", folder)
    text = (ROOT / "pipelines" / "catalog" / "client-reporting.yaml").read_text()
    text = re.sub(r"^dependencies:.*\n(?:[ -].*\n)*", "", text, flags=re.MULTILINE)
    for number in range(count):
        name = f"service-{chr(97 + number // 26)}{chr(97 + number % 26)}"
        changed = re.sub(r"^name: .*$", f"name: {name}", text, flags=re.MULTILINE)
        changed = re.sub(r"^port: .*$", f"port: {9000 + number}", changed, flags=re.MULTILINE)
        (folder / "catalog" / f"{name}.yaml").write_text(changed)
    return load_settings({"FORGELINE_PIPELINES": str(folder), "FORGELINE_STATE": str(folder / "state")})


def pipeline(status: str) -> dict[str, Any]:
    moment = "2026-01-01T00:00:00.000Z"
    return {"id": 5, "iid": 2, "status": status, "ref": "main", "sha": "0", "web_url": "x", "created_at": moment}


def answers(catalogue: Catalogue, settings: Settings, **last: Any) -> dict[str, Answer]:
    """A GitLab that has what the catalogue says; `last` gives the last pipeline of a service (hyphens as `_`)."""
    files = Source.of(settings, catalogue).files()
    tree = [{"type": "blob", "path": path, "id": blob} for path, blob in blob_ids(files).items()]
    projects = [
        {
            "id": number,
            "path_with_namespace": service.project,
            "web_url": f"http://gitlab/{service.project}",
            "ci_config_path": f"{service.name}.yml@platform/pipelines:{service.pipeline}",
        }
        for number, service in enumerate(catalogue)
    ]
    runs: dict[str, Answer] = {}
    for service in catalogue:
        found = last.get(service.name.replace("-", "_"), [pipeline("success")])
        runs[f"/projects/{service.project}/pipelines"] = lambda _query, found=found: found
    return {
        "/groups/trading/projects": lambda _query: projects,
        "/projects/platform/pipelines": lambda _query: {"id": 99},
        "/projects/99/repository/tags": lambda _query: [{"name": "v1.0.0"}],
        "/projects/platform/pipelines/repository/tree": lambda _query: tree,
        **runs,
    }


def viewed(
    settings: Settings,
    selection: Selection = EVERYTHING,
    *,
    change: Callable[[dict[str, Answer]], None] = lambda _: None,
    **last: Any,
) -> tuple[FleetView, Counter[str]]:
    catalogue, asked = Catalogue.of(settings), list[str]()
    given = answers(catalogue, settings, **last)
    change(given)
    with stub(given, asked) as gitlab:
        view = fleet_view(settings, catalogue, selection, connect=lambda: gitlab)
    return view, Counter(asked)


def names(view: FleetView) -> list[str]:
    return [row.service.name for row in view.rows]


def test_a_service_costs_gitlab_one_request(tmp_path: Path) -> None:
    costs = {}
    for count in (5, 25):
        view, asked = viewed(fleet_of(tmp_path / str(count), count))
        assert (len(view.rows), view.complete) == (count, True)
        costs[count] = asked.total()
    assert costs[25] - costs[5] == 20


def test_listings_are_read_page_by_page(tmp_path: Path) -> None:
    view, asked = viewed(fleet_of(tmp_path, 101), Selection(tier="core"))
    assert (view.rows, view.complete) == ((), True)
    assert asked["/groups/trading/projects"] == 2


def test_a_row_tells_link_release_and_pipeline(tmp_path: Path) -> None:
    (row,) = viewed(fleet_of(tmp_path, 1))[0].rows
    told = row.as_json(datetime(2026, 1, 1, 0, 2, tzinfo=UTC))
    assert told["web_url"] == "http://gitlab/trading/service-aa"
    assert (told["pipeline"], told["newest"], told["drift"]["state"]) == ("v1.0.0", "v1.0.0", "clean")
    assert (told["last_pipeline"]["status"], told["last_pipeline_age_seconds"]) == ("success", 120)
    assert told["versions"] == dict.fromkeys(("dev", "test", "staging", "production"))
    assert told["problems"] == []


def test_red_and_drifted_services_are_picked(tmp_path: Path) -> None:
    settings = fleet_of(tmp_path, 3)

    def alter(given: dict[str, Answer]) -> None:
        given["/groups/trading/projects"]({})[2]["ci_config_path"] = ".gitlab-ci.yml"

    last = {"service_ab": [pipeline("failed")]}
    assert names(viewed(settings, Selection(red=True), change=alter, **last)[0]) == ["service-ab"]
    assert names(viewed(settings, Selection(drifted=True), change=alter, **last)[0]) == ["service-ac"]
    assert names(viewed(settings, change=alter, **last)[0]) == ["service-aa", "service-ab", "service-ac"]


def test_services_are_picked_by_catalogue_before_anybody_is_asked(tmp_path: Path) -> None:
    settings = fleet_of(tmp_path, 3)
    file = tmp_path / "catalog" / "service-ac.yaml"
    file.write_text(file.read_text().replace("tier: normal", "tier: core"))
    view, asked = viewed(settings, Selection(tier="core"))
    assert names(view) == ["service-ac"]
    assert [path for path in asked if path.endswith("/pipelines") and "trading" in path] == [
        "/projects/trading/service-ac/pipelines"
    ]


def test_an_unknown_owner_is_refused_with_the_nearest() -> None:
    settings = load_settings({})

    def nobody() -> GitLab:
        raise AssertionError("asked")

    with pytest.raises(BadInputError) as caught:
        fleet_view(settings, Catalogue.of(settings), Selection(owner="trading-cor"), connect=nobody)
    assert "trading-core" in caught.value.fix


def test_one_project_that_fails_is_told_in_its_row(tmp_path: Path) -> None:
    rows = viewed(fleet_of(tmp_path, 2), service_ab=500)[0].rows
    assert [bool(row.problems) for row in rows] == [False, True]
    assert "HTTP 500" in rows[1].problems[0]
    assert rows[1].drift is not None


def test_releases_that_cant_be_read_leave_the_pipelines(tmp_path: Path) -> None:
    def refuse(given: dict[str, Answer]) -> None:
        given["/projects/99/repository/tags"] = lambda _query: 503

    (row,) = viewed(fleet_of(tmp_path, 1), change=refuse)[0].rows
    assert (row.drift, row.run is not None) == (None, True)
    assert "HTTP 503" in row.problems[0]


def test_a_gitlab_that_is_away_is_told_in_every_row(tmp_path: Path) -> None:
    settings = fleet_of(tmp_path, 2)
    (port,) = free_ports(1)
    gitlab = GitLab(f"http://127.0.0.1:{port}", SecretValue("x"))
    view = fleet_view(settings, Catalogue.of(settings), EVERYTHING, connect=lambda: gitlab)
    gitlab.close()
    assert [row.problems for row in view.rows] == [("GitLab does not answer (ConnectionError)",)] * 2
    assert not view.complete


def test_an_openbao_that_is_away_is_told_too(tmp_path: Path) -> None:
    settings = fleet_of(tmp_path, 1)

    def away() -> GitLab:
        raise ServerError("OpenBao does not answer")

    (row,) = fleet_view(settings, Catalogue.of(settings), EVERYTHING, connect=away).rows
    assert row.problems == ("OpenBao does not answer",)
