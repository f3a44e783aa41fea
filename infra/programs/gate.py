"""Gates between stacks that run side by side: a service's resources wait here for the part of the platform they need.

The platform's GitLab and OpenBao parts are done long before its Nexus part, for Nexus takes longest to start.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TypeVar

import pulumi

from infra.core.error import StackError

IDENTITY = "identity"
"""GitLab's groups and pipeline release, OpenBao's mounts and policies are there."""

ARTIFACTS = "artifacts"
"""Nexus's repositories are there."""


Value = TypeVar("Value")


class GateShutError(StackError):
    """What was waited for did not come about; its own error says why."""


class Gate:
    """Opens once; or is shut for good when what it stands for failed."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.failure = ""
        """Why it was shut; nothing unless it was."""

    def open(self) -> None:
        """Lets everyone through."""
        self._event.set()

    def shut(self, reason: str) -> None:
        """Those who wait, and those who come, get a StackError; a gate that is open stays open."""
        if not self._event.is_set():
            self.failure = reason
            self._event.set()

    @property
    def is_open(self) -> bool:
        """Whether one may go through."""
        return self._event.is_set() and not self.failure

    def wait(self) -> None:
        """Returns when the gate is open. Raises StackError when it was shut."""
        self._event.wait()
        if self.failure:
            raise GateShutError(self.failure, fix="mend that first, then run `forgeline up` again")


class Gates:
    """The gates of one run."""

    def __init__(self, *, opened: bool = False) -> None:
        self._gates = {IDENTITY: Gate(), ARTIFACTS: Gate()}
        if opened:
            for gate in self._gates.values():
                gate.open()

    def __getitem__(self, name: str) -> Gate:
        return self._gates[name]

    def open_after(self, name: str, resources: list[pulumi.Resource]) -> None:
        """Opens the gate as soon as all of the resources are there (in a preview: never, and nobody waits)."""
        gate = self._gates[name]
        if pulumi.runtime.is_dry_run():
            gate.open()
            return
        pulumi.Output.all(*[resource.urn for resource in resources], *[_made(item) for item in resources]).apply(
            lambda _: gate.open()
        )

    def hold(self, name: str, value: Value) -> pulumi.Output[Value]:
        """The value, as soon as the gate is open: what is made of it waits until then."""
        gate = self._gates[name]
        if gate.is_open:
            return pulumi.Output.from_input(value)
        waiting: pulumi.Output[None] = pulumi.Output.from_input(asyncio.to_thread(gate.wait))
        return waiting.apply(lambda _: value)

    @property
    def failure(self) -> str:
        """Why a gate was shut; nothing while all of them are open or may still open."""
        return next((gate.failure for gate in self._gates.values() if gate.failure), "")

    def shut(self, reason: str) -> None:
        """Shuts every gate that is not open yet."""
        for gate in self._gates.values():
            gate.shut(reason)


def _made(resource: pulumi.Resource) -> pulumi.Output[str]:
    return resource.id if isinstance(resource, pulumi.CustomResource) else resource.urn


OPEN = Gates(opened=True)
"""For a stack that is run alone: everything it needs is taken to be there."""
