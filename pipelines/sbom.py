"""Software bills of materials in CycloneDX JSON: read, made reproducible, and made for Go, whose tools have none."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from infra.core.error import BadInputError

SPEC_VERSION: Final = "1.6"
_NAMESPACE: Final = uuid.UUID("0b6cf2f4-3d0c-5c63-9d5b-6d1c1a6a7c11")

_LICENSE_TEXTS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("Apache-2.0", ("apache license", "version 2.0")),
    ("MPL-2.0", ("mozilla public license", "2.0")),
    ("AGPL-3.0-only", ("gnu affero general public license", "version 3")),
    ("LGPL-3.0-only", ("gnu lesser general public license", "version 3")),
    ("GPL-3.0-only", ("gnu general public license", "version 3")),
    ("GPL-2.0-only", ("gnu general public license", "version 2")),
    ("BSD-3-Clause", ("redistribution and use in source and binary forms", "neither the name")),
    ("BSD-2-Clause", ("redistribution and use in source and binary forms",)),
    ("ISC", ("permission to use, copy, modify, and/or distribute this software",)),
    ("MIT", ("permission is hereby granted, free of charge", "the above copyright notice")),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",)),
)
"""Words that are in the text of a licence and, above it in this list, in no other's."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A part of what ships. `licenses` are SPDX expressions or whatever words its author found; all of them hold."""

    name: str
    version: str
    purl: str
    licenses: tuple[str, ...]

    @property
    def key(self) -> str:
        """The package URL without version and qualifiers."""
        return re.split(r"[?#]", self.purl)[0].rpartition("@")[0] or self.purl

    @property
    def label(self) -> str:
        """For people."""
        return self.purl or f"{self.name} {self.version}"


def read_sbom(text: str, where: str) -> dict[str, Any]:
    """The document in `text`. Raises BadInputError if it isn't a CycloneDX document in JSON."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError("is not JSON", where=where) from error
    if not isinstance(document, dict) or document.get("bomFormat") != "CycloneDX":
        raise BadInputError("is not a CycloneDX document", where=where, fix="make it with the tool of the language")
    return document


def components(document: Mapping[str, Any], where: str) -> list[Component]:
    """The components of a document, nested ones too. Raises BadInputError for one without name or type."""
    found = [_component(entry, where) for entry in _entries(document)]
    return sorted(found, key=lambda component: (component.purl, component.name, component.version))


def _entries(holder: Mapping[str, Any]) -> Iterator[Any]:
    waiting = [holder]
    while waiting:
        inside = waiting.pop().get("components") or []
        if not isinstance(inside, list):
            continue
        yield from inside
        waiting += [entry for entry in inside if isinstance(entry, dict)]


def _component(entry: Any, where: str) -> Component:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise BadInputError("has a component without a name", where=where)
    group = entry.get("group") or ""
    name = f"{group}/{entry['name']}" if group else entry["name"]
    return Component(
        name=name,
        version=str(entry.get("version") or ""),
        purl=str(entry.get("purl") or ""),
        licenses=tuple(_licenses(entry.get("licenses"))),
    )


def _licenses(entries: Any) -> Iterator[str]:
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            license_ = entry.get("license")
            license_ = license_ if isinstance(license_, dict) else {}
            words = entry.get("expression") or license_.get("id") or license_.get("name")
            if isinstance(words, str) and words.strip():
                yield words.strip()


def reproducible(document: Mapping[str, Any], *, name: str, version: str, time: str) -> str:
    """The document as text, saying what it is of, with nothing in it that differs when it is made again.

    `time` is the commit's, in ISO 8601: a job that is repeated then makes the same bytes, which may be published again.
    """
    metadata = document.get("metadata")
    metadata = dict(metadata) if isinstance(metadata, dict) else {}
    described = metadata.get("component")
    metadata["timestamp"] = time
    metadata["component"] = {
        **({"type": "application"} | described if isinstance(described, dict) else {"type": "application"}),
        "name": name,
        "version": version,
    }
    made = {**document, "metadata": metadata}
    made.pop("serialNumber", None)
    body = json.dumps(made, sort_keys=True)
    made["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, body)}"
    return json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def go_sbom(packages: str, go_version: str) -> dict[str, Any]:
    """The document of a Go program, from what `go list -deps -json=ImportPath,Module,Standard` says of it.

    Components are the standard library and every module that a package is taken from, with the licence that the
    module's own files tell. Raises BadInputError if `packages` is something else.
    """
    modules: dict[str, Mapping[str, Any]] = {}
    for package in _objects(packages):
        module = package.get("Module")
        if isinstance(module, dict) and not module.get("Main"):
            modules[str(module.get("Path"))] = module.get("Replace") or module
    library = go_version.removeprefix("go").split(" ")[0]
    found = [_go_component("stdlib", library, ["BSD-3-Clause"])]
    found += [
        _go_component(path, str(module.get("Version", "")), _module_licenses(module))
        for path, module in sorted(modules.items())
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {"tools": {"components": [{"type": "application", "name": "forgeline"}]}},
        "components": found,
    }


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects that follow each other in `text`."""
    decoder = json.JSONDecoder()
    position, end = 0, len(text.rstrip())
    while position < end:
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise BadInputError("is not what `go list -json` prints", where="standard input") from error
        while position < end and text[position].isspace():
            position += 1
        if isinstance(value, dict):
            yield value


def _go_component(path: str, version: str, licenses: Iterable[str]) -> dict[str, Any]:
    purl = f"pkg:golang/{quote(path, safe='/')}@{version}"
    entries = [{"license": {"id": name}} for name in licenses]
    component = {"type": "library", "name": path, "version": version, "purl": purl, "bom-ref": purl}
    return component | ({"licenses": entries} if entries else {})


def _module_licenses(module: Mapping[str, Any]) -> list[str]:
    """SPDX identifiers of the licence files in the module's folder; none if no file's text is known."""
    folder = Path(str(module.get("Dir") or "/nonexistent"))
    files = sorted(path for path in folder.glob("*") if re.match(r"(?i)(licen[cs]e|copying)", path.name))
    found = [license_of(path.read_text(encoding="utf-8", errors="replace")) for path in files if path.is_file()]
    return sorted({name for name in found if name})


def license_of(text: str) -> str | None:
    """The SPDX identifier of the licence whose text this is; None if it is none of the common ones."""
    words = " ".join(text.lower().split())
    return next((name for name, marks in _LICENSE_TEXTS if all(mark in words for mark in marks)), None)


def package(purl: str) -> tuple[str, str, str] | None:
    """Type, name (`namespace/name`) and version of a package URL; None if it is none."""
    match = re.fullmatch(r"pkg:([a-z]+)/([^@?#]+)(?:@([^?#]+))?(?:[?#].*)?", purl)
    if match is None:
        return None
    return match[1], unquote(match[2]), unquote(match[3] or "")
