"""What every command is given: settings on demand, where to print, and the one error boundary."""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape

from infra.cli.display import Display
from infra.core.error import ExitCode, ForgelineError
from infra.core.settings import Settings, load_settings

if TYPE_CHECKING:
    from infra.operations.work import Work
    from pipelines.catalogue import Catalogue
    from pipelines.template import Templates


@dataclass
class App:
    """The state of one invocation. `as_json` makes commands print one JSON document on standard output."""

    profile: str | None
    as_json: bool
    out: Console = field(default_factory=lambda: _console(sys.stdout.isatty(), stderr=False))
    err: Console = field(default_factory=lambda: _console(sys.stderr.isatty(), stderr=True))

    @cached_property
    def settings(self) -> Settings:
        """The settings of the chosen profile; read once, when first needed."""
        return load_settings(os.environ, profile=self.profile)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The catalogue that the settings name; read once, when first needed."""
        from pipelines.catalogue import Catalogue

        return Catalogue.of(self.settings)

    @cached_property
    def templates(self) -> Templates:
        """The pipelines' templates that the settings name."""
        from pipelines.template import Templates

        return Templates(self.settings.templates)

    @cached_property
    def display(self) -> Display:
        """Where progress goes; silent with `--json`."""
        return Display(self.err, quiet=self.as_json)

    def work(self) -> Work:
        """The work of a command that changes the stack."""
        from infra.operations.work import Work

        return Work(self.settings, self.catalogue, os.environ, self.display)

    @property
    def program(self) -> str:
        """What to type to run this program from here: its name where the PATH has it, else its path."""
        if shutil.which("forgeline"):
            return "forgeline"
        program = Path(sys.executable).with_name("forgeline")
        here = Path.cwd()
        return str(program.relative_to(here)) if program.is_relative_to(here) else str(program)

    def print_json(self, data: Any) -> None:
        """Print `data` as one JSON document."""
        click.echo(json.dumps(data, indent=2, default=str))


pass_app = click.make_pass_decorator(App)


def _set_as_json(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        context.ensure_object(App).as_json = True


json_option = click.option(
    "--json", is_flag=True, expose_value=False, callback=_set_as_json, help="As `forgeline --json`: one JSON document."
)
"""For commands whose output is read by programs as often as by people: `--json` may also stand at the end."""


def _set_profile(context: click.Context, _parameter: click.Parameter, wanted: str | None) -> None:
    if wanted is not None:
        context.ensure_object(App).profile = wanted


profile_option = click.option(
    "--profile", metavar="NAME|FILE", expose_value=False, callback=_set_profile, help="As `forgeline --profile`."
)
"""For commands that people try on one profile after the other: `--profile` may also stand at the end."""


def at_a_terminal() -> bool:
    """Whether somebody is there who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def run(command: click.Command, argv: list[str]) -> int:
    """Run the command line and return its exit code; every error is shown here and nowhere else."""
    try:
        result = command.main(args=argv, prog_name="forgeline", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _interrupted()
    except click.ClickException as error:
        error.show()
        return ExitCode.BAD_INPUT
    except ForgelineError as error:
        show_error(_console(sys.stderr.isatty(), stderr=True), error)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output went away (`forgeline … | head`): nothing to tell anybody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FINE
    except Exception:  # noqa: BLE001 - the boundary: what arrives here is a bug, and is said to be one
        traceback.print_exc()
        click.echo("This is a bug in Forgeline. Please report it with the lines above.", err=True)
        return ExitCode.BUG
    return result if isinstance(result, int) else ExitCode.FINE


def show_error(console: Console, error: ForgelineError) -> None:
    """Print what is wrong, where, the detail, and how to mend it."""
    where = f"{escape(error.where)}: " if error.where else ""
    console.print(f"[bold red]error:[/] {where}{escape(error.what)}", soft_wrap=True)
    for line in error.detail.splitlines():
        console.print(f"  {escape(line)}", style="dim", soft_wrap=True)
    if error.fix:
        console.print(f"[bold]fix:[/] {escape(error.fix)}", soft_wrap=True)


def _console(terminal: bool, *, stderr: bool) -> Console:
    """A console as wide as the terminal; in a file or a job's log, wide enough for every table."""
    return Console(stderr=stderr, highlight=False, width=None if terminal else 200)


def _interrupted() -> int:
    click.echo("\nStopped. Nothing is lost: the same command goes on from here.", err=True)
    return ExitCode.INTERRUPTED
