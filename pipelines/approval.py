"""Who may approve a release: another person than those who had a hand in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from infra.core.error import BadInputError


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody, by the user name in GitLab, the e-mail address, or both."""

    login: str = ""
    email: str = ""

    @classmethod
    def written(cls, text: str) -> Self:
        """The person of a commit or a tag: `Ann Example <ann@example.org>`."""
        match = re.search(r"<([^<>]*)>\s*$", text)
        return cls(email=(match[1] if match else text).strip())

    @classmethod
    def recorded(cls, text: str) -> Self:
        """The person that the job `validate` noted: the user name, then the e-mail address, a line each."""
        login, _, email = text.partition("\n")
        return cls(login=login.strip(), email=email.strip())

    def is_same(self, other: Person) -> bool:
        """Whether one of the names is the same; upper and lower case are."""
        pairs = ((self.login, other.login), (self.email, other.email))
        return any(mine and mine.casefold() == theirs.casefold() for mine, theirs in pairs)

    def __str__(self) -> str:
        return self.login or self.email or "nobody"


def approver(environ: Mapping[str, str]) -> Person:
    """Who started the job. Raises BadInputError outside of GitLab's jobs."""
    person = Person(login=environ.get("GITLAB_USER_LOGIN", ""), email=environ.get("GITLAB_USER_EMAIL", ""))
    if not person.login:
        raise BadInputError("nobody knows who approves: GITLAB_USER_LOGIN is not set", fix="approve in GitLab")
    return person


def objections(person: Person, involved: Mapping[str, Person]) -> Iterator[str]:
    """What `person` had a hand in, of the people `involved` by what they did; an empty one is not known."""
    for deed, other in involved.items():
        if person.is_same(other):
            yield deed
