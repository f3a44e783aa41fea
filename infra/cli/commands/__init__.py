"""The commands: each is loaded when it is called, so that `--help` and completion are quick."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True)
class Place:
    """Where a command is defined, and its line in the list."""

    module: str
    summary: str


COMMANDS = {
    "up": Place("stack", "Bring the whole stack up, or finish what an earlier run began."),
    "preview": Place("stack", "Show what `up` would do, and change nothing."),
    "status": Place("status", "Show servers, services and their last pipelines."),
    "credentials": Place("status", "Say who can sign in where, and where passwords are kept."),
    "verify": Place("verify", "Check everything that must be true of the running stack."),
    "services": Place("services", "Show the fleet: pipelines, versions, drift; bring boiler-plate up to date."),
    "service": Place("service", "Show one service in depth, and what to type next."),
    "pipelines": Place("pipelines", "Render, check, run, release and roll out pipelines."),
    "onboard": Place(
        "onboard", "Make a new service, or adopt a repository: project, pipeline, access, first pipeline."
    ),
    "offboard": Place("offboard", "Take a service out of work, and keep what it made."),
    "deploy": Place("deploy", "Bring a published version into an environment."),
    "gate": Place("gate", "Answer what the pipelines' jobs ask: licences, advisories, SBOM, approval, health."),
    "drift": Place("stack", "Show what was changed on the servers by hand."),
    "adopt": Place("adopt", "Take what is already on the servers into the state, without changing them."),
    "refresh": Place("stack", "Take what the servers have into the state."),
    "pulumi": Place("pulumi", "Run the plain Pulumi command on the stacks."),
    "doctor": Place("doctor", "Say what this machine lacks, and the remedy."),
    "tools": Place("tools", "Get the tools that are missing, and say where each comes from."),
    "runner": Place("runner", "Make this machine fit for the jobs of others' GitLab, and say how it is registered."),
    "images": Place("images", "Build the servers' container images, without an image registry."),
    "down": Place("stack", "Stop every process, keep the data."),
    "destroy": Place("stack", "Remove what Forgeline made."),
    "completion": Place("completion", "Print a completion script for the shell."),
}
"""In the order in which `--help` lists them."""


class Commands(click.Group):
    """A group of commands: all of them, or those at `places`."""

    def __init__(self, *args: Any, places: Mapping[str, Place] = COMMANDS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Their names."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """The command, loaded now."""
        place = self._places.get(cmd_name)
        if place is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"{__name__}.{place.module}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """The list for `--help`, without loading any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in self._places.items()])
