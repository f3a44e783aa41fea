"""The corpus of small configurations, each aimed at one rule of the CI language, as we and gitlab-ci-local read it.

A case is a file of `ci_corpus/cases`. Its hidden job `.case` (GitLab ignores a hidden job, and so do both readers) says
which rule it is about, on which page of GitLab's documentation that stands, and where needed:

    occasions  on which it is compiled; `main` alone without it
    project    variables of the project
    pipeline   variables given when the pipeline is started
    values     jobs that both run (their script is `env`), and the variables whose values are compared

`ci_corpus/repository` is the repository around each, `ci_corpus/projects/GROUP@NAME/REF` are other projects.
`ci_corpus/differences.yaml` has what the two say differently, with the reason.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from pipelines.context import Occasion, occasion_context
from pipelines.language.compiler import compile_pipeline
from pipelines.language.document import load
from pipelines.language.error import ConfigError
from pipelines.language.model import (
    ConfigSource,
    Context,
    IncludeRef,
    JobSpec,
    Missing,
    MissingFileError,
    Variable,
)
from pipelines.language.variable import job_variables, mapping
from tests.oracles.gitlab_ci_local import ORIGIN, Oracle, RefusedError, git

CORPUS = Path(__file__).parent / "ci_corpus"
CHANGED = ("src/app.py", "docs/guide.md")
"""What the pipeline's commit changes."""
REFUSED = "refused"
_UNKNOWN_CHANGES = (Occasion.RELEASE_TAG, Occasion.UNPROTECTED_TAG, Occasion.SCHEDULE)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One configuration on one occasion."""

    name: str
    occasion: Occasion
    rule: str
    page: str
    project: Mapping[str, str]
    pipeline: Mapping[str, str]
    values: Mapping[str, Collection[str]]

    @property
    def id(self) -> str:
        """Its name in tests and in the list of differences."""
        return f"{self.name} on {self.occasion}"

    @property
    def file(self) -> Path:
        """Its configuration."""
        return CORPUS / "cases" / f"{self.name}.yml"


def cases() -> list[Case]:
    """All of them."""
    return [case for path in sorted((CORPUS / "cases").glob("*.yml")) for case in _cases(path)]


def _cases(path: Path) -> list[Case]:
    said = load(path.read_text(encoding="utf-8"))[".case"]
    return [
        Case(
            name=path.stem,
            occasion=Occasion(occasion),
            rule=said["rule"],
            page=said["page"],
            project=said.get("project", {}),
            pipeline=said.get("pipeline", {}),
            values=said.get("values", {}),
        )
        for occasion in said.get("occasions", ["main"])
    ]


class _Folders:
    """The repository and the other projects, as the compiler asks for them."""

    def fetch(self, ref: IncludeRef) -> str:
        path = self._root(ref.project, ref.ref) / ref.path
        if not path.is_file():
            raise MissingFileError(Missing.FILE)
        return path.read_text(encoding="utf-8")

    def paths(self, project: str | None, ref: str | None) -> Collection[str]:
        root = self._root(project, ref)
        return [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]

    def _root(self, project: str | None, ref: str | None) -> Path:
        if project is None:
            return CORPUS / "repository"
        return CORPUS / "projects" / project.replace("/", "@") / (ref or "main")


def ours(case: Case) -> dict[str, Any] | str:
    """Jobs by name, as the project's one reading of the language has them; or `refused`."""
    context = replace(
        occasion_context(case.occasion),
        changed_paths=None if case.occasion in _UNKNOWN_CHANGES else frozenset(CHANGED),
        project=_layer(case.project),
        pipeline=_layer(case.pipeline),
    )
    source = ConfigSource(text=case.file.read_text(encoding="utf-8"), files=_Folders())
    try:
        pipeline = compile_pipeline(source, context)
    except ConfigError:
        return REFUSED
    return {job.name: _our_job(job, context, case.values.get(job.name, ())) for job in pipeline.jobs}


def _layer(values: Mapping[str, str]) -> tuple[Variable, ...]:
    return tuple(Variable(key=key, value=value) for key, value in values.items())


def _our_job(job: JobSpec, context: Context, wanted: Collection[str]) -> dict[str, Any]:
    values = _run(job, context) if wanted else {}
    return {
        "stage": job.stage,
        "when": str(job.when),
        "allow_failure": list(job.allow_failure_exit_codes) or job.allow_failure,
        "needs": None if job.needs is None else sorted([need.name, need.artifacts] for need in job.needs),
        "values": {name: values.get(name) for name in wanted},
    }


def _run(job: JobSpec, context: Context) -> dict[str, str]:
    """What `env` prints at the end of the job's scripts, with the variables that a runner would be given."""
    done = subprocess.run(
        ["bash", "-ec", "\n".join([*job.before_script, *job.script])],
        env={"PATH": os.environ["PATH"], **mapping(job_variables(context, job))},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(re.findall(r"^(\w+)=(.*)$", done.stdout, re.MULTILINE))


def theirs(oracle: Oracle, case: Case) -> dict[str, Any] | str:
    """The same by gitlab-ci-local."""
    file = case.file.name
    more = ["--json-schema-validation=false"]
    more += [word for name, value in case.pipeline.items() for word in ("--variable", f"{name}={value}")]
    if case.project:
        variables = f"{case.name}.variables"
        (oracle.repository / variables).write_text(yaml.safe_dump(dict(case.project)), encoding="utf-8")
        more += ["--variables-file", variables]
    try:
        listed = oracle.listed(file, case.occasion, *more)
        # The list has every job; those that their rules leave out have `when` "never".
        jobs = {_spelled(job["name"]): _their_job(oracle, case, job, more) for job in listed if job["when"] != "never"}
    except RefusedError:
        return REFUSED
    return {name: {**job, "needs": _spelled_needs(jobs, job["needs"])} for name, job in jobs.items()}


def _their_job(oracle: Oracle, case: Case, job: Mapping[str, Any], more: list[str]) -> dict[str, Any]:
    allowed = job["allow_failure"]
    if isinstance(allowed, dict):
        codes = allowed["exit_codes"]
        allowed = codes if isinstance(codes, list) else [codes]
    wanted = case.values.get(_spelled(job["name"]), ())
    values = oracle.values(case.file.name, case.occasion, job["name"], *more) if wanted else {}
    return {
        "stage": job["stage"],
        "when": job["when"],
        "allow_failure": allowed,
        "needs": job.get("needs"),
        "values": {name: values.get(name) for name in wanted},
    }


def _spelled(name: str) -> str:
    """A parallel job's name as GitLab writes it (CI/CD YAML syntax reference: parallel and parallel:matrix).

    `unit: [1/2]` is `unit 1/2` there, and `unit: [linux,x86]` is `unit: [linux, x86]`.
    """
    base, found, values = name.removesuffix("]").partition(": [")
    if not found:
        return name
    return f"{base} {values}" if re.fullmatch(r"\d+/\d+", values) else f"{base}: [{values.replace(',', ', ')}]"


def _spelled_needs(jobs: Mapping[str, Any], needs: list[dict[str, Any]] | None) -> list[list[Any]] | None:
    """Needs by the names of jobs: the list has a parallel job by the name that stands in the file."""
    if needs is None:
        return None
    found = []
    for need in needs:
        parts = [name for name in jobs if name.startswith(f"{need['job']}: [")]
        parts += [name for name in jobs if re.fullmatch(re.escape(need["job"]) + r" \d+/\d+", name)]
        found += [[name, need.get("artifacts", True)] for name in dict.fromkeys(parts or [need["job"]])]
    return sorted(found)


def disagreements(ours: dict[str, Any] | str, theirs: dict[str, Any] | str) -> list[str]:
    """Where the two readings differ, a line each."""
    if isinstance(ours, str) or isinstance(theirs, str):
        shown = [one if isinstance(one, str) else "taken" for one in (ours, theirs)]
        return [] if shown[0] == shown[1] else [f"we: {shown[0]}, gitlab-ci-local: {shown[1]}"]
    found = []
    for name in sorted({*ours, *theirs}):
        if name not in ours or name not in theirs:
            found.append(f"{name}: only {'we have' if name in ours else 'gitlab-ci-local has'} it")
            continue
        for field, value in ours[name].items():
            other = theirs[name][field]
            if value != other:
                found.append(f"{name}: {field}: we say {value}, gitlab-ci-local says {other}")
    return found


def prepared(folder: Path) -> Oracle:
    """gitlab-ci-local in the corpus's repository, which has its other projects on this machine."""
    repository, projects = folder / "repository", folder / "projects"
    shutil.copytree(CORPUS / "repository", repository)
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", ".")
    git(repository, "reset", "-q", "--", *CHANGED)
    git(repository, "commit", "-q", "-m", "Settle")
    git(repository, "remote", "add", "origin", ORIGIN)
    git(repository, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(repository, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "Settle faster")
    for path in (CORPUS / "cases").glob("*.yml"):
        shutil.copy(path, repository)
    for project in (CORPUS / "projects").iterdir():
        _publish(project, projects / f"{project.name.replace('@', '/')}.git")
    # It wants rsync to copy the repository for jobs that run; these read no file of it.
    tools = folder / "bin"
    tools.mkdir()
    (tools / "rsync").write_text("#!/bin/sh\n")
    (tools / "rsync").chmod(0o755)
    return Oracle(
        repository=repository,
        environment={
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{projects}/.insteadOf",
            "GIT_CONFIG_VALUE_0": "ssh://git@gitlab.example.com:22/",
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        },
    )


def _publish(project: Path, repository: Path) -> None:
    repository.mkdir(parents=True)
    git(repository, "init", "-q", "-b", "main")
    for ref in sorted(project.iterdir()):
        git(repository, "switch", "-q", "--orphan", ref.name)
        shutil.copytree(ref, repository, dirs_exist_ok=True)
        git(repository, "add", ".")
        git(repository, "commit", "-q", "-m", "Share")
    git(repository, "switch", "-q", "main")
