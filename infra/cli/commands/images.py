"""`forgeline images`: the servers' container images, built from package mirrors, or pinned in a registry."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem
from rich.table import Table
from rich.text import Text

from infra.cli.app import App, json_option, pass_app
from infra.images.official import SERVERS, as_json
from infra.images.recipe import recipes
from infra.operations.image_pin import ask, write
from infra.operations.images import Images, ImageView, State

MARKS = {State.BUILT: ("✓", "green"), State.READY: ("·", "yellow"), State.MISSING: ("·", "dim")}


class Name(click.ParamType[str]):
    """One of some names, completed by the shell; whether there is such a one, the operation says."""

    def __init__(self, name: str, known: Callable[[], Iterable[str]]) -> None:
        self.name = name
        self._known = known

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """The names that begin so."""
        return [CompletionItem(name) for name in self._known() if name.startswith(incomplete)]


IMAGE = Name("name", lambda: (recipe.name for recipe in recipes()))
SERVER = Name("server", lambda: SERVERS)


@click.group()
def images() -> None:
    """The servers' container images: built here from package mirrors, or the vendors' own, pinned by digest."""


@images.command()
@click.option("--only", "names", type=IMAGE, multiple=True, help="Only this image, with its base; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Show what would be built and of what, and change nothing.")
@click.option("--upgrade", is_flag=True, help="Take Debian's packages anew from the mirror, with their corrections.")
@json_option
@pass_app
def build(app: App, names: tuple[str, ...], dry_run: bool, upgrade: bool) -> None:
    """Build what is missing of the images, and give it to the container engine.

    What is there is kept: run again, it builds nothing, and a run that was stopped is finished. Each image has a bill
    of materials (CycloneDX) in the cache, and its checksum as a label.
    """
    work = Images(app.settings, os.environ)
    views = work.plan(names) if dry_run else work.build(names, app.display, upgrade=upgrade)
    if app.as_json:
        app.print_json([view.as_json() for view in views])
    elif dry_run:
        app.out.print(layers_table(views, upgrade=upgrade))
    else:
        app.out.print(table(views))


@images.command("list")
@json_option
@pass_app
def list_(app: App) -> None:
    """Show each image: what it is, its name, its size, and whether the container engine has it."""
    views = Images(app.settings, os.environ).show()
    if app.as_json:
        app.print_json([view.as_json() for view in views])
    else:
        app.out.print(table(views))


@images.command()
@click.option("--only", "servers", type=SERVER, multiple=True, help="Only this server's image; may be repeated.")
@click.option("--version", help="Another version than the file has; of one server.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@json_option
@pass_app
def pin(app: App, servers: tuple[str, ...], version: str | None, dry_run: bool) -> None:
    """Ask the profile's registry which images the official versions are, and write their digests down.

    The file is written beside the profile: NAME.pins.yaml. `forgeline up` then runs exactly these images.
    """
    pinning = ask(app.settings, os.environ, app.display, servers=servers, version=version)
    written = False if dry_run else write(pinning)
    if app.as_json:
        pinned = [as_json(server, pinning.pins.images[server]) for server in SERVERS]
        app.print_json({"file": str(pinning.file), "written": written, "changed": pinning.changed, "images": pinned})
        return
    if pinning.changed:
        app.out.print(Text(pinning.diff))
    told = "written" if written else "not written" if pinning.changed else "nothing to change"
    app.out.print(f"{pinning.file}: {told}", highlight=False)


def table(views: list[ImageView]) -> Table:
    """The images, one a line."""
    grid = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("", "image", "size", "state", "what it is"):
        grid.add_column(heading, justify="right" if heading == "size" else "left")
    for view in views:
        told = view.as_json()
        mark, style = MARKS[view.state]
        size = f"{view.size / 1e6:.0f} MB" if view.size else ""
        grid.add_row(Text(mark, style), str(told["reference"]), size, str(view.state), str(told["title"]))
    return grid


def layers_table(views: list[ImageView], *, upgrade: bool) -> Table:
    """Each image's layers: what of them is there, and of what the others would be made."""
    grid = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for view in views:
        grid.add_row(Text(view.plan.recipe.name, "bold"), "", view.plan.recipe.title)
        for one in view.plan.layers:
            anew = one.layer is None or (upgrade and one.upgradable)
            state = Text("to be built", "yellow") if anew else Text("there already", "dim")
            grid.add_row(f"  {one.part.name}", state, one.told)
    return grid
