"""GitLab's three bodies of an error: `message` (application), `error` (parameter), `error_description` (token)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """Ends the request with this answer. The transaction is undone."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def message(status: int, text: str | list[str] | dict[str, list[str]]) -> ApiError:
    """An error of the application, `{"message": …}`."""
    return ApiError(status, {"message": text})


def parameter(text: str) -> ApiError:
    """A parameter is missing or wrong: 400 `{"error": "name is missing"}`."""
    return ApiError(400, {"error": text})


def bad_request(reason: str) -> ApiError:
    """400 `{"message": "400 Bad request - REASON"}`."""
    return message(400, f"400 Bad request - {reason}")


def unauthorized() -> ApiError:
    """401: nobody, or a token that is not known."""
    return message(401, "401 Unauthorized")


def forbidden(reason: str = "") -> ApiError:
    """403: may see it, may not do it."""
    return message(403, f"403 Forbidden - {reason}" if reason else "403 Forbidden")


def not_found(thing: str = "") -> ApiError:
    """404 `{"message": "404 Project Not Found"}`; without a thing, GitLab's answer for a bare record (small f)."""
    return message(404, f"404 {thing} Not Found" if thing else "404 Not found")


def conflict(text: str) -> ApiError:
    """409 with the text as it is."""
    return message(409, text)


def token_error(status: int, error: str, description: str, scope: str = "") -> ApiError:
    """A token that was revoked, has expired or does not open this."""
    body = {"error": error, "error_description": description}
    return ApiError(status, {**body, "scope": scope} if scope else body)


def taken(*fields: str) -> ApiError:
    """400: another record has this value in each of the fields."""
    return message(400, {name: ["has already been taken"] for name in fields})
