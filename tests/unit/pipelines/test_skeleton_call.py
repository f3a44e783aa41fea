"""The ten services, built and run side by side: they call each other, as the checks of their repositories say."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.core.naming import dependency_variable
from infra.operations.integration import Check, Outcome, read_checks, run_checks
from pipelines.catalogue import Service, load_catalogue
from tests.service_process import ServiceProcess, build, running
from tests.trial import free_ports

pytestmark = pytest.mark.servers

CATALOGUE = load_catalogue()


class Fleet:
    """The ten, as one environment has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(CATALOGUE.services, free_ports(len(CATALOGUE)), strict=True))
        self.commands = {service.name: build(service, folder / service.name) for service in CATALOGUE}
        self.processes: dict[str, ServiceProcess] = {}
        self._stack = ExitStack()

    def start(self, name: str) -> None:
        """The service; the others need not be there."""
        variables = {dependency_variable(other): self.url(other) for other in CATALOGUE.service(name).dependencies}
        process = running(name, self.commands[name], self.folder / name, self.ports[name], variables)
        self.processes[name] = self._stack.enter_context(process)

    def stop(self, name: str) -> None:
        process = self.processes.pop(name).process
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0

    def close(self) -> None:
        self._stack.close()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def checks(self, service: Service) -> list[Check]:
        return read_checks(self.folder / service.name / "integration" / "checks.json")

    def outcomes(self, name: str, *, patience: float = 10) -> list[Outcome]:
        """Of the checks of the service's repository, made as its pipeline does."""
        service = CATALOGUE.service(name)
        dependencies = {other: self.url(other) for other in service.dependencies}
        return list(run_checks(self.checks(service), self.url(name), dependencies, patience=patience))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        for name in CATALOGUE.services:
            fleet.start(name)
        yield fleet
    finally:
        fleet.close()


@pytest.mark.parametrize("service", list(CATALOGUE), ids=lambda service: service.name)
def test_a_service_passes_its_own_checks_again_and_again(fleet: Fleet, service: Service) -> None:
    for _ in range(2):
        assert [outcome for outcome in fleet.outcomes(service.name) if not outcome.is_fine] == []


@pytest.mark.parametrize("service", list(CATALOGUE), ids=lambda service: service.name)
def test_every_dependency_is_called_in_a_check(fleet: Fleet, service: Service) -> None:
    needed = {name for check in fleet.checks(service) if check.path != "/ready" for name in check.needs}
    assert needed == set(service.dependencies)


def test_one_id_goes_through_all_services_of_an_order(fleet: Fleet) -> None:
    (check,) = [check for check in fleet.checks(CATALOGUE.service("order-gateway")) if "risk approves" in check.name]
    body = json.dumps({**check.body, "id": "TRACED", "account": "TRACED"})
    status, answer, _ = fleet.processes["order-gateway"].exchange("/orders", body, {"X-Request-ID": "one-id-1"})
    assert (status, json.loads(answer)["state"]) == (200, "new")
    for name, path in (
        ("order-gateway", "/orders"),
        ("pre-trade-risk", "/orders/approve"),
        ("position-keeping", "/positions"),
        ("order-management", "/orders"),
        ("execution-router", "/orders/route"),
        ("market-data", "/quotes"),
    ):
        lines = fleet.processes[name].lines()
        assert [line["path"] for line in lines if line.get("request_id") == "one-id-1"] == [path], name


def test_a_service_that_is_not_there_is_no_fault_of_others(fleet: Fleet) -> None:
    fleet.stop("market-data")
    try:
        for service in CATALOGUE:
            if service.name == "market-data":
                continue
            outcomes = fleet.outcomes(service.name, patience=0)
            assert [outcome for outcome in outcomes if outcome.fault] == [], service.name
            assert {outcome.missing for outcome in outcomes} <= {"", "market-data"}
        status, answer = fleet.processes["execution-router"].call("/ready")
        assert (status, answer["status"]) == (503, "not ready")
        assert fleet.processes["execution-router"].call("/health")[0] == 200
    finally:
        fleet.start("market-data")
    assert fleet.processes["execution-router"].call("/ready")[0] == 200
