"""OpenID discovery and the keys of ID tokens: open to all, outside the API's path."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.oidc import DISCOVERY_PATH, JWKS_PATH, discovery
from infra.lab.gitlab.pipelines.service import CiService

_CACHED = {"Cache-Control": "public, max-age=300"}


def routes(instance: Instance) -> list[BaseRoute]:
    """The two documents by which a verifier learns to trust this server's tokens."""

    def configuration(_request: Request) -> JSONResponse:
        return JSONResponse(discovery(instance.settings.external_url), headers=_CACHED)

    def keys(_request: Request) -> JSONResponse:
        return JSONResponse(CiService.of(instance).signing_key.jwks(), headers=_CACHED)

    return [Route(DISCOVERY_PATH, configuration), Route(JWKS_PATH, keys)]
