"""Path globs of `rules:changes`, `rules:exists` and `include:local`: Ruby's `File.fnmatch` with path names,
leading dots and `{a,b}` (https://docs.gitlab.com/ci/yaml/#ruleschanges)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from pipelines.language.pattern import Pattern, PatternError

COMPARISON_LIMIT = 50_000
"""Above that many comparisons GitLab takes a match for granted."""

LENGTH_LIMIT = 4096
"""Characters of a glob with wildcards; a longer one matches nothing."""


def matches_any(globs: Iterable[str], paths: Iterable[str], limit: int = COMPARISON_LIMIT) -> bool:
    """Whether one of the globs matches one of the paths, or there are more comparisons to make than `limit`."""
    wanted = list(dict.fromkeys(globs))
    present = list(paths)
    if len(wanted) * len(present) > limit:
        return True
    return any(matches(glob, path) for glob in wanted for path in present)


def matches(glob: str, path: str) -> bool:
    """Whether the whole of `path` is what `glob` describes. A glob that makes no sense matches nothing."""
    if not set(glob) & set("*?[{\\"):
        return glob == path
    if len(glob) > LENGTH_LIMIT:
        return False
    try:
        return _compiled(glob).search(path)
    except PatternError:
        return False


@lru_cache(maxsize=512)
def _compiled(glob: str) -> Pattern:
    return Pattern("^(?:" + _expression(glob) + ")$", "s")


def _expression(glob: str) -> str:
    out = ""
    at = 0
    depth = 0
    while at < len(glob):
        character = glob[at]
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] in "/{,"):
            out += "(?:[^/]+/)*"
            at += 3
            continue
        at += 1
        if character == "*":
            while glob[at : at + 1] == "*":
                at += 1
            out += "[^/]*"
        elif character == "?":
            out += "[^/]"
        elif character == "[" and (match := re.compile(r"[!^]?\]?[^\]/]*\]").match(glob, at)):
            inside = match[0][:-1]
            negated = inside[:1] in ("!", "^")
            at = match.end()
            out += "[" + ("^/" if negated else "") + _escaped_class(inside[1:] if negated else inside) + "]"
        elif character == "{" and "}" in glob[at:]:
            out, depth = out + "(?:", depth + 1
        elif character == "}" and depth:
            out, depth = out + ")", depth - 1
        elif character == "," and depth:
            out += "|"
        elif character == "\\" and at < len(glob):
            out += re.escape(glob[at])
            at += 1
        else:
            out += re.escape(character)
    return out


def _escaped_class(inside: str) -> str:
    return inside.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace("^", "\\^")
