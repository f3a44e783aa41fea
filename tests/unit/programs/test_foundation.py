"""The order of the servers."""

from __future__ import annotations

import pytest

from infra.core.server import Probe, Readiness, Server
from infra.programs.foundation import _begins_with, _in_order


def _server(name: str, *needs: str) -> Server:
    readiness = Readiness(probe=Probe.HTTP, url="http://127.0.0.1:1")
    return Server(
        name=name, version="1", command=("true",), working_folder="/", needs=needs, readiness=readiness, log="/l"
    )


def test_each_comes_after_those_it_needs_and_openbao_first() -> None:
    given = (_server("runner", "gitlab"), _server("nexus"), _server("gitlab", "openbao"), _server("openbao"))
    order = [server.name for server in _in_order(given)]
    assert order[0] == "openbao"
    assert order.index("gitlab") < order.index("runner")


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="need each other"):
        _in_order((_server("a", "b"), _server("b", "a")))


def test_a_server_that_only_waits_with_a_secret_may_start_before_it_is_there() -> None:
    assert not _begins_with(_server("nexus"), "platform/nexus-admin")
