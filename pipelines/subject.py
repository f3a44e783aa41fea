"""A pipeline file as the rules look at it: what is written where, and what it becomes on each occasion.

Everything is read by `pipelines.language`, once. Whatever is wrong with the text, a subject can be made of it: what
can't be read is empty, and `problems` says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pipelines.context import Occasion, occasion_context
from pipelines.graph import Graph
from pipelines.language.compiler import plan_pipeline
from pipelines.language.configuration import Configuration, read_configuration
from pipelines.language.document import TOO_BIG, Document, Place, read
from pipelines.language.error import ConfigError
from pipelines.language.extends import extend
from pipelines.language.include import Included, expand_includes
from pipelines.language.model import ConfigSource, PipelineSpec
from pipelines.language.reference import resolve
from pipelines.repository import Beside, NoFiles
from pipelines.script import JobScript, Location, ScriptLine

NOT_JOBS: Final = frozenset(
    {"after_script", "before_script", "cache", "default", "image", "include", "services", "spec", "stages"}
    | {"variables", "workflow"}
)
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What the catalogue says of the pipeline's service."""

    language: str
    floor: int
    """Coverage in per cent that its unit tests must reach."""
    environments: tuple[str, ...]
    """Where the pipeline brings the service, in order."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One pipeline file. `standard`: it must be one of Forgeline's; `expected` is what is known of it then."""

    file: str
    text: str
    standard: bool = False
    expected: Expectation | None = None
    files: NoFiles | Beside = field(default_factory=NoFiles)

    @cached_property
    def source(self) -> ConfigSource:
        """The file as the CI language takes it."""
        return ConfigSource(text=self.text, files=self.files, lenient=True)

    @cached_property
    def _included(self) -> Included | ConfigError:
        try:
            return expand_includes(self.source, occasion_context(Occasion.MAIN))
        except ConfigError as error:
            return error
        except RecursionError:
            return ConfigError([TOO_BIG])

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the text can't be read at all."""
        return tuple(self._included.messages) if isinstance(self._included, ConfigError) else ()

    @property
    def unread(self) -> tuple[str, ...]:
        """Includes that were passed over."""
        return () if isinstance(self._included, ConfigError) else self._included.unread

    @cached_property
    def document(self) -> Document:
        """The file itself with its places; empty if it can't be read."""
        if not isinstance(self._included, ConfigError):
            return self._included.documents[self.source.place]
        try:
            return read(self.text, lenient=True)  # What it includes can't be had.
        except (ConfigError, RecursionError):
            return Document({}, {})

    @cached_property
    def _documents(self) -> tuple[tuple[str, Document], ...]:
        """Name and content of every file that was read; of two that say something, the earlier one here counts."""
        if isinstance(self._included, ConfigError):
            return ((self.file, self.document),)
        first, *others = self._included.documents.items()
        return ((self.file, first[1]), *((ref.path, document) for ref, document in reversed(others)))

    @cached_property
    def written(self) -> Mapping[str, Any]:
        """Everything written, included files and references put in."""
        if isinstance(self._included, ConfigError):
            return {}
        try:
            return resolve(self._included.config)
        except (ConfigError, RecursionError):
            return self._included.config

    @cached_property
    def merged(self) -> Mapping[str, Any]:
        """`written` with `extends` applied, as far as it can be."""
        try:
            return extend(dict(self.written))
        except (ConfigError, RecursionError):
            return self.written

    @cached_property
    def jobs(self) -> Mapping[str, Mapping[str, Any]]:
        """The visible jobs as they are written."""
        return {
            name: value
            for name, value in self.merged.items()
            if isinstance(value, dict) and name not in NOT_JOBS and not name.startswith(".")
        }

    @cached_property
    def configuration(self) -> Configuration | ConfigError:
        """The file as a checked configuration, or why it is none."""
        return self._configured(self._included)

    def _configured(self, included: Included | ConfigError) -> Configuration | ConfigError:
        if isinstance(included, ConfigError):
            return included
        try:
            return read_configuration(replace(included, config=extend(resolve(included.config))))
        except ConfigError as error:
            return error
        except RecursionError:
            return ConfigError([TOO_BIG])

    @cached_property
    def pipelines(self) -> Mapping[Occasion, PipelineSpec | ConfigError]:
        """What the file becomes on each occasion."""
        return {occasion: self._pipeline(occasion) for occasion in Occasion}

    def _pipeline(self, occasion: Occasion) -> PipelineSpec | ConfigError:
        context = occasion_context(occasion)
        configuration = self.configuration
        try:
            if "include" in self.document.value:
                configuration = self._configured(expand_includes(self.source, context))
            if isinstance(configuration, ConfigError):
                return configuration
            return plan_pipeline(configuration, self.source, context)
        except ConfigError as error:
            return error
        except RecursionError:
            return ConfigError([TOO_BIG])

    @cached_property
    def graphs(self) -> Mapping[Occasion, Graph]:
        """The graph of each occasion on which there is a pipeline."""
        return {
            occasion: Graph(pipeline)
            for occasion, pipeline in self.pipelines.items()
            if isinstance(pipeline, PipelineSpec) and pipeline.created
        }

    def at(self, *path: str | int) -> Location:
        """Where `path` is written, or the nearest thing above it; for a job's key also where the job takes it from."""
        for depth in range(len(path), 0, -1):
            found = self._exact(path[:depth])
            if found is None and depth > 1:
                found = self._inherited(path[:depth])
            if found is not None:
                return found
        return Location(file=self.file, line=1, column=1)

    def _exact(self, path: Path_, *, value: bool = False) -> Location | None:
        for file, document in self._documents:
            mark = document.mark(path)
            if mark is not None:
                place = mark.value if value else mark.key
                return Location(file=file, line=place.line, column=place.column)
        return None

    def _inherited(self, path: Path_) -> Location | None:
        """A job's key in what the job extends, or in the defaults."""
        name, *rest = path
        for base in self._bases(str(name)):
            found = self._exact((base, *rest))
            if found is not None:
                return found
        return self._exact(("default", *rest)) or self._exact(tuple(rest))

    def _bases(self, name: str) -> list[str]:
        """What a job extends, the nearest first."""
        found: list[str] = []
        waiting = [name]
        while waiting and len(found) < len(self.written):
            value = self.written.get(waiting.pop())
            extends = value.get("extends") if isinstance(value, dict) else None
            names = [extends] if isinstance(extends, str) else extends if isinstance(extends, list) else []
            for one in names:
                if isinstance(one, str) and one not in found:
                    found.append(one)
                    waiting.append(one)
        return found

    def script(self, job: str) -> JobScript:
        """`before_script` and `script` of a job, which one shell runs; without lines if there is no such job."""
        return self._scripts.get(job) or JobScript(lines=())

    @cached_property
    def _scripts(self) -> Mapping[str, JobScript]:
        return {job: self._shell(self._script(job)) for job in self.jobs}

    @cached_property
    def scripts(self) -> tuple[tuple[str, JobScript], ...]:
        """Every text that one shell runs, with its job: before_script and script together, after_script by itself."""
        found: list[tuple[str, JobScript]] = []
        for job, value in self.jobs.items():
            after = self._shell(self._lines((job, "after_script"), value.get("after_script")))
            found += [(job, script) for script in (self.script(job), after) if script.lines]
        return tuple(found)

    def _shell(self, lines: Iterable[ScriptLine]) -> JobScript:
        return JobScript(lines=tuple(lines), service=Path(self.file).stem if self.standard else "")

    def _script(self, job: str) -> tuple[ScriptLine, ...]:
        value = self.jobs[job]
        before = "before_script"
        if value.get(before) is not None or not self._inherits_default(value, before):
            lines = list(self._lines((job, before), value.get(before)))
        else:
            default = self.merged.get("default")
            inside = default.get(before) if isinstance(default, dict) else None
            path: Path_ = ("default", before) if inside is not None else (before,)
            lines = list(self._lines(path, inside if inside is not None else self.merged.get(before)))
        return (*lines, *self._lines((job, "script"), value.get("script")))

    def _inherits_default(self, job: Mapping[str, Any], key: str) -> bool:
        inherit = job.get("inherit")
        wanted = inherit.get("default") if isinstance(inherit, dict) else None
        return wanted is not False and not (isinstance(wanted, list) and key not in wanted)

    def _lines(self, path: Path_, value: Any) -> Iterator[ScriptLine]:
        if isinstance(value, str):
            place = self._text_place(path)
            for index, text in enumerate(value.splitlines()):
                location = Location(file=place[0], line=place[1].line + index + place[1].block, column=0)
                yield ScriptLine(text=text, location=location)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._lines((*path, index), item)

    def _text_place(self, path: Path_) -> tuple[str, Place]:
        """The file and place of a text, as near as it is known."""
        candidates = [path, *((base, *path[1:]) for base in self._bases(str(path[0])))]
        for depth in range(len(path), 0, -1):
            for candidate in candidates:
                for file, document in self._documents:
                    mark = document.mark(candidate[:depth])
                    if mark is not None:
                        exact = depth == len(path)
                        return file, mark.value if exact else mark.key
        return self.file, Place(0, 0)
