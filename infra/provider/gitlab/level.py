"""GitLab's access levels by name. The numbers are GitLab's own (REST: "Valid access levels")."""

from __future__ import annotations

from typing import Literal

Level = Literal["no one", "guest", "reporter", "developer", "maintainer", "owner", "admin"]

NUMBER: dict[str, int] = {
    "no one": 0,
    "guest": 10,
    "reporter": 20,
    "developer": 30,
    "maintainer": 40,
    "owner": 50,
    "admin": 60,
}
NAME = {number: name for name, number in NUMBER.items()}


def names(levels: list[dict[str, int]]) -> str:
    """The access levels of a protection as text; one name in the usual case."""
    return ",".join(sorted(NAME.get(entry["access_level"], str(entry["access_level"])) for entry in levels))
