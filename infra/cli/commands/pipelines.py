"""`forgeline pipelines`: render, check, run, release and roll out pipelines."""

from __future__ import annotations

import click

from infra.cli.commands import Commands, Place

COMMANDS = {
    "render": Place("proof", "Print one service's pipeline, or write all of them into a folder."),
    "check": Place("proof", "Prove the pipelines of all services, or anybody's .gitlab-ci.yml."),
    "explain": Place("proof", "Say which jobs of a service run when, why, and what they wait for."),
    "diff": Place("proof", "Say what this checkout changes for each service."),
    "schema": Place("catalogue", "Print the JSON Schema of a catalogue file, for editors."),
    "run": Place("run", "Start pipelines, and with --wait follow them live."),
    "release": Place("rollout", "Prove the rendered pipelines and publish them as a protected tag."),
    "rollout": Place("rollout", "Bring services to a published release, wave by wave."),
    "drift": Place("rollout", "Say how each service's pipeline differs from what this checkout makes."),
}


@click.group(cls=Commands, places=COMMANDS)
def pipelines() -> None:
    """Render, check, run, release and roll out the services' pipelines."""
