"""How findings look on a terminal."""

from __future__ import annotations

from rich.markup import escape

from infra.cli.app import App
from infra.core.finding import Finding, Severity

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def show_findings(app: App, findings: list[Finding], nothing: str) -> None:
    """The findings, a line each, or the words for none."""
    if app.as_json:
        app.print_json([finding.as_json() for finding in findings])
        return
    for finding in findings:
        colour = _COLOURS[finding.severity]
        said = f"[{colour}]{finding.severity}[/] {escape(f'[{finding.rule}]')} {escape(finding.message)}"
        app.out.print(f"{escape(finding.where)}: {said}", soft_wrap=True)
        if finding.fix:
            app.out.print(f"  [bold]fix:[/] {escape(finding.fix)}", soft_wrap=True)
    app.out.print(f"{len(findings)} findings." if findings else nothing)
