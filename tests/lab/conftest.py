"""The stack that the lab tests share: brought up once, its ten pipelines run once, broken by the last test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.clients.gitlab import GitLab
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.operations.status import gitlab_client
from pipelines.catalogue import load_catalogue
from tests.trial import Stack
from tests.trial import stack as new_stack

HERE = Path(__file__).parent

OWN = ("onboarding", "test_existing.py", "test_faults.py")
"""What stands up stacks of its own."""

LATE = ("test_merge_request.py", "test_release.py", "test_rollout.py", "test_waves.py", "test_verify.py")
"""What deploys other versions than the shared runs did; and last what leaves the stack broken."""


@pytest.hookimpl(tryfirst=True)  # before workers look at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that change the shared stack come after those that look at it, and all of them in one worker."""
    items.sort(key=lambda item: LATE.index(item.path.name) if item.path.name in LATE else -1)
    for item in items:
        if item.path.is_relative_to(HERE):
            place = item.path.relative_to(HERE).parts[0]
            item.add_marker(pytest.mark.xdist_group(place if place in OWN else "stack"))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A stack after its first `up`, from an empty state folder."""
    with new_stack() as made:
        assert made.json("up")["changed"]
        yield made


@pytest.fixture(scope="session")
def calm(stack: Stack, gitlab: GitLab) -> Stack:
    """The stack, with the pipelines that `up` started cancelled: tests start the same jobs again."""
    for service in load_catalogue():
        for pipeline in gitlab.project(service.project).pipelines.list(get_all=True):
            pipeline.cancel()
    return stack


@pytest.fixture(scope="session")
def runs(calm: Stack) -> dict[str, Any]:
    """The ten pipelines that `pipelines run --all --wait` started, by service."""
    return {run["service"]: run for run in calm.json("pipelines", "run", "--all", "--wait")}


@pytest.fixture(scope="session")
def openbao(stack: Stack) -> Iterator[OpenBao]:
    """OpenBao, as the operator."""
    client = OpenBao.of(stack.settings)
    yield client
    client.close()


@pytest.fixture(scope="session")
def gitlab(stack: Stack, openbao: OpenBao) -> GitLab:
    """GitLab, as the administrator."""
    return gitlab_client(stack.settings, openbao)


@pytest.fixture(scope="session")
def nexus(stack: Stack, openbao: OpenBao) -> Iterator[NexusClient]:
    """Nexus, as the administrator."""
    client = NexusClient.of(stack.settings, openbao)
    yield client
    client.close()
