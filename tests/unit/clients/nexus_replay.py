"""A server that answers as a version of Nexus does, as far as the facts go, and keeps what it is told."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.loopback import serving
from tests.unit.clients.nexus_fact import ANONYMOUS, EDITION, EULA, LATE, POLICIES, REAL, REALMS, REST, TEXT

Answer = tuple[int, Any]


@dataclass
class Nexus:
    """What one server has. Its administrator's password can be changed."""

    version: str
    edition: str = ""
    password: str = "right"
    accepted: bool = False
    realms: list[str] = field(default_factory=lambda: ["NexusAuthenticatingRealm"])
    anonymous: dict[str, Any] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        self.edition = self.edition or EDITION[self.version]
        self.anonymous = self.anonymous or {
            "enabled": self.version != LATE,
            "userId": "anonymous",
            "realmName": "NexusAuthorizingRealm",
        }

    @property
    def has_agreement(self) -> bool:
        return self.version != REAL

    def answer(self, verb: str, path: str, body: Any, *, signed_in: bool) -> Answer:
        self.requests.append(f"{verb} {path}")
        if path in {f"{REST}/status", f"{REST}/status/writable"}:
            return 200, None
        if not signed_in and not (path.startswith("/repository/") and self.anonymous["enabled"]):
            return 401, None
        for pattern, found in self._routes().items():
            if re.fullmatch(pattern, path):
                return found(verb, path, body)
        return 404, None

    def _routes(self) -> dict[str, Any]:
        return {
            re.escape(f"{REST}/status/check"): lambda *_: (200, {}),
            re.escape(f"{REST}/repositories"): lambda *_: (200, []),
            re.escape("/service/rest/internal/ui/repositories/recipes"): lambda *_: (
                200,
                [{"format": "raw", "type": "hosted"}],
            ),
            re.escape(EULA): self._eula,
            "/repository/.*": self._content,
            re.escape(REALMS): self._realms,
            re.escape(ANONYMOUS): self._anonymous,
            re.escape(POLICIES) + "(/.*)?": self._policies,
            re.escape(f"{REST}/security/users/admin/change-password"): self._password,
        }

    def _eula(self, verb: str, _path: str, body: Any) -> Answer:
        if not self.has_agreement:
            return 404, None
        if verb == "GET":
            return 200, {"accepted": self.accepted, "disclaimer": TEXT}
        if body["disclaimer"] != TEXT:
            return 500, "ERROR: (ID 1) Invalid EULA disclaimer"
        self.accepted = bool(body["accepted"])
        return 204, None

    def _content(self, _verb: str, _path: str, _body: Any) -> Answer:
        if self.has_agreement and self.edition == "COMMUNITY" and not self.accepted:
            return (
                403,
                "You must accept the End User License Agreement (EULA) through the onboarding wizard or REST API",
            )
        return 404, None

    def _realms(self, verb: str, _path: str, body: Any) -> Answer:
        if verb == "GET":
            return 200, self.realms
        if "NexusAuthorizingRealm" in body:
            return 400, [{"id": "*", "message": '"Unknown realmIds: [NexusAuthorizingRealm]"'}]
        self.realms = body
        return 204, None

    def _anonymous(self, verb: str, _path: str, body: Any) -> Answer:
        if verb == "PUT":
            self.anonymous = body
        return 200, self.anonymous

    def _policies(self, verb: str, path: str, body: Any) -> Answer:
        name = path.removeprefix(POLICIES).lstrip("/")
        if verb == "POST" and body["name"] in self.policies:
            return 400, [{"id": "PARAMETER name", "message": "Name is already used, must be unique (ignoring case)"}]
        if verb != "POST" and name not in self.policies:
            return 404, None
        if verb == "DELETE":
            del self.policies[name]
            return 204, None
        if verb in {"POST", "PUT"}:
            self.policies[body["name"]] = {**body, "retain": None, "sortBy": None, "inUseCount": 0}
        return 200, self.policies[name or body["name"]]

    def _password(self, _verb: str, _path: str, body: Any) -> Answer:
        self.password = body
        return 204, None


@contextmanager
def replay(nexus: Nexus) -> Iterator[Nexus]:
    """The server, listening; its address is its `url`."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            body = json.loads(sent) if self.headers.get("Content-Type") == "application/json" else sent
            right = "Basic " + base64.b64encode(f"admin:{nexus.password}".encode()).decode()
            given = self.headers.get("Authorization")
            path = self.path.partition("?")[0]
            if given not in {None, right}:
                status, told = 401, None
            else:
                status, told = nexus.answer(self.command, path, body, signed_in=given is not None)
            content = b"" if told is None else told.encode() if isinstance(told, str) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls

        def version_string(self) -> str:
            return f"Nexus/{nexus.version} ({nexus.edition})"

        def log_message(self, *_args: object) -> None:
            """Nothing is printed."""

    with serving(Handler) as address:
        nexus.url = address
        yield nexus
