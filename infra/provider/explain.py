"""Turns what the clients' libraries raise into errors that a person can act on."""

from __future__ import annotations

import requests
import urllib3
from docker.errors import DockerException
from gitlab.exceptions import GitlabError
from pydantic import ValidationError

from infra.clients import container_engine, gitlab
from infra.core.error import BadInputError, ForgelineError, ServerError


def explained(error: Exception) -> Exception:
    """The same trouble as a ForgelineError where it is one that can be explained, else what was given."""
    if isinstance(error, ForgelineError):
        return error
    if isinstance(error, GitlabError):
        return gitlab.explain(error, "GitLab")
    # The other clients tell what their libraries raise; what comes bare from below the Docker SDK is the engine's.
    if isinstance(error, DockerException | requests.RequestException | urllib3.exceptions.HTTPError):
        return container_engine.explain(error)
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return BadInputError(first["msg"], where=".".join(map(str, first["loc"])))
    if isinstance(error, ConnectionError | TimeoutError):
        return ServerError(f"the server did not answer: {type(error).__name__}", fix="run `forgeline status`")
    return RuntimeError(f"{type(error).__name__}: {error}")
