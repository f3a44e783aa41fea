"""A GitLab CI file as jobs with places, which is what the rules look at. It reads flattened files, as made here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import LiteralScalarString

from infra.core.document import InvalidDocumentError
from infra.core.finding import Finding

NOT_JOBS: Final = frozenset(
    {"after_script", "before_script", "cache", "default", "image", "include", "services", "spec", "stages"}
    | {"variables", "workflow"}
)
DEFAULT_STAGES: Final = (".pre", "build", "test", "deploy", ".post")


@dataclass(frozen=True, kw_only=True)
class Need:
    """One entry of a job's `needs`."""

    job: str
    line: int
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class ScriptLine:
    """A line of shell text and its line in the file."""

    text: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as it is written."""

    name: str
    line: int
    stage: str
    needs: tuple[Need, ...] | None
    """None: the job waits for all jobs of the earlier stages."""
    script: tuple[ScriptLine, ...]
    """`before_script` and `script`, which one shell runs."""
    keys: Mapping[str, Any] = field(repr=False)

    @property
    def text(self) -> str:
        """The script as the shell sees it."""
        return "".join(f"{line.text}\n" for line in self.script)


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A pipeline file."""

    file: str
    stages: tuple[str, ...]
    jobs: Mapping[str, Job]

    def finding(self, rule: str, message: str, *, line: int = 0, fix: str = "") -> Finding:
        """A finding of `rule` in this file."""
        return Finding(rule=rule, message=message, file=self.file, line=line, fix=fix)

    @cached_property
    def _stage_index(self) -> Mapping[str, int]:
        return {stage: index for index, stage in enumerate(self.stages)}

    def stage_index(self, job: Job) -> int:
        """The job's place among the stages; an undeclared stage is last."""
        return self._stage_index.get(job.stage, len(self.stages))

    def parents(self, job: Job) -> Iterator[tuple[str, bool]]:
        """Names of the jobs that `job` waits for by itself, and whether it can do without them."""
        if job.needs is not None:
            yield from ((need.job, need.optional) for need in job.needs if need.job in self.jobs)
        else:
            own = self.stage_index(job)
            yield from ((other.name, False) for other in self.jobs.values() if self.stage_index(other) < own)

    def surely_before(self, job: Job) -> frozenset[str]:
        """Names of the jobs that are part of every way to `job`: optional needs do not count."""
        found: set[str] = set()
        waiting = [job]
        while waiting:
            for name, optional in self.parents(waiting.pop()):
                if not optional and name not in found:
                    found.add(name)
                    waiting.append(self.jobs[name])
        return frozenset(found)


def parse_pipeline(text: str, file: str) -> Pipeline:
    """The pipeline in `text`. Raises InvalidDocumentError if it isn't a mapping of jobs in valid YAML."""
    try:
        data = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = f"is not valid YAML: {error.problem or error.context}"
        raise InvalidDocumentError(
            [Finding(rule="yaml", message=message, file=file, line=line, column=column)]
        ) from error
    except (YAMLError, ValueError, RecursionError) as error:
        message = f"is not valid YAML: {type(error).__name__}"
        raise InvalidDocumentError([Finding(rule="yaml", message=message, file=file)]) from error
    if not isinstance(data, Mapping):
        raise InvalidDocumentError([Finding(rule="yaml", message="is not a mapping of jobs", file=file, line=1)])
    default = data.get("default")
    before = _script(data, "before_script") or _script(default, "before_script")
    jobs = {
        str(name): _job(str(name), value, _line(data, name), before)
        for name, value in data.items()
        if isinstance(value, Mapping) and name not in NOT_JOBS and not str(name).startswith(".")
    }
    stages = data.get("stages")
    names = tuple(str(stage) for stage in stages) if isinstance(stages, list) else DEFAULT_STAGES[1:-1]
    return Pipeline(file=file, stages=(".pre", *names, ".post"), jobs=jobs)


def _job(name: str, value: Mapping[str, Any], line: int, default_before: tuple[ScriptLine, ...]) -> Job:
    needs = value.get("needs")
    before = _script(value, "before_script") if "before_script" in value else default_before
    return Job(
        name=name,
        line=line,
        stage=str(value.get("stage", "test")),
        needs=_needs(needs) if isinstance(needs, list) else None,
        script=before + _script(value, "script"),
        keys=value,
    )


def _needs(needs: Any) -> tuple[Need, ...]:
    found = []
    for index, entry in enumerate(needs):
        line = needs.lc.item(index)[0] + 1
        if isinstance(entry, Mapping):
            if "job" in entry and "pipeline" not in entry and "project" not in entry:
                found.append(Need(job=str(entry["job"]), line=line, optional=entry.get("optional") is True))
        else:
            found.append(Need(job=str(entry), line=line))
    return tuple(found)


def _script(holder: Any, key: str) -> tuple[ScriptLine, ...]:
    """The lines of a script, which is a text or a list of texts."""
    if not isinstance(holder, Mapping) or key not in holder:
        return ()
    value = holder[key]
    start = _line(holder, key)
    if isinstance(value, str):
        return _lines(value, start)
    if not isinstance(value, CommentedSeq):
        return ()
    found: list[ScriptLine] = []
    for index, item in enumerate(value):
        if isinstance(item, str):
            found += _lines(item, value.lc.item(index)[0] + 1)
    return tuple(found)


def _lines(text: str, line: int) -> tuple[ScriptLine, ...]:
    """The lines of one text that starts at `line`; a literal block's text starts one line below its `|`."""
    first = line + 1 if isinstance(text, LiteralScalarString) else line
    return tuple(ScriptLine(text=part, line=first + index) for index, part in enumerate(text.splitlines()))


def _line(holder: Any, key: Any) -> int:
    try:
        return int(holder.lc.key(key)[0]) + 1
    except (AttributeError, KeyError, TypeError):
        return 0
