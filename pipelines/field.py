"""Kinds of text that several of the project's YAML files hold."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

DESCRIPTION_LIMIT: Final = 200


def _one_printable_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be one line of printable text")
    return value


Line = Annotated[str, Field(min_length=1, max_length=DESCRIPTION_LIMIT), AfterValidator(_one_printable_line)]
TeamName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
