"""`include`: files of the same or another project, merged below the file that includes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipelines.language.document import Document, Reference, read
from pipelines.language.entry import Entry, Problems
from pipelines.language.error import ConfigError
from pipelines.language.merge import deep_merge
from pipelines.language.model import ConfigSource, Context, IncludeRef, Missing, MissingFileError
from pipelines.language.pattern import Pattern
from pipelines.language.rule import Conditions, first_match, read_rules
from pipelines.language.variable import expand, expand_all, layered, mapping

LIMIT = 150
"""Files a configuration may include, nested ones counted (`ci_max_includes`)."""

TOTAL_SIZE_LIMIT = 4 * 1024 * 1024
"""Characters of all files together."""

_REFUSED = ("remote", "template", "component", "artifact")
_KINDS = "`local`, `project`, `remote`, `template`, `artifact`, `component`"
_KEYS = ("local", "project", "file", "ref", "rules")


@dataclass(frozen=True)
class Included:
    """The merged configuration, without `include`, and the files it came from."""

    config: dict[str, Any]
    files: tuple[IncludeRef, ...]
    documents: Mapping[IncludeRef, Document]
    """What was read, the entry file first."""
    unread: tuple[str, ...] = ()
    """Includes that were passed over."""
    lenient: bool = False


def expand_includes(source: ConfigSource, context: Context) -> Included:
    """The entry file with everything it includes. Raises ConfigError with GitLab's texts."""
    include = _Include(source, context)
    document = read(source.text, lenient=source.lenient)
    include.documents[source.place] = document
    return Included(
        include.expanded(document.value, source.place),
        tuple(include.files),
        include.documents,
        tuple(dict.fromkeys(include.unread)),
        source.lenient,
    )


class _Include:
    def __init__(self, source: ConfigSource, context: Context) -> None:
        self._source = source
        self._context = context
        variables = layered(context, ())
        self._variables = mapping(variables)
        self._expanded = mapping(expand_all(variables))
        self.documents: dict[IncludeRef, Document] = {}
        self.unread: list[str] = []
        self._size = len(source.text)
        self.files: list[IncludeRef] = []

    def expanded(self, config: dict[str, Any], place: IncludeRef) -> dict[str, Any]:
        """`config`, which is at `place`, with its includes below it."""
        merged: dict[str, Any] = {}
        for ref in self._wanted(config.get("include"), place):
            merged = deep_merge(merged, self._file(ref, place))
        return deep_merge(merged, {key: value for key, value in config.items() if key != "include"})

    def _file(self, ref: IncludeRef, place: IncludeRef) -> dict[str, Any]:
        if len(self.files) >= LIMIT:
            raise ConfigError([f"Maximum of {LIMIT} nested includes are allowed!"])
        self.files.append(ref)
        if ref not in self.documents:
            self.documents[ref] = self._load(ref, same_project=(ref.project, ref.ref) == (place.project, place.ref))
        return self.expanded(self.documents[ref].value, ref)

    def _load(self, ref: IncludeRef, *, same_project: bool) -> Document:
        if not ref.path.lower().endswith((".yml", ".yaml")):
            raise ConfigError([f"Included file `{ref.path}` does not have YAML extension!"])
        name = f"Local file `{ref.path}`" if same_project else f"Project `{ref.project}` file `{ref.path}`"
        try:
            if ".." in ref.path.split("/"):
                raise MissingFileError(Missing.FILE)
            text = self._source.files.fetch(ref)
        except MissingFileError as error:
            raise ConfigError([_missing(error.missing, ref, name)]) from error
        self._size += len(text)
        if self._size > TOTAL_SIZE_LIMIT:
            raise ConfigError(["The total size of the included files is too big"])
        if not text.strip():
            raise ConfigError([f"{name} is empty!"])
        try:
            return read(text, lenient=self._source.lenient)
        except ConfigError as error:
            raise ConfigError([f"`{ref.path}`: {message}" for message in error.messages]) from error

    def _wanted(self, value: Any, place: IncludeRef) -> list[IncludeRef]:
        items = value if isinstance(value, list) else [] if value is None else [value]
        return [ref for item in items for ref in self._refs(item, place)]

    def _refs(self, item: Any, place: IncludeRef) -> list[IncludeRef]:
        if isinstance(item, str):
            item = {"remote" if item.startswith(("http://", "https://")) else "local": item}
        if not isinstance(item, dict) or _has_reference(item):
            raise ConfigError(["Each include must be a hash or a string"])
        foreign = _REFUSED if not self._source.lenient else (*_REFUSED, "project")
        for key in foreign:
            if key in item and self._source.lenient:
                self.unread.append(f"include:{key}")
                return []
            if key in item:
                raise ConfigError([f"include:{key} is not supported by Forgeline"])
        _check_keys(item, lenient=self._source.lenient)
        if not self._applies(item, place):
            return []
        return self._local(item, place) if "local" in item else self._project(item)

    def _applies(self, item: dict[str, Any], place: IncludeRef) -> bool:
        if item.get("rules") is None:
            return True
        problems = Problems()
        rules = read_rules(Entry("include:rules", item["rules"], problems), kind="include")
        if problems.errors:
            raise ConfigError(problems.errors)
        conditions = Conditions(
            context=self._context,
            files=self._source.files,
            variables=self._variables,
            expanded=self._expanded,
            project=place.project,
            ref=place.ref,
        )
        matched = first_match(rules, conditions)
        return matched is not None and matched.when != "never"

    def _local(self, item: dict[str, Any], place: IncludeRef) -> list[IncludeRef]:
        path = self._text(item["local"], "local")
        if "*" not in path:
            return [replace(place, path=path.lstrip("/"))]
        wildcard = path.lstrip("/")
        expression = ".*".join("[^/]*".join(_quoted(part) for part in some.split("*")) for some in wildcard.split("**"))
        pattern = Pattern(f"^{expression}$")
        paths = [path for path in sorted(self._source.files.paths(place.project, place.ref)) if pattern.search(path)]
        if not paths:
            raise ConfigError([f"Local file `{wildcard}` does not exist!"])
        return [replace(place, path=found) for found in paths]

    def _project(self, item: dict[str, Any]) -> list[IncludeRef]:
        if item.get("file") is None:
            raise ConfigError(["include config must specify the file where to fetch the config from"])
        project = self._text(item["project"], "project")
        ref = None if item.get("ref") is None else self._text(item["ref"], "ref")
        files = item["file"] if isinstance(item["file"], list) else [item["file"]]
        return [
            IncludeRef(path=self._text(file, "file").lstrip("/"), project=project, ref=ref or None) for file in files
        ]

    def _text(self, value: Any, key: str) -> str:
        if not isinstance(value, str) or not value:
            raise ConfigError([f"Included file `{key}` needs to be a string"])
        return expand(value, self._expanded)


def _check_keys(item: dict[str, Any], *, lenient: bool) -> None:
    kinds = [key for key in ("local", "project") if item.get(key)]
    if not kinds:
        shown = json.dumps(item, default=str, separators=(",", ":"))
        raise ConfigError([f"`{shown}` does not have a valid subkey for include. Valid subkeys are: {_KINDS}"])
    if len(kinds) > 1:
        raise ConfigError([f"Each include must use only one of: {_KINDS}"])
    unknown = [key for key in item if key not in _KEYS and not (lenient and key == "inputs")]
    if "inputs" in unknown:
        raise ConfigError(["include:inputs is not supported by Forgeline"])
    if unknown:
        raise ConfigError([f"include config contains unknown keys: {', '.join(unknown)}"])


def _missing(missing: Missing, ref: IncludeRef, name: str) -> str:
    if missing is Missing.PROJECT:
        return (
            f"Project `{ref.project}` not found or access denied! "
            "Make sure any includes in the pipeline configuration are correctly defined."
        )
    if missing is Missing.REF:
        return f"Project `{ref.project}` reference `{ref.ref or 'HEAD'}` does not exist!"
    return f"{name} does not exist!"


def _quoted(text: str) -> str:
    return "".join(character if character.isalnum() else "\\" + character for character in text)


def _has_reference(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_reference(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_reference(item) for item in value)
    return isinstance(value, Reference)
