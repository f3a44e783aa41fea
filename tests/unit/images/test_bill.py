from __future__ import annotations

import io
import json
import zipfile

import pytest

from infra.images.bill import (
    Component,
    debian_components,
    document,
    go_components,
    jar_component,
    npm_component,
    python_component,
)

STATUS = """Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b7
Description: GNU shell
 Version: not a field

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: libstdc++6
Status: install ok installed
Architecture: amd64
Version: 1:12.2~1
"""

GO = (
    "/opt/x/prog: go1.27.3\n\tpath\texample.org/prog\n\tmod\texample.org/prog\t(devel)\t\n"
    "\tdep\tcel.dev/expr\tv0.24.0\th1:abc=\n"
    "\tdep\texample.org/old\tv1.0.0\n\t=>\texample.org/new\tv2.0.0\th1:x=\n"
    "\tdep\texample.org/api\tv0.0.0\n\t=>\t./stub/api\t(devel)\t\n"
    "\tbuild\t-compiler=gc\n"
)


def purls(components: list[dict[str, str]]) -> list[str]:
    return [one["purl"] for one in components]


def test_debians_installed_packages() -> None:
    assert purls(debian_components(STATUS)) == [
        "pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64",
        "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2~1?arch=amd64",
    ]


def test_the_modules_of_a_go_program_with_what_replaces_them() -> None:
    assert [one.as_json()["purl"] for one in go_components(GO)] == [
        "pkg:golang/stdlib@1.27.3",
        "pkg:golang/cel.dev/expr@v0.24.0",
        "pkg:golang/example.org/new@v2.0.0",
        "pkg:generic/stub/api@%28devel%29",
    ]


def test_a_python_package() -> None:
    assert python_component("Metadata-Version: 2.1\nName: Ruamel_YAML\nVersion: 0.18\n\nName: no\n").as_json() == {
        "type": "library",
        "name": "Ruamel_YAML",
        "version": "0.18",
        "purl": "pkg:pypi/ruamel-yaml@0.18",
        "bom-ref": "pkg:pypi/ruamel-yaml@0.18",
    }


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param(b'{"name": "@npmcli/fs", "version": "1.0.0"}', ["pkg:npm/%40npmcli/fs@1.0.0"], id="scoped"),
        pytest.param(b'{"type": "module"}', [], id="only marks a folder"),
        pytest.param(b"{", [], id="broken"),
    ],
)
def test_an_npm_package(content: bytes, found: list[str]) -> None:
    assert [one.as_json()["purl"] for one in npm_component(content)] == found


def jar(*properties: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        for name in properties:
            file.writestr(
                f"META-INF/maven/org.x/{name}/pom.properties", f"version=1.2\ngroupId=org.x\nartifactId={name}\n"
            )
    return out.getvalue()


@pytest.mark.parametrize(
    ("path", "content", "purl"),
    [
        pytest.param(
            "opt/nexus/system/org/apache/karaf/core/4.3.9/core-4.3.9.jar",
            jar("other"),
            "pkg:maven/org.apache.karaf/core@4.3.9",
            id="by its place",
        ),
        pytest.param("opt/maven/lib/x.jar", jar("x"), "pkg:maven/org.x/x@1.2", id="by what Maven wrote"),
        pytest.param("opt/maven/lib/many-3.0.jar", jar("x", "y"), "pkg:generic/many@3.0", id="holds several"),
        pytest.param("opt/lib/broken-1.jar", b"no zip", "pkg:generic/broken@1", id="no zip"),
    ],
)
def test_a_jar(path: str, content: bytes, purl: str) -> None:
    assert jar_component(path, content).as_json()["purl"] == purl


def test_a_document_has_each_component_once_and_is_always_the_same() -> None:
    parts = [Component(name=name, version="1").as_json() for name in ("b", "a", "b")]
    made = document(parts, name="forgeline/x", version="1", time=0)
    assert made == document(parts[::-1], name="forgeline/x", version="1", time=0)
    read = json.loads(made)
    assert [one["name"] for one in read["components"]] == ["a", "b"]
    assert read["metadata"]["component"]["type"] == "container"
    assert read["metadata"]["timestamp"] == "1970-01-01T00:00:00Z"
