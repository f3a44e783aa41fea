"""Proofs over many pipeline files: side by side, each distinct script asked about once, what is proven remembered.

What a run found is never remembered, only that a text had nothing against it (see `pipelines.ledger`).
"""

from __future__ import annotations

import gc
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from infra.core.error import BadInputError
from infra.core.finding import Finding
from pipelines.catalogue import Service
from pipelines.ledger import Ledger, NoLedger
from pipelines.render import Context, pipeline_inputs, render_pipeline
from pipelines.repository import Beside, NoFiles
from pipelines.rules import document
from pipelines.rules.registry import RULES, SHELL_RULES
from pipelines.rules.rule import Rule
from pipelines.shell.problem import clean
from pipelines.subject import Expectation, Subject
from pipelines.template import Templates, default_templates

SIDE_BY_SIDE: Final = 40
"""Files from which on a second process is worth its start."""

NOT_TEXT: Final = document.file_is_yaml.id

_DASHED = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)+|[a-z][a-z0-9]*(?:_[a-z0-9]+)+")
_PORT = re.compile(r":[0-9]{4,5}\b")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A file to prove."""

    file: str
    text: str
    expected: Expectation | None = None


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How files are proven: as Forgeline's own (`standard`), with the files beside them (`follow`), by how many."""

    standard: bool = True
    follow: bool = False
    processes: int = 1
    ledger: Ledger | NoLedger = field(default_factory=NoLedger)


def expectation(service: Service, environments: Iterable[str]) -> Expectation:
    """What the pipeline of `service` must be like that goes through these environments."""
    return Expectation(language=str(service.language), floor=service.coverage_floor, environments=tuple(environments))


def catalogue_tasks(services: Iterable[Service], context: Context, templates: Templates | None = None) -> list[Task]:
    """The pipelines that this checkout renders, each with what its service must have."""
    return [
        Task(
            file=f"{service.name}.yml",
            text=render_pipeline(service, context, templates),
            expected=expectation(service, context.environments(service)),
        )
        for service in services
    ]


def prove_services(
    services: Collection[Service], context: Context, manner: Manner, templates: Templates | None = None
) -> list[Finding]:
    """What the rules find in the services' pipelines; one that was proven from the same inputs is not even rendered."""
    digest = (templates or default_templates()).digest()
    inputs = {service.name: f"{digest}\n{pipeline_inputs(service, context)}" for service in services}
    unproven = [service for service in services if not manner.ledger.knows(inputs[service.name])]
    findings = prove(catalogue_tasks(unproven, context, templates), manner)
    faulty = {finding.file for finding in findings}
    manner.ledger.add(inputs[one.name] for one in unproven if f"{one.name}.yml" not in faulty)
    return findings


def check_files(files: Iterable[Path], manner: Manner) -> list[Finding]:
    """What the rules find in files of any content. Raises BadInputError for one that can't be read at all."""
    findings: list[Finding] = []
    tasks: list[Task] = []
    for path in files:
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise BadInputError(f"can't be read: {error.strerror}", where=str(path)) from error
        try:
            tasks.append(Task(file=str(path), text=raw.decode("utf-8-sig")))
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            message = f"is not UTF-8 text (byte {error.start})"
            findings.append(
                Finding(rule=NOT_TEXT, message=message, file=str(path), line=line, fix="save the file as UTF-8")
            )
    return sorted([*findings, *prove(tasks, manner)], key=_order)


def check_pipelines(files: Mapping[str, str]) -> list[Finding]:
    """What all rules find in Forgeline's own pipelines, by file name, sorted by place."""
    return prove([Task(file=file, text=text) for file, text in files.items()], Manner())


def prove(tasks: Sequence[Task], manner: Manner) -> list[Finding]:
    """What the rules find in the files, sorted by place. Raises ToolError if there is no bash or no ShellCheck."""
    ledger = manner.ledger
    open_tasks = [task for task in tasks if not (manner.standard and ledger.knows(_key(task)))]
    names = frozenset(Path(task.file).stem for task in tasks)
    results = _all_results(open_tasks, manner, names)
    scripts = {script for result in results for script in result.scripts}
    faulty = _faulty(scripts, ledger)
    findings: list[Finding] = []
    proven = []
    for task, result in zip(open_tasks, results, strict=True):
        found = list(result.findings)
        if faulty.intersection(result.scripts):
            found += _findings(SHELL_RULES, _subject(task, manner), manner)
        if not found:
            proven.append(_key(task))
        findings += found
    if manner.standard:
        ledger.add(proven)
    ledger.add(sorted(scripts - faulty))
    return sorted(findings, key=_order)


def _order(finding: Finding) -> tuple[str, int, str, str]:
    return (finding.file, finding.line, finding.rule, finding.message)


@dataclass(frozen=True, kw_only=True)
class _Result:
    findings: tuple[Finding, ...]
    scripts: tuple[str, ...]


def _all_results(tasks: Sequence[Task], manner: Manner, names: frozenset[str]) -> list[_Result]:
    if manner.processes < 2 or len(tasks) < SIDE_BY_SIDE:
        return _results(tasks, manner, names)
    bare = Manner(standard=manner.standard, follow=manner.follow)
    size = -(-len(tasks) // (manner.processes * 4))
    parts = [tasks[start : start + size] for start in range(0, len(tasks), size)]
    # Processes are started anew, since this one may have threads.
    with ProcessPoolExecutor(manner.processes, mp_context=get_context("spawn")) as pool:
        found = pool.map(_part, parts, [bare] * len(parts), [names] * len(parts))
        return [result for part in found for result in part]


def _part(tasks: Sequence[Task], manner: Manner, names: frozenset[str]) -> list[_Result]:
    """The work of one process. Its objects live as long as their file: looking for circles among them is in vain."""
    gc.disable()
    results = _results(tasks, manner, names)
    gc.enable()
    return results


def _results(tasks: Sequence[Task], manner: Manner, names: frozenset[str]) -> list[_Result]:
    made = []
    for task in tasks:
        subject = _subject(task, manner)
        findings = tuple(_findings(RULES, subject, manner))
        scripts = tuple(dict.fromkeys(normalised(script.text, names) for _, script in subject.scripts))
        made.append(_Result(findings=findings, scripts=scripts))
    return made


def _subject(task: Task, manner: Manner) -> Subject:
    files = Beside(Path(task.file)) if manner.follow else NoFiles()
    return Subject(file=task.file, text=task.text, standard=manner.standard, expected=task.expected, files=files)


def _findings(rules: Iterable[Rule], subject: Subject, manner: Manner) -> Iterable[Finding]:
    for rule in rules:
        if manner.standard or not rule.standard:
            yield from rule.findings(subject)


def normalised(script: str, names: frozenset[str]) -> str:
    """The script with the services' names and ports made equal: neither bash nor ShellCheck cares which they are.

    A name is only replaced by another word with a dash in it, which no keyword of the shell is. Whatever is found in
    such a script is looked for again in the real one.
    """

    def plain(match: re.Match[str]) -> str:
        word = match[0]
        if word.replace("_", "-") in names:
            return "a-service" if "-" in word else "a_service"
        for name in (word, word.partition("-")[2], word.partition("-")[2].rpartition("-")[0]):
            if name in names:
                return word.replace(name, "a-service")
        return word

    return _PORT.sub(":10000", _DASHED.sub(plain, script))


def _faulty(scripts: set[str], ledger: Ledger | NoLedger) -> set[str]:
    """The scripts that bash or ShellCheck has something against."""
    unknown = sorted(script for script in scripts if not ledger.knows(script))
    return set(unknown) - clean(unknown)


def _key(task: Task) -> str:
    return f"{task.expected}\n{task.text}"
