"""Many clients at once: every answer is a good one, and what was acknowledged is there. No timing is asserted here.

`make bench` measures the same traffic. LOAD_SECONDS says how long it goes on.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.embedded import ROOT_TOKEN, bootstrap, serving
from tests.likeness.audit import losses
from tests.likeness.traffic import Traffic

pytestmark = [pytest.mark.servers, pytest.mark.oracle("50 clients at once")]


def test_fifty_clients_at_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    bootstrap(data)
    with serving(data) as (_, url):
        traffic = Traffic(url=url, token=ROOT_TOKEN, folder=tmp_path)
        traffic.prepare()
        with traffic.running():
            time.sleep(float(os.environ.get("LOAD_SECONDS", "15")))
        ledger = traffic.ledger
        assert ledger.problems == []
        assert losses(traffic, data) == []
    for kind in (ledger.pushes, ledger.files, ledger.variables, ledger.traces, ledger.artifacts, ledger.results):
        assert kind, "the load did not do all that it is for"
    assert {job: runners for job, runners in ledger.handed.items() if len(runners) > 1} == {}
