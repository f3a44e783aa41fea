"""Bills of materials: read, made reproducible, and made for Go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.core.error import BadInputError
from pipelines.sbom import components, go_sbom, license_of, package, read_sbom, reproducible

DOCUMENT: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "serialNumber": "urn:uuid:0",
    "metadata": {"timestamp": "now", "component": {"type": "application", "name": "y", "bom-ref": "r"}},
    "components": [
        {
            "name": "b",
            "group": "@a",
            "version": "1",
            "purl": "pkg:npm/%40a/b@1?x=y",
            "licenses": [{"license": {"id": "MIT"}}],
            "components": [{"name": "inner", "licenses": [{"expression": "MIT OR ISC"}, {"license": {"name": " "}}]}],
        }
    ],
}


def test_components_are_read_with_what_is_inside_them() -> None:
    found = {c.name: c for c in components(DOCUMENT, "x")}
    assert (found["@a/b"].licenses, found["@a/b"].key) == (("MIT",), "pkg:npm/%40a/b")
    assert found["inner"].licenses == ("MIT OR ISC",)
    assert package(found["@a/b"].purl) == ("npm", "@a/b", "1")


def test_the_same_bytes_whenever_it_is_made() -> None:
    later = {**DOCUMENT, "serialNumber": "urn:uuid:9", "metadata": {**DOCUMENT["metadata"], "timestamp": "later"}}
    made = [
        reproducible(document, name="x", version="1.0.7", time="2026-11-24T00:00:00+00:00")
        for document in (DOCUMENT, later)
    ]
    assert made[0] == made[1]
    read = json.loads(made[0])
    assert read["metadata"]["component"] == {"type": "application", "name": "x", "version": "1.0.7", "bom-ref": "r"}
    assert made[0] != reproducible(DOCUMENT, name="x", version="1.0.8", time="2026-11-24T00:00:00+00:00")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"bomFormat": "SPDX"}', "[" * 100_000, "\x00"], ids=repr)
def test_what_is_no_bill_is_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        read_sbom(text, "sbom.cdx.json")


@pytest.mark.parametrize("inside", [[1], [{}], [{"name": 1}], [[]]], ids=repr)
def test_a_component_without_a_name_is_refused(inside: list[object]) -> None:
    with pytest.raises(BadInputError, match="without a name"):
        components({"components": inside}, "x")


def test_odd_parts_are_passed_over() -> None:
    odd = {"name": "x", "licenses": [1, {"license": 2}, {"license": {"id": ""}}, None], "components": 3}
    assert components({"components": [odd]}, "x")[0].licenses == ()
    assert components({"components": "x"}, "x") == []


def test_a_go_program_ships_its_modules_and_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text(
        "Permission is hereby granted, free of charge, to any person obtaining a copy …\n"
        "The above copyright notice and this permission notice shall be included in all copies\n",
        encoding="utf-8",
    )
    said = "".join(
        json.dumps(entry, indent=1) + "\n"
        for entry in (
            {"ImportPath": "fmt", "Standard": True},
            {"ImportPath": "own", "Module": {"Path": "own", "Main": True}},
            {"ImportPath": "a/b", "Module": {"Path": "example.org/a", "Version": "v1.2.3", "Dir": str(tmp_path)}},
            {"ImportPath": "a/c", "Module": {"Path": "example.org/a", "Version": "v1.2.3", "Dir": str(tmp_path)}},
            {"ImportPath": "u", "Module": {"Path": "example.org/u", "Version": "v0.1.0"}},
        )
    )
    found = components(go_sbom(said, "go1.26.8"), "x")
    assert [(c.purl, c.licenses) for c in found] == [
        ("pkg:golang/example.org/a@v1.2.3", ("MIT",)),
        ("pkg:golang/example.org/u@v0.1.0", ()),
        ("pkg:golang/stdlib@1.26.8", ("BSD-3-Clause",)),
    ]
    with pytest.raises(BadInputError):
        go_sbom("not json", "go1.26.8")


def test_licences_are_known_by_their_words() -> None:
    bsd = "Redistribution and use in source and binary forms, with or without modification"
    assert license_of(bsd) == "BSD-2-Clause"
    assert license_of(f"{bsd}\nNeither the name of …") == "BSD-3-Clause"
    assert license_of("GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007") == "GPL-3.0-only"
    assert license_of("All rights reserved") is None
