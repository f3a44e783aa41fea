"""A server that is killed again and again under load: what it said yes to is there, and every job ends.

KILLS says how often; the moments are drawn by seed.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.embedded import ROOT_TOKEN, bootstrap, serving
from tests.likeness.audit import losses
from tests.likeness.traffic import Traffic
from tests.trial import free_ports

pytestmark = [pytest.mark.servers, pytest.mark.oracle("kill -9 under load")]


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    data = tmp_path / "data"
    bootstrap(data)
    (port,) = free_ports(1)
    chance = random.Random("moments of death")
    with serving(data, port) as (_, url):
        traffic = Traffic(url=url, token=ROOT_TOKEN, folder=tmp_path)
        traffic.prepare()
    with ExitStack() as survivor:
        with traffic.running():
            for _ in range(int(os.environ.get("KILLS", "6"))):
                with serving(data, port) as (process, _):
                    time.sleep(chance.uniform(0.05, 3))
                    process.kill()
            survivor.enter_context(serving(data, port))
            time.sleep(2)
        ledger = traffic.ledger
        assert ledger.problems == []
        assert losses(traffic, data) == []
    for kind in (ledger.pushes, ledger.files, ledger.variables, ledger.traces, ledger.artifacts, ledger.results):
        assert kind, "the load did not do all that it is for"
