"""A service that runs, asked from outside: the checks of its own repository, its health, its version.

Services are deployed by pipelines of their own, at the same time. So a check that needs a dependency (`of`, `needs`)
waits for it a while; where it still is not there, the check is not made, which is told and is no fault. A dependency
that is there, and that the service does not reach, is one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from infra.core.document import read_text
from infra.core.error import BadInputError, FindingsError

TIMEOUT: Final = 10.0
"""Seconds for one request."""

HEALTH_PERIOD: Final = 0.5
"""Seconds between two looks at a service's health."""

PATIENCE: Final = 15.0
"""Seconds that all checks of a service together wait for its dependencies."""

PAUSE: Final = 1.0
"""Seconds between two looks for a dependency."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Expectation(_Model):
    """What an answer must be: its status, and what its JSON must at least have."""

    status: Annotated[int, Field(ge=100, le=599)] = 200
    body: dict[str, Any] = {}


class Check(_Model):
    """A request and what it must be answered with."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    of: str | None = None
    """A dependency that is asked instead of the service itself."""
    needs: tuple[str, ...] = ()
    """Dependencies that the service calls for its answer."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")]
    body: Any = None
    """Sent as JSON."""
    expect: Expectation = Expectation()

    @property
    def wanted(self) -> tuple[str, ...]:
        """The dependencies without which there is no answer."""
        return (*self.needs, *([self.of] if self.of else []))


def read_checks(path: Path) -> list[Check]:
    """The checks in a JSON file. Raises BadInputError for one that is not there, not valid, or has none."""
    if not path.is_file():
        raise BadInputError(
            "is not there: a service without integration checks can't go on",
            where=str(path),
            fix="write the requests that show that it works with its dependencies; docs/pipelines.md has the format",
        )
    try:
        checks = TypeAdapter(list[Check]).validate_json(read_text(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise BadInputError(f"{key}: {first['msg']}" if key else first["msg"], where=str(path)) from error
    if not checks:
        raise BadInputError("has no check", where=str(path))
    return checks


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A check's name, and what is wrong with the answer, or why there is none: both empty if all is well."""

    name: str
    fault: str = ""
    missing: str = ""
    """The service that is not deployed here."""

    @property
    def is_fine(self) -> bool:
        """Whether the answer is there, and is what it should be."""
        return not self.fault and not self.missing


def run_checks(
    checks: list[Check], url: str, dependencies: Mapping[str, str], *, patience: float = PATIENCE
) -> Iterator[Outcome]:
    """Make the checks in their order. `dependencies` are addresses by name; `patience` is in seconds."""
    deadline = time.monotonic() + patience
    with httpx.Client(timeout=TIMEOUT) as client:
        run = _Run(client, url, dependencies)
        gone: dict[str, str] = {}
        for index, check in enumerate(checks):
            outcome = run.outcome(check)
            # A dependency that was restarted has forgotten what earlier checks told it.
            before = [earlier for earlier in checks[:index] if earlier.wanted]
            while check.wanted and not outcome.is_fine and time.monotonic() + PAUSE < deadline:
                time.sleep(PAUSE)
                for earlier in before:
                    run.outcome(earlier)
                outcome = run.outcome(check)
            # What an earlier check could not tell a dependency, it can't know.
            untold = [gone[name] for name in check.wanted if name in gone]
            if outcome.fault and untold:
                outcome = Outcome(name=check.name, missing=untold[0])
            if outcome.missing and check.of:
                gone[check.of] = outcome.missing
            yield outcome


@dataclass(frozen=True)
class _Run:
    client: httpx.Client
    url: str
    dependencies: Mapping[str, str]

    def outcome(self, check: Check) -> Outcome:
        """Of one attempt."""
        unknown = [name for name in check.wanted if name not in self.dependencies]
        if unknown:
            return Outcome(name=check.name, fault=f"{unknown[0]!r} is no dependency of this service in the catalogue")
        absent = [name for name in check.wanted if not self._is_there(name)]
        if absent:
            return Outcome(name=check.name, missing=absent[0])
        fault, unavailable = _asked(self.client, check, self.dependencies[check.of] if check.of else self.url)
        if check.wanted and unavailable and not self._is_there(unavailable):
            return Outcome(name=check.name, missing=unavailable)
        return Outcome(name=check.name, fault=fault)

    def _is_there(self, name: str) -> bool:
        """Whether a dependency is healthy. Of what a dependency needs itself, its own word is taken that it is not."""
        base = self.dependencies.get(name)
        return base is not None and not _asked(self.client, Check(name="health", path="/health"), base)[0]


def _asked(client: httpx.Client, check: Check, base: str) -> tuple[str, str]:
    """What is wrong with the answer, and the service that it names as not there."""
    try:
        answer = client.request(check.method, f"{base}{check.path}", json=check.body)
    except httpx.HTTPError as error:
        return f"{base} does not answer: {error or type(error).__name__}", ""
    try:
        found = answer.json()
    except ValueError:
        found = None
    unavailable = str(found.get("unavailable", "")) if isinstance(found, dict) else ""
    if answer.status_code != check.expect.status:
        return f"status {answer.status_code}, not {check.expect.status}: {answer.text[:300].strip()}", unavailable
    if not check.expect.body:
        return "", ""
    if found is None:
        return f"the answer is not JSON: {answer.text[:300]}", ""
    missing = {key: value for key, value in check.expect.body.items() if not _has(found, key, value)}
    return (f"expected {missing}, found {str(found)[:300]}", unavailable) if missing else ("", "")


def _has(found: Any, key: str, value: Any) -> bool:
    return isinstance(found, dict) and key in found and found[key] == value


def watch_health(url: str, version: str, seconds: float, *, fix: str = "the service's own log says more") -> int:
    """How often the service was healthy and of this version, asked for `seconds`. Raises FindingsError with `fix` the
    first time that it is not: a version that answers only sometimes is not one that serves.
    """
    deadline = time.monotonic() + seconds
    seen = 0
    with httpx.Client(timeout=TIMEOUT) as client:
        while True:
            wanted = Check(name="version", path="/version", expect=Expectation(body={"version": version}))
            health = Check(name="health", path="/health")
            fault = _asked(client, health, url)[0] or _asked(client, wanted, url)[0]
            if fault:
                raise FindingsError(fault, where=url, fix=fix)
            seen += 1
            if time.monotonic() + HEALTH_PERIOD > deadline:
                return seen
            time.sleep(HEALTH_PERIOD)
