"""Proofs on pipelines: each rule is one named function that finds what is wrong in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from infra.core.document import InvalidDocumentError, nearest
from infra.core.finding import Finding
from pipelines.pipeline import Job, Pipeline, parse_pipeline
from pipelines.shell.problem import ShellProblem, shellcheck_problems, syntax_problems

Rule = Callable[[Pipeline], Iterator[Finding]]

GATES: Final = ("validate", "lint", "unit-test")
"""Jobs that every way to a published or deployed artifact must go through."""


def check_pipelines(files: Mapping[str, str]) -> list[Finding]:
    """What all rules find in the pipeline texts `files` (by file name), sorted by place."""
    findings: list[Finding] = []
    pipelines: list[Pipeline] = []
    for file, text in files.items():
        try:
            pipelines.append(parse_pipeline(text, file))
        except InvalidDocumentError as error:
            findings += error.findings
    for pipeline in pipelines:
        findings += [finding for rule in RULES for finding in rule(pipeline)]
    findings += scripts_pass_shellcheck(pipelines)
    return sorted(findings, key=lambda f: (f.file, f.line, f.rule))


def stages_are_declared(pipeline: Pipeline) -> Iterator[Finding]:
    """Every job's stage is one of `stages`."""
    for job in pipeline.jobs.values():
        if job.stage not in pipeline.stages:
            message = f"job {job.name!r} is in stage {job.stage!r}, which isn't declared"
            fix = nearest(job.stage, pipeline.stages)
            yield pipeline.finding("stages-are-declared", message, line=job.line, fix=fix)


def jobs_have_a_script(pipeline: Pipeline) -> Iterator[Finding]:
    """Every job does something."""
    for job in pipeline.jobs.values():
        if not job.script and not {"trigger", "run", "extends"} & set(job.keys):
            yield pipeline.finding("jobs-have-a-script", f"job {job.name!r} has no script", line=job.line)


def needs_exist(pipeline: Pipeline) -> Iterator[Finding]:
    """Every name in `needs` is a job."""
    for job in pipeline.jobs.values():
        for need in job.needs or ():
            if need.job not in pipeline.jobs and not need.optional:
                message = f"job {job.name!r} needs {need.job!r}, which isn't a job"
                fix = nearest(need.job, pipeline.jobs)
                yield pipeline.finding("needs-exist", message, line=need.line, fix=fix)


def needs_are_earlier(pipeline: Pipeline) -> Iterator[Finding]:
    """No job needs one of a later stage, or itself in the end."""
    for job in pipeline.jobs.values():
        for need in job.needs or ():
            other = pipeline.jobs.get(need.job)
            if other and pipeline.stage_index(other) > pipeline.stage_index(job):
                message = f"job {job.name!r} needs {need.job!r} of the later stage {other.stage!r}"
                yield pipeline.finding("needs-are-earlier", message, line=need.line)
        if job.name in pipeline.surely_before(job):
            yield pipeline.finding("needs-are-earlier", f"job {job.name!r} needs itself in the end", line=job.line)


def artifacts_pass_the_gates(pipeline: Pipeline) -> Iterator[Finding]:
    """Whatever publishes or deploys comes after every gate, on every path."""
    for job in pipeline.jobs.values():
        if job.name == "publish" or "environment" in job.keys:
            before = pipeline.surely_before(job)
            for gate in (name for name in GATES if name not in before):
                message = f"job {job.name!r} can be reached without passing {gate!r}"
                fix = f"let it, or a job that it needs, need {gate!r}"
                yield pipeline.finding("artifacts-pass-the-gates", message, line=job.line, fix=fix)


def deployments_are_of_what_is_published(pipeline: Pipeline) -> Iterator[Finding]:
    """Whatever deploys comes after `publish`."""
    for job in pipeline.jobs.values():
        if "environment" in job.keys and job.name != "publish" and "publish" not in pipeline.surely_before(job):
            message = f"job {job.name!r} deploys, and can be reached without passing 'publish'"
            yield pipeline.finding("deployments-are-of-what-is-published", message, line=job.line)


def gates_are_not_weakened(pipeline: Pipeline) -> Iterator[Finding]:
    """A gate's failure stops the pipeline, and no rule takes the gate away."""
    for job in (pipeline.jobs[name] for name in GATES if name in pipeline.jobs):
        for weakness in _weaknesses(job):
            yield pipeline.finding("gates-are-not-weakened", f"gate {job.name!r} {weakness}", line=job.line)


def scripts_are_bash(pipeline: Pipeline) -> Iterator[Finding]:
    """`bash -n` accepts every script."""
    for job in pipeline.jobs.values():
        yield from (_shell_finding("scripts-are-bash", pipeline, job, p) for p in syntax_problems(job.text))


def scripts_pass_shellcheck(pipelines: list[Pipeline]) -> Iterator[Finding]:
    """ShellCheck has nothing to say. It looks at all pipelines in one run, since it is slow to start."""
    jobs = [(pipeline, job) for pipeline in pipelines for job in pipeline.jobs.values() if job.script]
    problems = shellcheck_problems(job.text for _, job in jobs)
    for pipeline, job in jobs:
        yield from (_shell_finding("scripts-pass-shellcheck", pipeline, job, p) for p in problems[job.text])


RULES: Final[tuple[Rule, ...]] = (
    stages_are_declared,
    jobs_have_a_script,
    needs_exist,
    needs_are_earlier,
    artifacts_pass_the_gates,
    deployments_are_of_what_is_published,
    gates_are_not_weakened,
    scripts_are_bash,
)
"""Rules that look at one pipeline."""


def _weaknesses(job: Job) -> Iterator[str]:
    if job.keys.get("allow_failure"):
        yield "is allowed to fail"
    if job.keys.get("when", "on_success") != "on_success":
        yield f"has when: {job.keys['when']}"
    if "rules" in job.keys or "only" in job.keys or "except" in job.keys:
        yield "has rules of its own, which may leave it out"


def _shell_finding(rule: str, pipeline: Pipeline, job: Job, problem: ShellProblem) -> Finding:
    lines = job.script
    line = lines[min(problem.line, len(lines)) - 1].line if lines else job.line
    return pipeline.finding(rule, f"job {job.name!r}: {problem.message}", line=line)
