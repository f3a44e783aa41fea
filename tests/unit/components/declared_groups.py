"""Prints what the platform's groups declare, as JSON, in a process of its own as `declared.py` does."""

from __future__ import annotations

import asyncio
import json

import pulumi
from pulumi.runtime.stack import run_pulumi_func

from infra.components.group import Groups, GroupsConfig
from tests.unit.components.declared import Recorder


def main() -> None:
    recorder, loop = Recorder(), asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    pulumi.runtime.set_mocks(recorder, preview=False)
    config = GroupsConfig(variables={}, teams={"risk": ("alice", "bob"), "operations": ()})
    loop.run_until_complete(run_pulumi_func(lambda: Groups("groups", config)))
    print(json.dumps(recorder.made))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main()
