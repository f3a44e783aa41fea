"""A server that answers as a release of GitLab does, as far as the releases differ in what matters here.

Where each difference is known from (documents of GitLab, by their path in gitlabhq/gitlabhq):
- `ci_pipeline_variables_minimum_override_role`: since 17.1 (doc/ci/variables/_index.md), taken by an update only
  (GitLab's OpenAPI file: it is no parameter of `POST /projects`), and without effect unless
  `restrict_user_defined_variables` is on (`ProjectCiCdSetting#override_pipeline_variables_allowed?`, two stored
  versions). That one was off by default until a migration of 17.10 (gitlab-org/gitlab issue 536292; one source).
- `POST /user/runners`: since 15.11 (doc/ci/runners/new_creation_workflow.md; 201 by the OpenAPI file).
- `POST /runners` with a registration token: deprecated in 15.6, `410 Gone` where it is switched off, to go in 20.0
  (doc/update/deprecations.md; issues 379743, 387993, 525239).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote

from infra.clients.gitlab_release import Release
from tests.loopback import serving

ROLE = "ci_pipeline_variables_minimum_override_role"
RESTRICT = "restrict_user_defined_variables"
LEVELS = {"developer": 30, "maintainer": 40, "owner": 50}

Answer = tuple[int, Any]


@dataclass
class GitLabServer:
    """What one server has: a group, its projects, and runners."""

    version: str
    projects: dict[str, dict[str, Any]] = field(default_factory=dict)
    runners: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    may_make_runners: bool = True
    url: str = ""

    @property
    def release(self) -> Release:
        release = Release.parse(self.version)
        assert release is not None
        return release

    def may_set_variables(self, project: str, level: int) -> bool:
        """`override_pipeline_variables_allowed?` of GitLab's project_ci_cd_setting.rb."""
        settings = self.projects[project]
        if not settings[RESTRICT]:
            return True
        role = settings.get(ROLE, "maintainer")
        return role != "no_one_allowed" and level >= LEVELS[role]

    def answer(self, verb: str, path: str, body: Any) -> Answer:
        self.requests.append(f"{verb} {path}")
        for pattern, found in self._routes().items():
            match = re.fullmatch(pattern, f"{verb} {path}")
            if match:
                return found(body, *map(unquote, match.groups()))
        return 404, {"error": "404 Not Found"}

    def _routes(self) -> dict[str, Any]:
        return {
            "GET /version": lambda _: (200, {"version": self.version, "revision": "0123abc"}),
            "GET /groups/[^/]+": lambda _: (200, {"id": 1, "full_path": "trading"}),
            "POST /projects": self._create,
            "GET /projects/([^/]+)": lambda _, path: self._project(path),
            "PUT /projects/([^/]+)": self._update,
            "POST /user/runners": self._runner,
            "POST /runners/verify": self._verify,
            "GET /runners/all": lambda _: (
                200,
                [{"id": one["id"], "description": one["description"]} for one in self.runners],
            ),
            r"GET /runners/(\d+)": lambda _, number: (200, self.runners[int(number) - 1]),
            "POST /runners": lambda _: (410, {"message": "410 Gone"}),
        }

    def _create(self, body: Any) -> Answer:
        path = f"trading/{body['path']}"
        self.projects[path] = {
            **body,
            "id": 1,
            "path_with_namespace": path,
            "web_url": f"{self.url}/{path}",
            "http_url_to_repo": f"{self.url}/{path}.git",
            "archived": False,
            "topics": body.get("topics", []),
            RESTRICT: self.release >= Release(17, 10),
        }
        self.projects[path].pop(ROLE, None)
        if self.release >= Release(17, 1):
            self.projects[path][ROLE] = "developer"
        return 201, self.projects[path]

    def _project(self, path: str) -> Answer:
        return (200, self.projects[path]) if path in self.projects else (404, {"message": "404 Project Not Found"})

    def _update(self, body: Any, path: str) -> Answer:
        known = {name: value for name, value in body.items() if name != ROLE or self.release >= Release(17, 1)}
        self.projects[path].update(known)
        return 200, self.projects[path]

    def _runner(self, body: Any) -> Answer:
        if self.release < Release(15, 11):
            return 404, {"error": "404 Not Found"}
        if not self.may_make_runners:
            return 403, {"message": "403 Forbidden"}
        tags = [tag for tag in body.pop("tag_list", "").split(",") if tag]
        number = len(self.runners) + 1
        self.runners.append({**body, "id": number, "tag_list": tags, "maximum_timeout": None, "paused": body["paused"]})
        return 201, {"id": number, "token": f"glrt-{number}", "token_expires_at": None}

    def _verify(self, body: Any) -> Answer:
        known = body["token"] in {f"glrt-{one['id']}" for one in self.runners}
        return (200, {"id": 1, "token": body["token"]}) if known else (403, {"message": "403 Forbidden"})


@contextmanager
def replay(server: GitLabServer) -> Iterator[GitLabServer]:
    """The server, listening; its address is its `url`."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            path = self.path.partition("?")[0].removeprefix("/api/v4")
            status, told = server.answer(self.command, path, json.loads(sent) if sent else {})
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls

        def log_message(self, *_args: object) -> None:
            """Nothing is printed."""

    with serving(Handler) as address:
        server.url = address
        yield server
