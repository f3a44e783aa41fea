"""Conventions that every kind keeps, the schema, and that the generated classes are fresh."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.provider import generate
from infra.provider.kind import Kind, _reference
from infra.provider.registry import KINDS
from infra.provider.schema import package_schema

ALL = [pytest.param(kind, id=name.removeprefix("forgeline:")) for name, kind in KINDS.items()]
RESERVED = {"id", "urn", "opts", "resource_name"}
SECRET = re.compile(r"password|token$|^secret$")


@pytest.mark.parametrize("kind", ALL)
def test_a_kind_is_well_declared(kind: Kind[Any]) -> None:
    fields = set(kind.field_names)
    assert re.fullmatch(r"forgeline:(docker|gitlab|nexus|vault|lab):[A-Z][A-Za-z]+", kind.type_name)
    assert set(kind.key) | kind.replace | kind.write_only <= fields
    assert not (fields | set(kind.computed)) & RESERVED, "Pulumi has these names for itself"
    assert not fields & set(kind.computed)
    assert kind.inputs.__doc__


@pytest.mark.parametrize("kind", ALL)
def test_secrets_travel_as_references_only(kind: Kind[Any]) -> None:
    for name, info in kind.inputs.model_fields.items():
        if SECRET.search(name):
            checks = str(info.metadata) + str(info.annotation)
            assert _reference.__name__ in checks, f"{kind.type_name}.{name} could hold a value"
    assert not [name for name in kind.computed if SECRET.search(name)]


def test_the_schema_has_every_kind_with_its_fields() -> None:
    resources = package_schema()["resources"]
    assert set(resources) == set(KINDS)
    branch = resources["forgeline:gitlab:ProtectedBranch"]
    assert branch["requiredInputs"] == ["project", "branch"]
    assert branch["inputProperties"]["branch"]["willReplaceOnChanges"] is True
    assert branch["inputProperties"]["allow_force_push"] == {"type": "boolean"}


def test_the_generated_classes_are_fresh(tmp_path: Path) -> None:
    shutil.copy(Path(generate.FOLDER).parents[2] / "pyproject.toml", tmp_path)
    for name, text in generate.modules().items():
        (tmp_path / name).write_text(text)
    ruff = Path(sys.executable).with_name("ruff")
    subprocess.run([ruff, "format", "--quiet", tmp_path], check=True)
    for name in generate.modules():
        fresh = (tmp_path / name).read_text()
        assert (generate.FOLDER / name).read_text() == fresh, "run python -m infra.provider.generate, then ruff format"
