"""YAML files as typed models, with every error at its line and column and the nearest valid name beside it."""

from __future__ import annotations

import difflib
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from infra.core.error import BadInputError
from infra.core.finding import Finding

Model = TypeVar("Model", bound=BaseModel)

SIZE_LIMIT = 1_000_000
"""Bytes a settings or catalogue file may have; more is a mistake, not a catalogue."""


class InvalidValueError(ValueError):
    """What a validator raises that knows the remedy."""

    def __init__(self, message: str, *, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


class InvalidDocumentError(BadInputError):
    """One or more files are not what they should be; `findings` has every error with its place."""

    def __init__(self, findings: list[Finding]) -> None:
        first = findings[0]
        super().__init__(
            first.message if len(findings) == 1 else f"{len(findings)} errors",
            where=first.where if len(findings) == 1 else "",
            fix=first.fix if len(findings) == 1 else "",
            detail="" if len(findings) == 1 else "\n".join(map(_line, findings)),
        )
        self.findings = findings


def _line(finding: Finding) -> str:
    remedy = f" ({finding.fix})" if finding.fix else ""
    return f"{finding.where}: {finding.message}{remedy}"


def read_text(path: Path) -> str:
    """The file's text. Raises BadInputError if it can't be read as UTF-8 within `SIZE_LIMIT`."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"can't be read: {error.strerror}", where=str(path)) from error
    if len(raw) > SIZE_LIMIT:
        raise BadInputError(f"has {len(raw)} bytes; the limit is {SIZE_LIMIT}", where=str(path))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError(f"is not UTF-8 text (byte {error.start})", where=str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Write the file as a whole or not at all; a file that was there keeps its mode.

    Of two that write at once the last one's text stays.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    temporary.write_text(text, encoding="utf-8", newline="")
    if path.exists():
        shutil.copymode(path, temporary)
    temporary.replace(path)


def check_writable(paths: Iterable[Path]) -> None:
    """Raises BadInputError for the first of the files that can't be changed."""
    for path in paths:
        if not os.access(path.parent, os.W_OK):
            raise BadInputError("can't be changed: its folder is read-only", where=str(path))


def load(path: Path, model: type[Model]) -> Model:
    """The document at `path` as a `model`. Raises InvalidDocumentError with every error that was found."""
    return parse(read_text(path), str(path), model)


def parse(text: str, file: str, model: type[Model]) -> Model:
    """The document in `text` as a `model`; `file` is the name used in errors."""
    yaml = YAML(typ="rt", pure=True)
    try:
        data = yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        finding = Finding(
            rule="yaml",
            message=f"is not valid YAML: {error.problem or error.context}",
            file=file,
            line=mark.line + 1 if mark else 0,
            column=mark.column + 1 if mark else 0,
        )
        raise InvalidDocumentError([finding]) from error
    except (YAMLError, ValueError, RecursionError) as error:
        finding = Finding(rule="yaml", message=f"is not valid YAML: {type(error).__name__}", file=file)
        raise InvalidDocumentError([finding]) from error
    if not isinstance(data, Mapping):
        finding = Finding(rule="yaml", message="must be a mapping of keys to values", file=file, line=1, column=1)
        raise InvalidDocumentError([finding])
    try:
        return model.model_validate(data)
    except ValidationError as error:
        findings = [_finding(item, data, file, model) for item in error.errors()]
        raise InvalidDocumentError(findings) from error


def nearest(name: str, valid: Iterable[str]) -> str:
    """A remedy that names the valid name most like `name`, or lists them all."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"one of: {', '.join(names)}"


def _finding(item: ErrorDetails, data: Any, file: str, model: type[BaseModel]) -> Finding:
    loc, kind, message = item["loc"], item["type"], item["msg"]
    line, column = _place(loc, data)
    key = ".".join(str(part) for part in loc)
    refusal = item.get("ctx", {}).get("error")
    fix = ""
    if isinstance(refusal, InvalidValueError):
        message, fix = str(refusal), refusal.fix
    elif kind == "extra_forbidden":
        message = "is not a known key"
        fix = nearest(str(loc[-1]), _fields(loc[:-1], model))
    elif kind == "missing":
        message = "is missing"
    return Finding(rule="schema", message=f"{key}: {message}", file=file, line=line, column=column, fix=fix)


def _place(loc: tuple[int | str, ...], data: Any) -> tuple[int, int]:
    """Line and column (from 1) of the deepest part of `loc` that the document has."""
    line, column = 1, 1
    node: Any = data
    for part in loc:
        try:
            position = node.lc.key(part) if hasattr(node, "keys") else node.lc.item(part)
            line, column = position[0] + 1, position[1] + 1
            node = node[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line, column


def _fields(loc: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """The keys that the model at `loc` knows."""
    current = model
    for part in loc:
        if isinstance(part, int):
            continue  # an item of the list that the part before names
        field = current.model_fields.get(part)
        annotation = field.annotation if field else None
        inside = [kind for kind in (annotation, *get_args(annotation)) if _is_model(kind)]
        if not inside:
            return list(current.model_fields)
        current = inside[0]
    return [info.alias or name for name, info in current.model_fields.items()]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def place(text: str, loc: tuple[int | str, ...]) -> tuple[int, int]:
    """Line and column (from 1) of the key or item `loc` in the YAML document `text`, or of its nearest parent.

    For rules that look at several documents at once, after each of them has been parsed.
    """
    try:
        return _place(loc, YAML(typ="rt", pure=True).load(text))
    except (YAMLError, ValueError, RecursionError):
        return 1, 1
