from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from infra.core.error import ToolError
from infra.toolchain import source as module
from infra.toolchain.command import Commands
from infra.toolchain.pin import FOLDER, GoPin, MavenPin, WheelPin
from infra.toolchain.source import GoBuild, MavenArtifact, Order, PythonWheel, Workshop, go_environment

MAVEN = MavenPin(kind="maven", group="org.example", artifact="server", sha256="0" * 64, root="server-1.0")
IN_REPOSITORY = "org/example/server/1.0/server-1.0.zip"


@pytest.fixture
def said():
    return []


@pytest.fixture
def order(tmp_path, said):
    (tmp_path / "work" / "tool").mkdir(parents=True)
    return Order(
        name="tool", version="1.0", into=tmp_path / "work" / "tool", scratch=tmp_path / "work", say=said.append
    )


def workshop(tmp_path, *, path="", program=None, address=None):
    def none(name):
        raise ToolError(f"no {name} here")

    return Workshop(
        cache=tmp_path / "cache",
        environ={"PATH": f"{path}:{os.defpath}" if path else str(tmp_path / "nothing")},
        commands=Commands(),
        program=program or none,
        maven_address=address,
    )


def script(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def server_zip(tmp_path, checksum):
    file = tmp_path / "server.zip"
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("server-1.0/bin/server", "run")
    return file, MAVEN.model_copy(update={"sha256": checksum(file.read_bytes())})


def test_maven_fetches_into_a_repository_of_its_own(tmp_path, order, said, server_zip):
    file, pin = server_zip
    script(
        tmp_path / "bin" / "mvn",
        f'for a in "$@"; do case $a in -Dmaven.repo.local=*) R=${{a#*=}};; esac; done\n'
        f'echo "$@" > {tmp_path}/asked; mkdir -p $R/$(dirname {IN_REPOSITORY}); cp {file} $R/{IN_REPOSITORY}',
    )
    MavenArtifact(pin).install(order, workshop(tmp_path, path=tmp_path / "bin"))
    assert (order.into / "bin" / "server").read_text() == "run"
    assert "-Dartifact=org.example:server:1.0:zip -Dtransitive=false" in (tmp_path / "asked").read_text()
    assert said == ["downloading server 1.0 with mvn"]


def test_without_maven_the_address_of_the_settings_serves(tmp_path, order, site, server_zip):
    file, pin = server_zip
    site.files[f"/m/{IN_REPOSITORY}"] = file.read_bytes()
    MavenArtifact(pin).install(order, workshop(tmp_path, address=f"{site.address}/m/"))
    assert (order.into / "bin" / "server").read_text() == "run"


def test_without_either_the_resolver_serves(tmp_path, order, server_zip):
    file, pin = server_zip
    package = tmp_path / "packages" / "jgo"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "maven.py").write_text(
        f"""
import pathlib, shutil
class MavenContext:
    def __init__(self, repo_cache): self.folder = pathlib.Path(repo_cache)
    def project(self, group, artifact): assert (group, artifact) == ("org.example", "server"); return self
    def at_version(self, version): assert version == "1.0"; return self
    def artifact(self, packaging): assert packaging == "zip"; return self
    def resolve(self):
        to = self.folder / {IN_REPOSITORY!r}
        to.parent.mkdir(parents=True)
        shutil.copy({str(file)!r}, to)
"""
    )
    MavenArtifact(pin).install(order, workshop(tmp_path, program=lambda _: package / "__init__.py"))
    assert (order.into / "bin" / "server").read_text() == "run"


def test_an_artifact_with_another_checksum_is_refused(tmp_path, order, site, server_zip):
    site.files[f"/{IN_REPOSITORY}"] = b"other"
    with pytest.raises(ToolError) as caught:
        MavenArtifact(server_zip[1]).install(order, workshop(tmp_path, address=site.address))
    assert "has the checksum" in caught.value.detail
    assert "there is no mvn" in caught.value.detail
    assert "no maven-resolver here" in caught.value.detail


@pytest.fixture
def wheel_house(tmp_path, monkeypatch, checksum):
    """A folder that pip looks in, and nowhere else."""
    folder = tmp_path / "house"
    folder.mkdir()
    file = folder / "carrier-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("carrier/bin/run", "run")
        out.writestr("carrier-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
        out.writestr("carrier-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        out.writestr("carrier-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return WheelPin(
        kind="wheel", package="carrier", version="1.0", sha256=[checksum(file.read_bytes())], root="carrier"
    )


def test_pip_downloads_by_hash(tmp_path, order, wheel_house):
    shop = Workshop(cache=tmp_path, environ=os.environ, commands=Commands(), program=Path)
    PythonWheel(wheel_house).install(order, shop)
    assert (order.into / "bin" / "run").read_text() == "run"


def test_a_wheel_with_another_hash_is_refused(tmp_path, order, wheel_house):
    shop = Workshop(cache=tmp_path, environ=os.environ, commands=Commands(), program=Path)
    with pytest.raises(ToolError) as caught:
        PythonWheel(wheel_house.model_copy(update={"sha256": ["0" * 64]})).install(order, shop)
    assert "DO NOT MATCH THE HASHES" in caught.value.detail


def test_a_go_build_is_fetched_then_built_without_a_home(tmp_path, order, said):
    go = script(
        tmp_path / "go" / "go",
        f'echo "$@" >> {tmp_path}/asked; env > {tmp_path}/environ\n'
        'while [ $# -gt 0 ]; do [ "$1" = -o ] && mkdir -p $(dirname $2) && echo built > $2; shift; done',
    )
    pin = GoPin(kind="go", program="tools", package="example/x", output="x", ldflags="-X v={version}")
    GoBuild(pin).install(order, workshop(tmp_path, path=tmp_path / "none", program=lambda _: go))
    assert (order.into / "bin" / "x").read_text() == "built\n"
    fetched, built = (tmp_path / "asked").read_text().splitlines()
    assert fetched == "list -deps -mod=readonly example/x"
    assert built.startswith("build -mod=readonly -trimpath -buildvcs=false -ldflags -s -w -X v=1.0 -o ")
    assert said == ["downloading Go packages", "building from Go packages"]
    environ = (tmp_path / "environ").read_text()
    for line in (f"GOCACHE={tmp_path}/cache/go/build", f"GOPATH={tmp_path}/cache/go", "GOTOOLCHAIN=local", "HOME="):
        assert line in environ


def test_the_environments_own_go_caches_stay():
    environ = go_environment({"GOPATH": "/g", "GOCACHE": "/c", "HOME": "/h", "GOPROXY": "p"}, Path("/cache"))
    assert (environ["GOPATH"], environ["GOCACHE"], environ["HOME"], environ["GOPROXY"]) == ("/g", "/c", "/h", "p")


@pytest.mark.parametrize("arguments", [[], ["other"], ["fetch", "group"]])
def test_the_resolver_program_refuses_other_commands(arguments, tmp_path):
    (tmp_path / "jgo").mkdir()
    (tmp_path / "jgo" / "__init__.py").write_text("")
    (tmp_path / "jgo" / "maven.py").write_text("MavenContext = None")
    program = [sys.executable, str(FOLDER / "resolve_maven.py"), *arguments]
    with pytest.raises(ToolError, match="exit code 2"):
        Commands().run(program, environ={"PYTHONPATH": str(tmp_path)}, log=tmp_path / "log", timeout=10)


def test_every_kind_of_pin_has_its_source():
    from infra.toolchain.pin import load_pins

    for tool in load_pins().tools.values():
        for pin in tool.sources:
            assert module.source_for(pin).label
