"""What GitLab's own Go client knows of the API's answers, reduced to the endpoints that the stand-in has.

`python -m tests.likeness.client_go FOLDER` derives the table anew from the source of the module
`gitlab.com/gitlab-org/api/client-go/v2` (v2.64.0; `go mod download -json` says where it is).
"""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from tests.likeness.openapi import key_of, routes

TABLE = Path(__file__).with_name("client_go.json")

_ROUTE = re.compile(r'^\s*(?:var )?(route\w+)\s*=\s*(?:route\()?"([^"]+)"', re.MULTILINE)
_STRUCT = re.compile(r"^(?:type |\t)(\w+) struct \{$", re.MULTILINE)
_ALIAS = re.compile(r"^type (\w+) = ?(\w+)$|^type (\w+) (\w+)$", re.MULTILINE)
_CALL = re.compile(r"do\[([^(]+?)\]\(\s*s\.client,(.*?)\n\t+\)", re.DOTALL)
_METHOD = re.compile(r"withMethod\(http\.Method(\w+)\)")
_PATH = re.compile(r'withPath\(\s*(?:"([^"]+)"|(\w+))')
_FIELD = re.compile(r'^(\w+)\s+(.+?)\s+`[^`]*json:"([^",]+)[^`]*`')
_INLINE = re.compile(r"^(\w+)\s+(?:\[\])?\*?(?:\[\]\*?)?struct \{$")
_CLOSED = re.compile(r'^\}\s*`[^`]*json:"([^",]+)[^`]*`')
_EMBEDDED = re.compile(r"^\*?(\w+)$")
_TAKEN = re.compile(r"[\[\]*]")


@cache
def answers() -> dict[str, Any]:
    """The table: `endpoints`, each with its type, and `types`, each with its fields and the types of those."""
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


def derive(folder: Path) -> dict[str, Any]:
    """The table of the client in a folder."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.go")) if "_test" not in path.name]
    paths = {name: path for text in texts for name, path in _ROUTE.findall(text)}
    types: dict[str, dict[str, str | None]] = {}
    for text in texts:
        for match in _STRUCT.finditer(text):
            _read(match[1], text[match.end() :].lstrip("\n").splitlines(), types)
    for text in texts:
        for match in _ALIAS.finditer(text):
            name, other = (match[1], match[2]) if match[1] else (match[3], match[4])
            if other in types:
                types.setdefault(name, types[other])
    wanted = {key_of(route.method, route.path) for route in routes()}
    endpoints = {}
    for text in texts:
        for kind, options in _CALL.findall(text):
            path = _PATH.search(options)
            if path is None or kind == "none":
                continue
            method = _METHOD.search(options)
            place = re.sub(r"%[sdv]", ":x", path[1] or paths.get(path[2], ""))
            key = key_of((method[1] if method else "Get").upper(), place)
            if key in wanted and (name := _TAKEN.sub("", kind)) in types:
                endpoints[key] = name
    used: dict[str, dict[str, str | None]] = {}
    for name in endpoints.values():
        _use(name, types, used)
    return {"endpoints": dict(sorted(endpoints.items())), "types": dict(sorted(used.items()))}


def _read(name: str, lines: list[str], types: dict[str, dict[str, str | None]]) -> int:
    """Reads one struct from its first line on; how many lines it has. A struct inside it gets a name of its own."""
    fields: dict[str, str | None] = {}
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        at += 1
        if line.startswith("}"):
            break
        if inline := _INLINE.match(line):
            inner = f"{name}.{inline[1]}"
            at += _read(inner, lines[at:], types)
            if closed := _CLOSED.match(lines[at - 1].strip()):
                fields[closed[1]] = inner
        elif field := _FIELD.match(line):
            fields[field[3]] = None if field[2].startswith("map[") else _TAKEN.sub("", field[2])
        elif (embedded := _EMBEDDED.match(line)) and embedded[1][0].isupper():
            fields[f"+{embedded[1]}"] = embedded[1]
    types[name] = fields
    return at


def _use(name: str, types: dict[str, dict[str, str | None]], used: dict[str, dict[str, str | None]]) -> None:
    """Puts a type and those of its fields into `used`; embedded structs are dissolved."""
    if name in used or name not in types:
        return
    used[name] = {}
    used[name] = _dissolved(name, types)
    for kind in used[name].values():
        if kind is not None:
            _use(kind, types, used)


def _dissolved(name: str, types: dict[str, dict[str, str | None]]) -> dict[str, str | None]:
    fields: dict[str, str | None] = {}
    for field, kind in types.get(name, {}).items():
        if field.startswith("+"):
            fields = {**_dissolved(str(kind), types), **fields}
        else:
            fields[field] = kind if kind in types else None
    return fields


if __name__ == "__main__":
    table = derive(Path(sys.argv[1]))
    parts = [
        f'"{name}": {{\n' + ",\n".join(f"{json.dumps(key)}: {json.dumps(row)}" for key, row in rows.items()) + "\n}"
        for name, rows in table.items()
    ]
    TABLE.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")
