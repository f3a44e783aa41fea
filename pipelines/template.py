"""The Jinja environment of the pipeline templates: sandboxed, strict, and with filters for every boundary of quoting.

What is rendered depends on the templates and the values given, on nothing else: no clock, environment or hash seed.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from infra.core.error import BadInputError
from infra.core.settings import ROOT

TEMPLATES: Final = ROOT / "templates" / "pipelines"


class Templates:
    """The templates of one folder."""

    def __init__(self, folder: Path = TEMPLATES) -> None:
        self.folder = folder
        self._environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(folder, encoding="utf-8"),
            undefined=StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            newline_sequence="\n",
        )
        self._environment.filters |= {
            "sh": quote_shell,
            "yaml": quote_yaml,
            "json": indented_json,
            "literal": literal_block,
            "strip_lines": strip_lines,
        }

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """The template `name` with `values`. Raises BadInputError, with the template's line, where it can't be."""
        try:
            return self._environment.get_template(name).render(values)
        except TemplateError as error:
            line = getattr(error, "lineno", None)
            where = f"{self.folder / (getattr(error, 'name', None) or name)}" + (f":{line}" if line else "")
            raise BadInputError(f"the template can't be rendered: {error.message or error}", where=where) from error

    @property
    def names(self) -> list[str]:
        """All template files, sorted."""
        return sorted(path.name for path in self.folder.glob("*.j2"))

    def digest(self) -> str:
        """SHA-256 over the names and bytes of all template files."""
        total = hashlib.sha256()
        for name in self.names:
            content = (self.folder / name).read_bytes()
            total.update(f"{name} {len(content)}\n".encode() + content)
        return total.hexdigest()


@cache
def default_templates() -> Templates:
    """The templates of this checkout, compiled once a process."""
    return Templates()


def quote_shell(value: object) -> str:
    """`value` as one word of POSIX shell."""
    return shlex.quote(str(value))


def quote_yaml(value: object) -> str:
    """`value` as a YAML scalar: double-quoted, in ASCII (every JSON string is one)."""
    return json.dumps(str(value))


def indented_json(value: object) -> str:
    """`value` as JSON over several lines, its keys sorted, for a here-document that is not expanded."""
    return json.dumps(value, indent=2, sort_keys=True)


def literal_block(text: str, indent: int) -> str:
    """`text` as a YAML literal block scalar, its lines `indent` columns in, without blank lines around it."""
    lines = _without_blank_ends(text)
    return "|\n" + "".join(f"{' ' * indent}{line}\n" if line.strip() else "\n" for line in lines)


def strip_lines(text: str) -> str:
    """`text` without blank lines at its start and end."""
    return "\n".join(_without_blank_ends(text))


def _without_blank_ends(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return lines
