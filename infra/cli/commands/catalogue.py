"""`forgeline pipelines schema`: what a catalogue file may say, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from infra.cli.app import App, pass_app
from pipelines.catalogue import catalogue_schema


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it here instead of the screen.")
@pass_app
def schema(app: App, out: Path | None) -> None:
    """Print the JSON Schema of a catalogue file, for an editor that checks and completes."""
    text = json.dumps(catalogue_schema(), indent=2) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    app.err.print(f"The schema is in {out}.")
