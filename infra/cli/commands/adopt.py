"""`forgeline adopt`: what is already on the servers, taken into the state."""

from __future__ import annotations

import click
from rich.text import Text

from infra.cli.app import App, json_option, pass_app, profile_option
from infra.cli.service_name import SERVICE
from infra.core.candidate import Verdict
from infra.core.error import ExitCode
from infra.operations.adopt import Adopting, AdoptionResult
from infra.programs.plan import urn_name, urn_type

STYLES = {Verdict.EQUAL: "green", Verdict.DIFFERENT: "yellow", Verdict.MISSING: "dim"}


@click.command()
@click.argument("services", metavar="[SERVICE]…", nargs=-1, type=SERVICE)
@click.option("--take", is_flag=True, help="Also what is other than declared: `preview` then shows the difference.")
@click.option("--dry-run", is_flag=True, help="Show what would be adopted, and change nothing.")
@json_option
@profile_option
@pass_app
def adopt(app: App, services: tuple[str, ...], take: bool, dry_run: bool) -> int:
    """Take what is already on the servers into the state, without changing the servers.

    For a state that was lost, and for servers that were configured by hand. What is as declared is adopted; what
    differs is listed with its fields, and adopted only with --take; what is missing is left for `up`. Without names,
    everything is looked at. Exit code 1 when something that differs is left.
    """
    work = app.work()
    result = Adopting(work=work).run(services, take=take, dry_run=dry_run)
    if app.as_json:
        app.print_json(result.as_json())
    else:
        _show(app, result)
    return ExitCode.FINDINGS if result.left else ExitCode.FINE


def _show(app: App, result: AdoptionResult) -> None:
    for adoption in result.adoptions:
        app.out.print(Text.assemble((adoption.stack, "bold"), f"  {adoption.told}"), soft_wrap=True)
        for one in adoption.candidates:
            if one.verdict is not Verdict.EQUAL:
                kind = urn_type(one.urn).removeprefix("forgeline:")
                fields = f" [{', '.join(one.fields)}]" if one.fields else ""
                line = f"  {one.verdict} {kind} {urn_name(one.urn)}{fields}"
                app.out.print(Text(line, STYLES[one.verdict]), soft_wrap=True)
    taken = sum(len(adoption.taken(different=result.take)) for adoption in result.adoptions)
    words = "would be adopted" if result.dry_run else "adopted"
    app.out.print(f"{taken} resources {words}; {result.writes} changes on the servers.")
    if result.left:
        app.out.print(
            "[bold]fix:[/] forgeline adopt --take   (then `forgeline preview` shows what `up` would change back)"
        )
