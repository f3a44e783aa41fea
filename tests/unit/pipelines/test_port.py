"""Ports of services in their environments."""

from __future__ import annotations

import pytest

from infra.core.error import BadInputError
from infra.core.settings import Profile, load_settings
from pipelines.catalogue import load_catalogue
from pipelines.port import check_ports

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
