"""Bills of materials: what is in a layer, read from what it brings itself, and the CycloneDX document of an image."""

from __future__ import annotations

import email.parser
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from infra.core.error import ToolError
from infra.images.entry import Entry
from infra.images.part import Bench
from infra.toolchain.command import output_of
from infra.toolchain.pin import machine
from pipelines.sbom import SPEC_VERSION, reproducible

_ELF = b"\x7fELF"
_JAR_IN_REPOSITORY = re.compile(
    r"(?:.*/)?(?:system|repository)/(?P<group>.+)/(?P<artifact>[^/]+)/(?P<version>[^/]+)/(?P=artifact)-(?P=version)[^/]*\.jar"
)
_JAR_NAME = re.compile(r"(?:.*/)?(?P<artifact>.+?)-(?P<version>\d[^/]*)\.jar")
_PROPERTIES = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties")


@dataclass(frozen=True, kw_only=True, order=True)
class Component:
    """A part of what ships. `package` is its package URL without the version, such as `pkg:pypi/click`."""

    name: str
    version: str
    kind: str = "library"
    package: str = ""
    qualifiers: str = ""

    def as_json(self) -> dict[str, Any]:
        """As a CycloneDX component."""
        package = self.package or f"pkg:generic/{quote(self.name)}"
        purl = f"{package}@{quote(self.version, safe='')}{self.qualifiers}"
        return {"type": self.kind, "name": self.name, "version": self.version, "purl": purl, "bom-ref": purl}


def debian_components(status: str) -> list[dict[str, Any]]:
    """The packages that dpkg's status file calls installed."""
    found = []
    for paragraph in re.split(r"\n\s*\n", status.strip()):
        fields = dict(re.findall(r"^(\S+): (.*)$", paragraph, re.MULTILINE))
        if not fields.get("Status", "").endswith(" installed"):
            continue
        found.append(
            Component(
                name=fields["Package"],
                version=fields["Version"],
                package=f"pkg:deb/debian/{quote(fields['Package'])}",
                qualifiers=f"?arch={fields['Architecture']}",
            )
        )
    return [one.as_json() for one in sorted(found)]


def find_components(entries: Iterable[Entry], bench: Bench) -> list[dict[str, Any]]:
    """What files say of themselves: Python's and npm's package metadata, jars, and programs that Go made."""
    found: set[Component] = set()
    programs = []
    for entry in entries:
        name = entry.path.rpartition("/")[2]
        if re.search(r"\.(dist-info/METADATA|egg-info/PKG-INFO)$", entry.path):
            found.add(python_component(entry.read().decode(errors="replace")))
        elif name == "package.json" and re.search(r"(^|/)node_modules/(@[^/]+/)?[^/]+/package\.json$", entry.path):
            found |= set(npm_component(entry.read()))
        elif name.endswith(".jar") and entry.size:
            found.add(jar_component(entry.path, entry.read()))
        elif entry.mode & 0o100 and entry.size > 1_000_000 and entry.source is not None and not entry.offset:
            with entry.opened() as content:
                if content.read(4) == _ELF:
                    programs.append(str(entry.source))
    found |= set(go_components(_build_information(programs, bench)))
    return [one.as_json() for one in sorted(found)]


def _build_information(programs: list[str], bench: Bench) -> str:
    go = bench.tool("go")
    if not programs:
        return ""
    if go is None:
        raise ToolError("what Go programs are made of can't be read without `go`", where=programs[0])
    # It fails, after all it can say, where one of them is not a Go program.
    return "".join(output_of([str(go.path), "version", "-m", program], bench.environ) for program in programs)


def python_component(metadata: str) -> Component:
    """The package of a `METADATA` file."""
    fields = email.parser.HeaderParser().parsestr(metadata)
    name, version = str(fields["Name"]), str(fields["Version"])
    return Component(name=name, version=version, package=f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}")


def npm_component(content: bytes) -> Iterator[Component]:
    """The package of a `package.json`; none where it only marks a folder."""
    try:
        fields = json.loads(content)
        name, version = fields["name"], fields["version"]
    except (ValueError, KeyError, TypeError):
        return
    yield Component(name=name, version=version, package=f"pkg:npm/{quote(name)}")


def jar_component(path: str, content: bytes) -> Component:
    """The artifact that a jar is: by its place in a repository, by what Maven wrote into it, else by its name."""
    match = _JAR_IN_REPOSITORY.fullmatch(path)
    if match:
        return _artifact(match["group"].replace("/", "."), match["artifact"], match["version"])
    fields = _pom_properties(content)
    if fields:
        return _artifact(fields["groupId"], fields["artifactId"], fields["version"])
    named = _JAR_NAME.fullmatch(path)
    name = path.rpartition("/")[2]
    return Component(name=named["artifact"] if named else name, version=named["version"] if named else "")


def _artifact(group: str, artifact: str, version: str) -> Component:
    return Component(name=artifact, version=version, package=f"pkg:maven/{quote(group)}/{quote(artifact)}")


def _pom_properties(content: bytes) -> dict[str, str] | None:
    """What the one `pom.properties` in a jar says; None for a jar that holds several others', or none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as jar:
            names = [name for name in jar.namelist() if _PROPERTIES.fullmatch(name)]
            text = jar.read(names[0]).decode(errors="replace") if len(names) == 1 else ""
    except zipfile.BadZipFile:
        return None
    fields = dict(re.findall(r"^\s*(groupId|artifactId|version)\s*=\s*(\S+)", text, re.MULTILINE))
    return fields if len(fields) == 3 else None


def go_components(told: str) -> Iterator[Component]:
    """The modules that `go version -m` tells of programs, and the standard library that each was built with."""
    module: tuple[str, str] | None = None
    for line in told.splitlines():
        words = line.split()
        if not line.startswith("\t"):
            version = re.search(r": go(\d\S*)", line)
            if version:
                yield Component(name="stdlib", version=version[1], package="pkg:golang/stdlib")
        elif words and words[0] in {"dep", "=>"} and len(words) >= 3:
            # A module that is replaced is followed by what stands in its place.
            if words[0] == "=>":
                module = None
            if module:
                yield _module(module)
            module = (words[1], words[2])
        else:
            if module:
                yield _module(module)
            module = None
    if module:
        yield _module(module)


def _module(module: tuple[str, str]) -> Component:
    name, version = module
    if name.startswith("."):  # our own code in a module's place, beside the program's
        return Component(name=name.strip("./"), version=version)
    return Component(name=name, version=version, package=f"pkg:golang/{quote(name)}")


def document(components: Iterable[Mapping[str, Any]], *, name: str, version: str, time: int) -> str:
    """The CycloneDX document of an image whose layers bring the components; always the same for the same.

    `time` is in seconds since 1970.
    """
    distinct = {str(one["bom-ref"]): dict(one) for one in components}
    tool = {"type": "application", "name": "forgeline"}
    made = {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {
            "tools": {"components": [tool]},
            "component": {"type": "container", "properties": [{"name": "platform", "value": machine()}]},
        },
        "components": [distinct[reference] for reference in sorted(distinct)],
    }
    return reproducible(made, name=name, version=version, time=iso(time))


def iso(time: int) -> str:
    """Seconds since 1970 as ISO 8601 writes them."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
