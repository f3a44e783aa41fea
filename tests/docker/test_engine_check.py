"""What the doctor says of a real engine, and of what stands in the profile's way on its machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.types import IPAMConfig, IPAMPool

from infra.clients.container_engine import ContainerEngine
from infra.core.settings import Settings, load_settings
from infra.operations.check import Check, Verdict
from infra.operations.disk import GIB
from infra.operations.docker_profile import references
from infra.operations.engine_check import examine_engine
from tests.trial import free_ports

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("tests.docker.test_kind")]


def settings(folder: Path, *, subnet: str = "172.31.241.0/24", memory_gib: int = 8) -> Settings:
    gitlab, nexus, openbao = free_ports(3)
    profile = folder / "checked.yaml"
    profile.write_text(
        "name: checked\nplacement: docker\naddress: 127.0.0.1\n"
        f"network: {{subnet: {subnet}}}\n"
        f"ports: {{gitlab: {gitlab}, nexus: {nexus}, openbao: {openbao}}}\n"
        f"memory_gib: {memory_gib}\n"
        "environment_port_offsets: {dev: 10000}\n"
    )
    return load_settings({"FORGELINE_PROFILE": str(profile), "FORGELINE_STATE": str(folder / "state")})


def checks(host: str, given: Settings, images: tuple[str, ...] = ()) -> dict[str, Check]:
    return {check.name: check for check in examine_engine(given, {"DOCKER_HOST": host}, images)}


@pytest.fixture
def other_network(engine: ContainerEngine) -> Iterator[str]:
    """The subnet of a network that is not the profile's."""
    pool = IPAMConfig(pool_configs=[IPAMPool(subnet="172.31.242.0/25")])
    network = engine.client.networks.create("another-teams", ipam=pool)
    yield "172.31.242.0/25"
    network.remove()


def test_an_engine_with_room_is_fine(host: str, engine: ContainerEngine, tmp_path: Path) -> None:
    found = checks(host, settings(tmp_path))
    assert engine.version in found["container engine"].found
    assert {check.verdict for check in found.values()} == {Verdict.FINE}, found


def test_no_engine_is_the_only_thing_told(tmp_path: Path) -> None:
    profile = settings(tmp_path)
    (only,) = examine_engine(profile, {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}, references(profile))
    assert only.verdict is Verdict.MISSING
    assert "DOCKER_HOST" in only.fix


def test_images_that_are_missing_are_built_on_the_way(host: str, tmp_path: Path) -> None:
    check = checks(host, settings(tmp_path), ("forgeline/never:1",))["images"]
    assert check.verdict is Verdict.FINE
    assert "`forgeline up` builds forgeline/never:1" in check.found


def test_a_port_that_another_has_is_told_with_its_setting(host: str, tmp_path: Path) -> None:
    given = settings(tmp_path)
    port = given.profile.ports.nexus
    with socket.create_server(("127.0.0.1", port)):
        found = checks(host, given)
    check = found[f"port {port} (nexus)"]
    assert check.verdict is Verdict.MISSING
    assert "ports.nexus" in check.fix
    assert str(given.profile_file) in check.fix
    assert found[f"port {given.profile.ports.gitlab} (gitlab)"].verdict is Verdict.FINE


def test_a_network_that_overlaps_is_named(host: str, tmp_path: Path, other_network: str) -> None:
    check = checks(host, settings(tmp_path, subnet="172.31.242.0/24"))["network"]
    assert check.verdict is Verdict.MISSING
    assert other_network in check.found
    assert "another-teams" in check.found
    assert "network.subnet" in check.fix
    assert checks(host, settings(tmp_path, subnet="172.31.241.0/24"))["network"].verdict is Verdict.FINE


def test_limits_for_more_memory_than_there_is_are_a_warning(
    host: str, engine: ContainerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del engine
    assert checks(host, settings(tmp_path, memory_gib=8))["memory"].verdict is Verdict.FINE
    monkeypatch.setattr("infra.operations.engine_check.GIB", GIB * 8)
    check = checks(host, settings(tmp_path, memory_gib=8))["memory"]
    assert check.verdict is Verdict.WARNING
    assert "memory_gib" in check.fix
