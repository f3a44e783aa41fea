"""A service that runs, asked from outside: the checks of its own repository, its health, its version."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
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
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")]
    body: Any = None
    """Sent as JSON."""
    expect: Expectation = Expectation()


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


def run_checks(checks: list[Check], url: str, dependencies: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each check's name, and what is wrong with its answer: nothing, if it is as expected."""
    with httpx.Client(timeout=TIMEOUT) as client:
        for check in checks:
            if check.of is not None and check.of not in dependencies:
                yield check.name, f"{check.of!r} is no dependency of this service in the catalogue"
                continue
            base = dependencies[check.of] if check.of else url
            yield check.name, _fault(client, check, base)


def _fault(client: httpx.Client, check: Check, base: str) -> str:
    try:
        answer = client.request(check.method, f"{base}{check.path}", json=check.body)
    except httpx.HTTPError as error:
        return f"{base} does not answer: {error or type(error).__name__}"
    if answer.status_code != check.expect.status:
        return f"status {answer.status_code}, not {check.expect.status}: {answer.text[:300].strip()}"
    if not check.expect.body:
        return ""
    try:
        found = answer.json()
    except ValueError:
        return f"the answer is not JSON: {answer.text[:300]}"
    missing = {key: value for key, value in check.expect.body.items() if not _has(found, key, value)}
    return f"expected {missing}, found {str(found)[:300]}" if missing else ""


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
            fault = _fault(client, Check(name="health", path="/health"), url) or _fault(
                client, Check(name="version", path="/version", expect=Expectation(body={"version": version})), url
            )
            if fault:
                raise FindingsError(fault, where=url, fix=fix)
            seen += 1
            if time.monotonic() + HEALTH_PERIOD > deadline:
                return seen
            time.sleep(HEALTH_PERIOD)
