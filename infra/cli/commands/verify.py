"""`forgeline verify`: what must be true of the running stack."""

from __future__ import annotations

import click
from rich.table import Table
from rich.text import Text

from infra.cli.app import App, json_option, pass_app
from infra.core.error import ExitCode
from infra.operations.verify import verify as run_checks


@click.command()
@json_option
@pass_app
def verify(app: App) -> int:
    """Check the running stack: processes, listeners, file modes, versions, seals, access, the services' health.

    The checks are the testinfra suite in tests/host. Exit code 1 when one does not hold.
    """
    with app.display.phase("Verify") as phase:
        phase.start("checks", "running tests/host")
        results = run_checks(app.settings)
        passed = sum(result.passed for result in results)
        (phase.done if passed == len(results) else phase.failed)("checks", f"{passed} of {len(results)} hold")
    if app.as_json:
        app.print_json([result.as_json() for result in results])
    else:
        table = Table(box=None, show_header=False, padding=(0, 1))
        for result in results:
            mark = Text("✓", "green") if result.passed else Text("✗", "red")
            table.add_row(mark, result.name, Text(result.message, "red"))
        app.out.print(table)
    return ExitCode.FINE if passed == len(results) else ExitCode.FINDINGS
