"""The plain Pulumi command on the same stacks."""

from __future__ import annotations

from typing import Any

import pytest

from infra.core.error import ExitCode
from tests.trial import Stack

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("name", ["platform", "service-settlement"])
def test_the_plain_command_finds_nothing_to_change(name: str, stack: Stack, runs: dict[str, Any]) -> None:
    shown = stack.run("pulumi", "preview", "--stack", name, "--expect-no-changes").stdout
    assert "unchanged" in shown


def test_a_stack_must_be_named(stack: Stack) -> None:
    assert "say --stack" in stack.run("pulumi", "preview", expect=ExitCode.BAD_INPUT).stderr
