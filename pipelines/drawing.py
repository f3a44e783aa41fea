"""A job graph as text and as a Mermaid flowchart. The same graph is always the same drawing."""

from __future__ import annotations

from pipelines.graph import Graph
from pipelines.language.model import JobSpec, When


def as_text(graph: Graph) -> str:
    """One line a job, under its stage, with what it waits for."""
    lines: list[str] = []
    for stage, jobs in graph.in_stages():
        lines.append(stage)
        for job in jobs:
            lines.append(f"  {job.name}{marks(job)}{_after(job)}")
    return "\n".join(lines) + "\n"


def as_mermaid(graph: Graph) -> str:
    """A Mermaid flowchart, which GitLab shows in Markdown."""
    ids = {name: f"j{index}" for index, name in enumerate(graph.jobs)}
    lines = ["flowchart LR"]
    for index, (stage, jobs) in enumerate(graph.in_stages()):
        lines.append(f'  subgraph s{index}["{_quoted(stage)}"]')
        for job in jobs:
            label = _quoted(job.name + marks(job))
            lines.append(
                f'    {ids[job.name]}(["{label}"])' if job.when is When.MANUAL else f'    {ids[job.name]}["{label}"]'
            )
        lines.append("  end")
    for edge in graph.drawn_edges():
        arrow = "-.->" if edge.optional else "-->"
        lines.append(f"  {ids[edge.before]} {arrow} {ids[edge.after]}")
    return "\n".join(lines) + "\n"


def marks(job: JobSpec) -> str:
    """What is worth saying of a job beside its name, in brackets; "" for nothing."""
    said = [] if job.when is When.ON_SUCCESS else [str(job.when)]
    said += ["may fail"] if job.allow_failure else []
    said += [f"environment {job.environment.name}"] if job.environment else []
    return f" ({', '.join(said)})" if said else ""


def _after(job: JobSpec) -> str:
    if job.needs is None:
        return "  after all earlier stages"
    if not job.needs:
        return "  at once"
    return "  after " + ", ".join(f"{need.name}?" if need.optional else need.name for need in job.needs)


def _quoted(text: str) -> str:
    """`text` inside a Mermaid label."""
    return text.replace("#", "#35;").replace('"', "#quot;").replace("\n", " ")
