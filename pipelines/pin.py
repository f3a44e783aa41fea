"""Changes the pinned release in a catalogue file and nothing else: comments, order and layout stay."""

from __future__ import annotations

import re

from infra.core.document import InvalidDocumentError, parse, place
from infra.core.error import BadInputError
from pipelines.catalogue import Service

_PIN = re.compile(r"""(?P<key>["']?pipeline["']?\s*:\s*["']?)(?P<version>v[0-9.]+)""")


def repin(text: str, version: str, file: str) -> str:
    """The catalogue file `text` with `version` as its pinned release. `file` is the name used in errors.

    Raises BadInputError where the pin is written in a way that can't be changed in its line.
    """
    before = parse(text, file, Service)
    line, column = place(text, ("pipeline",))
    lines = text.splitlines(keepends=True)
    at = lines[line - 1]
    found = _PIN.match(at, column - 1)
    if found is not None:
        lines[line - 1] = f"{at[: found.start('version')]}{version}{at[found.end('version') :]}"
        changed = "".join(lines)
        try:
            if parse(changed, file, Service) == before.model_copy(update={"pipeline": version}):
                return changed
        except InvalidDocumentError:
            pass
    raise BadInputError(
        "the pinned release can't be changed here", where=f"{file}:{line}", fix=f"write `pipeline: {version}` in a line"
    )
