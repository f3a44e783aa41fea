"""Prints what a service declares, as JSON; an argument is a JSON object of other inputs.

In a process of its own: the SDK's mocks leave event loops behind.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import Any

import pulumi
from pulumi.runtime import Mocks
from pulumi.runtime.stack import run_pulumi_func

from infra.programs.gate import OPEN
from infra.programs.service import Service, build


class Recorder(Mocks):
    """Keeps every registration, in the order in which their inputs were known."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, dict[str, Any]]] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.made.append((args.typ.removeprefix("forgeline:"), args.name, args.inputs))
        return args.name, {**args.inputs, "project_id": 42}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)


def main() -> None:
    recorder, loop = Recorder(), asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    pulumi.runtime.set_mocks(recorder, preview=False)
    inputs = Service(
        name="alpha",
        repository="trading/alpha",
        description="d",
        pipeline_place="alpha.yml@platform/pipelines:v1.2.3",
        nightly="7 2 * * *",
        openbao_url="http://bao",
        seed={"a": "b"},
        owners={"risk": "teams/risk", "operations": "teams/operations"},
    )
    changes = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    inputs = replace(inputs, **changes)
    loop.run_until_complete(run_pulumi_func(lambda: build(inputs, OPEN)))
    print(json.dumps(recorder.made))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main()
