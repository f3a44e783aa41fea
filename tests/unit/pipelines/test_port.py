"""Ports of services in their environments."""

from __future__ import annotations

import pytest

from infra.core.error import BadInputError
from infra.core.settings import Profile, load_settings
from pipelines.catalogue import load_catalogue
from pipelines.port import check_ports, free_port

SERVERS = {"gitlab": 8929, "openbao": 8931, "openbao_cluster": 8932, "nexus": 8930}


def test_the_lab_has_a_port_for_everything() -> None:
    check_ports(load_catalogue(), load_settings({}, profile="lab").profile)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ({"dev": 10000, "test": 10001}, "would listen on 181[0-9]+, which is the port of .* in (dev|test)"),
        ({"dev": 824}, "would listen on 89[0-9]+, which is the port of the server"),
        ({"dev": 24660}, "would listen on 327[0-9]+, which is not from 1024 to 32767"),
        ({"dev": -8000}, "would listen on 1[0-9]+, which is not from 1024"),
    ],
    ids=["two environments", "a server", "the system", "too low"],
)
def test_a_port_that_clashes_is_told(offsets: dict[str, int], message: str) -> None:
    profile = Profile.model_validate({"name": "trial", "ports": SERVERS, "environment_port_offsets": offsets})
    with pytest.raises(BadInputError, match=message) as caught:
        check_ports(load_catalogue(), profile)
    assert "environment_port_offsets" in caught.value.fix


@pytest.mark.parametrize(
    ("offsets", "port"),
    [
        ({"dev": 10000, "test": 12000}, 8111),
        ({"dev": 10000, "test": 10010}, 8121),
        ({"dev": 818}, 8115),
    ],
    ids=["the next", "not another's in another environment", "not a server's"],
)
def test_the_next_free_port_is_free_everywhere(offsets: dict[str, int], port: int) -> None:
    profile = Profile.model_validate({"name": "trial", "ports": SERVERS, "environment_port_offsets": offsets})
    services = list(load_catalogue())
    assert free_port(services, profile) == port
    newcomer = services[0].model_copy(update={"name": "newcomer", "port": port})
    if offsets != {"dev": 10000, "test": 10010}:
        check_ports([*services, newcomer], profile)


def test_no_port_left_is_told() -> None:
    profile = Profile.model_validate(
        {"name": "trial", "ports": SERVERS, "environment_port_offsets": {"dev": 32767 - 8110}}
    )
    with pytest.raises(BadInputError, match="no port is left"):
        free_port(load_catalogue(), profile)
