"""OpenBao through its client, on a real server: first start, secrets, any path, errors."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from infra.clients.bootstrap import ensure_key
from infra.clients.openbao import OpenBao, RefusedError
from infra.clients.process import Processes
from infra.clients.request import writes
from infra.core.error import ServerError
from infra.core.naming import KV_MOUNT
from infra.core.secret import DerivedSecret, SecretRef
from infra.core.server import Credential
from infra.core.settings import Settings, load_settings
from infra.servers import openbao as server
from infra.servers.machine import this_machine
from infra.toolchain.toolchain import Toolchain
from tests.trial import free_ports

Log = list[tuple[str, str, int]]

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group(__name__)]


@pytest.fixture(scope="module")
def seen() -> Log:
    """The requests that were made."""
    return []


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("openbao")
    names = ("gitlab", "openbao", "openbao_cluster", "nexus")
    ports = ", ".join(f"{name}: {port}" for name, port in zip(names, free_ports(4), strict=True))
    profile = folder / "trial.yaml"
    profile.write_text(f"name: trial\nports: {{{ports}}}\nenvironment_port_offsets: {{dev: 10000}}\n")
    return load_settings({**os.environ, "FORGELINE_PROFILE": str(profile), "FORGELINE_STATE": str(folder / "state")})


@pytest.fixture(scope="module")
def processes(settings: Settings) -> Iterator[Processes]:
    tools = Toolchain.of(settings, os.environ).ensure(["openbao"])
    ensure_key(settings.bootstrap_key)
    made = Processes.of(settings)
    try:
        made.apply(server.describe(settings, this_machine(settings, {name: tool.path for name, tool in tools.items()})))
        yield made
    finally:
        made.supervisor.shutdown()


@pytest.fixture(scope="module")
def openbao(settings: Settings, processes: Processes, seen: Log) -> OpenBao:
    return OpenBao.of(settings, observe=lambda verb, path, status: seen.append((verb, path, status)))


def test_the_first_start_leaves_no_password_behind(openbao: OpenBao, settings: Settings) -> None:
    home = settings.data("openbao")
    assert not (home / "operator.password").exists()
    password = openbao.resolve(DerivedSecret("openbao-operator")).reveal()
    texts = [file.read_text(errors="replace") for file in home.glob("*") if file.is_file()]
    assert texts
    assert not any(password in text for text in texts)
    assert password not in (home / "audit" / "audit.log").read_text()


def test_credentials_are_generated_once(openbao: OpenBao, seen: Log) -> None:
    wanted = Credential(path="t/one", fixed={"username": "root"}, generated={"token": "glpat-"})
    assert openbao.ensure_generated(wanted) is True
    first = openbao.resolve(SecretRef("t/one", "token"))
    assert first.reveal().startswith("glpat-")
    seen.clear()
    assert openbao.ensure_generated(wanted) is False
    assert [request for request in seen if writes(*request[:2])] == []
    more = Credential(path="t/one", fixed={"username": "root"}, generated={"token": "glpat-", "password": ""})
    assert openbao.ensure_generated(more) is True
    assert openbao.resolve(SecretRef("t/one", "token")) == first
    assert set(openbao.read_kv("t/one") or {}) == {"username", "token", "password"}


def test_a_deleted_entry_is_generated_anew(openbao: OpenBao) -> None:
    wanted = Credential(path="t/two", generated={"password": ""})
    openbao.ensure_generated(wanted)
    openbao.delete(f"{KV_MOUNT}/data/t/two")
    assert openbao.read_kv("t/two") is None
    assert openbao.ensure_generated(wanted) is True
    openbao.delete_kv("t/two")
    assert openbao.read_kv("t/two") is None


def test_any_path_is_written_read_listed_and_deleted(openbao: OpenBao) -> None:
    openbao.write("sys/policies/acl/t", {"policy": 'path "a" { capabilities = ["read"] }'})
    assert (openbao.read("sys/policies/acl/t") or {})["name"] == "t"
    assert "t" in openbao.keys("sys/policies/acl")
    openbao.delete("sys/policies/acl/t")
    openbao.delete("sys/policies/acl/t")
    assert openbao.read("sys/policies/acl/t") is None
    assert openbao.keys("forgeline/metadata/nothing") == []


def test_it_writes_requests_down(openbao: OpenBao) -> None:
    assert [device["type"] for device in openbao.audit_devices().values()] == ["file"]
    assert f"{KV_MOUNT}/" in openbao.mounts()
    assert "userpass/" in openbao.auth_methods()


def test_what_is_not_there_is_told(openbao: OpenBao) -> None:
    with pytest.raises(ServerError, match="openbao:t/none#x: there is no such secret"):
        openbao.resolve(SecretRef("t/none", "x"))
    with pytest.raises(ServerError, match="plugin not found"):
        openbao.write("sys/mounts/t", {"type": "nonsense"})


def test_another_key_is_refused_without_showing_it(openbao: OpenBao, settings: Settings) -> None:
    stranger = OpenBao(settings.openbao_url, key=lambda: b"z" * 32)
    with pytest.raises(RefusedError, match=r"another bootstrap\.key") as caught:
        stranger.sign_in()
    assert caught.value.__cause__ is None


def test_nobody_there_is_told() -> None:
    nobody = OpenBao("http://127.0.0.1:1", key=lambda: b"z" * 32)
    assert nobody.health() is None
    with pytest.raises(ServerError, match="does not answer"):
        nobody.read("sys/mounts")
