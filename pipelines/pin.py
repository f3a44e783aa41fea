"""Changes a version in a catalogue file or the release's, and nothing else: comments, order and layout stay."""

from __future__ import annotations

import re

from pydantic import BaseModel

from infra.core.document import InvalidDocumentError, parse, place
from infra.core.error import BadInputError
from pipelines.catalogue import ReleaseFile, Service


def repin(text: str, version: str, file: str) -> str:
    """The catalogue file `text` with `version` as its pinned release. `file` is the name used in errors.

    Raises BadInputError where the pin is written in a way that can't be changed in its line.
    """
    return _changed(text, "pipeline", version, file, Service)


def reversion(text: str, version: str, file: str) -> str:
    """The file `release.yaml` with `version` as the release that is made. Raises BadInputError as `repin` does."""
    return _changed(text, "version", version, file, ReleaseFile)


def _changed(text: str, key: str, version: str, file: str, model: type[BaseModel]) -> str:
    before = parse(text, file, model)
    line, column = place(text, (key,))
    lines = text.splitlines(keepends=True)
    at = lines[line - 1]
    found = re.compile(rf"""["']?{key}["']?\s*:\s*["']?(?P<version>v[0-9.]+)""").match(at, column - 1)
    if found is not None:
        lines[line - 1] = f"{at[: found.start('version')]}{version}{at[found.end('version') :]}"
        changed = "".join(lines)
        try:
            if parse(changed, file, model) == before.model_copy(update={key: version}):
                return changed
        except InvalidDocumentError:
            pass
    what = "pinned release" if key == "pipeline" else "version"
    raise BadInputError(
        f"the {what} can't be changed here", where=f"{file}:{line}", fix=f"write `{key}: {version}` in a line"
    )
