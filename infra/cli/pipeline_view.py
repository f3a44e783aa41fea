"""How explanations and differences of pipelines look on a terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from infra.cli.app import App
from pipelines.difference import JobChange, ServiceChange
from pipelines.explain import ExplainedJob, Explanation

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def show_explanation(app: App, explanation: Explanation, *, with_reasons: bool) -> None:
    """What runs on an occasion and what it waits for; with the reasons, one occasion is a page."""
    running = [job for job in explanation.jobs if job.runs]
    protected = "protected" if explanation.protected else "not protected"
    number = f"{len(running)} jobs" if explanation.created else "no pipeline"
    head = f"[bold]{explanation.occasion}: {number}[/]"
    app.out.print(f"{head}  ({escape(explanation.ref)}, {explanation.source}, {protected})")
    app.out.print(f"  {escape(explanation.why)}", soft_wrap=True)
    if not with_reasons:
        app.out.print("  " + ", ".join(escape(_short(job)) for job in running), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("stage", "job", "when", "after", "why"):
        table.add_column(title, overflow="fold")
    for job in running:
        table.add_row(*(escape(text) for text in (job.stage, job.name, _when(job), _after(job), job.why)))
    app.out.print(table)
    for job in explanation.jobs:
        if not job.runs:
            app.out.print(f"left out: {escape(job.name)}: {escape(job.why)}", soft_wrap=True)
    if explanation.before_production:
        passed = ", ".join(explanation.before_production)
        app.out.print(f"every way to production passes through: {escape(passed)}", soft_wrap=True)


def show_changes(app: App, changes: list[ServiceChange], number: int, against: str) -> None:
    """What changes for each service, gates marked. `number` is how many services there are now."""
    for change in changes:
        gates = f", gates touched: {', '.join(change.gates)}" if change.gates else ""
        app.out.print(f"[bold]{escape(change.service)}[/]: {_summary(change)}{gates}", soft_wrap=True)
        for job in change.jobs:
            app.out.print(f"  {escape(_job_line(job))}", soft_wrap=True)
    unchanged = number - sum(change.kind != "removed" for change in changes)
    app.out.print(f"{len(changes)} services change against {escape(against)}, {unchanged} stay as they are.")


def _summary(change: ServiceChange) -> str:
    if change.problem:
        return f"[red]{escape(change.problem)}[/]"
    if change.kind is not None:
        return f"{change.kind}"
    return "only comments, order or quotes" if change.text_only else f"{len(change.jobs)} changes"


def _job_line(change: JobChange) -> str:
    keys = f": {', '.join(change.keys)}" if change.keys else ""
    gate = " (gate)" if change.gate else ""
    return f"{_SIGNS[change.kind]} {change.job}{gate}{keys}  on {', '.join(change.occasions)}"


def _short(job: ExplainedJob) -> str:
    return job.name if job.when == "on_success" else f"{job.name} ({job.when})"


def _when(job: ExplainedJob) -> str:
    return f"{job.when}, may fail" if job.allow_failure else job.when


def _after(job: ExplainedJob) -> str:
    if job.needs is None:
        return "all earlier stages"
    return ", ".join(job.needs) or "nothing"
