"""Teams: who may own services. In GitLab each is a group, whose members may work on what the team owns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from infra.core.document import InvalidDocumentError, parse, place, read_text
from infra.core.finding import Finding
from pipelines.field import Line, TeamName

Username = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$")]
"""What GitLab takes as a user's name: https://docs.gitlab.com/user/profile/#change-your-username."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Team(_Model):
    """A team. `members` are names of users in GitLab; a company may also keep them there by other means."""

    name: TeamName
    description: Line
    members: tuple[Username, ...] = ()

    @field_validator("members")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names somebody twice")
        return value


class _File(_Model):
    teams: tuple[Team, ...]


def load_teams(path: Path) -> dict[str, Team]:
    """The teams in the file, by name. Raises InvalidDocumentError with every error at its line."""
    text = read_text(path)
    teams: dict[str, Team] = {}
    findings = []
    for index, team in enumerate(parse(text, str(path), _File).teams):
        if team.name in teams:
            line, column = place(text, ("teams", index, "name"))
            message = f"name: {team.name!r} is already the name of a team"
            findings.append(Finding(rule="duplicate-team", message=message, file=str(path), line=line, column=column))
        teams[team.name] = team
    if findings:
        raise InvalidDocumentError(findings)
    return teams


def membership(teams: Mapping[str, Team]) -> dict[str, tuple[str, ...]]:
    """The members of each team."""
    return {name: team.members for name, team in teams.items()}
