"""The pure half of a kind: identity, differences, what is left alone."""

from __future__ import annotations

import pytest

from infra.core.error import BadInputError
from infra.provider.kind import Found
from infra.provider.registry import KINDS

BRANCH = KINDS["forgeline:gitlab:ProtectedBranch"]
FILES = KINDS["forgeline:gitlab:RepositoryFiles"]
PROJECT = KINDS["forgeline:gitlab:Project"]


def test_an_id_is_the_natural_key_and_leads_back_to_it() -> None:
    fields = {"project": "trading/a", "branch": "release/1:2"}
    assert BRANCH.identity(fields) == "trading/a:release/1:2"
    assert BRANCH.from_identity("trading/a:release/1:2").branch == "release/1:2"


def test_an_id_of_another_shape_is_refused() -> None:
    with pytest.raises(BadInputError) as caught:
        BRANCH.from_identity("trading/a")
    assert caught.value.fix == "write PROJECT:BRANCH"


def test_changes_name_the_fields_and_the_entries_of_mappings() -> None:
    old = {"project": "p", "branch": "main", "files": {"a": "1", "b": "2"}, "mode": "managed", "message": "x"}
    new = {"project": "p", "branch": "main", "files": {"a": "1", "c": "3"}, "mode": "seed", "message": "y"}
    assert FILES.changes(old, new) == {
        'files["b"]': ("2", None),
        'files["c"]': (None, "3"),
        "mode": ("managed", "seed"),
    }
    assert FILES.forces_replacement("mode")
    assert not FILES.forces_replacement("files")


def test_what_is_not_declared_is_left_alone_unless_imported() -> None:
    wanted = PROJECT.inputs(path="trading/a")
    found = Found(fields={"path": "trading/a", "description": "", "visibility": "private", "merge_method": "ff"})
    assert PROJECT.observed(wanted, found)["merge_method"] is None
    assert PROJECT.observed(wanted, found, everything=True)["merge_method"] == "ff"
