"""Teams, and that every owner is one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra.core.document import InvalidDocumentError
from infra.core.settings import ROOT, load_settings
from pipelines.catalogue import Catalogue
from pipelines.team import load_teams, membership

FILE = ROOT / "pipelines" / "teams.yaml"


def test_every_owner_of_the_checkout_is_a_team_and_every_team_owns_something() -> None:
    catalogue = Catalogue.of(load_settings({}))
    assert {owner for service in catalogue for owner in service.owners} == set(catalogue.teams)


def test_an_owner_that_is_no_team_is_told_at_its_line(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "pipelines" / "catalog", tmp_path / "catalog")
    shutil.copy(ROOT / "pipelines" / "release.yaml", tmp_path)
    shutil.copy(FILE, tmp_path)
    settings = load_settings({"FORGELINE_PIPELINES": str(tmp_path)})
    assert settings.teams == tmp_path / "teams.yaml"
    file = settings.catalog / "settlement.yaml"
    file.write_text(file.read_text().replace("owners: [operations]", "owners: [operation]"))
    with pytest.raises(InvalidDocumentError) as caught:
        Catalogue.of(settings)
    line = file.read_text().splitlines().index("owners: [operation]") + 1
    assert f"{file}:{line}:" in str(caught.value)
    assert "did you mean 'operations'?" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "- {name: a, description: d}\n  - {name: a, description: e}", ":3:6: name: 'a' is already", id="two"
        ),
        pytest.param("- {name: a, description: d, members: [x, x]}", "names somebody twice", id="member-twice"),
        pytest.param('- {name: a, description: d, members: ["x; rm"]}', "members.0", id="no-username"),
        pytest.param("- {name: A, description: d}", "name", id="no-name"),
    ],
)
def test_what_is_wrong_is_told(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "teams.yaml"
    file.write_text(f"teams:\n  {text}\n")
    with pytest.raises(InvalidDocumentError) as caught:
        load_teams(file)
    assert said in str(caught.value)


def test_members_by_team(tmp_path: Path) -> None:
    file = tmp_path / "teams.yaml"
    file.write_text("teams:\n  - {name: a, description: d, members: [alice]}\n  - {name: b, description: e}\n")
    assert membership(load_teams(file)) == {"a": ("alice",), "b": ()}
