"""Each service answers in dev, with the version that is deployed there."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from infra.core.settings import Settings, load_settings
from pipelines.catalogue import Catalogue, Service
from tests.host.conftest import Ask


@pytest.mark.parametrize("service", list(Catalogue.of(load_settings(os.environ))), ids=lambda service: service.name)
def check_service_is_healthy_in_dev(service: Service, settings: Settings, anybody: Ask) -> None:
    url = f"http://{settings.profile.address}:{settings.service_port(service.port, 'dev')}"
    try:
        health = anybody(f"{url}/health")
    except httpx.TransportError as error:
        pytest.fail(f"{url}/health does not answer ({type(error).__name__})", pytrace=False)
    assert health.status_code == 200, f"{url}/health answers {health.status_code}"
    deployed = Path(settings.deployments("dev") / service.name / "current").resolve().name
    served = anybody(f"{url}/version").json()["version"]
    assert served == deployed, f"{url} serves {served}, deployed is {deployed}"
