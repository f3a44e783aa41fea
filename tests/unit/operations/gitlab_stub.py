"""A GitLab of a few reading endpoints over HTTP, for tests that count what is asked and that make it fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from infra.clients.gitlab import GitLab
from infra.core.secret import SecretValue
from tests.loopback import serving

Answer = Callable[[dict[str, str]], Any]
PAGE = 100


@contextmanager
def stub(answers: Mapping[str, Answer], asked: list[str]) -> Iterator[GitLab]:
    """A client of a server that answers GET by path below `/api/v4`; lists come in pages, as from GitLab.

    An answer that is a number is that HTTP status. What is asked is noted as `PATH`.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path).removeprefix("/api/v4")
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            asked.append(path)
            found = answers[path](query) if path in answers else 404
            headers = {}
            if isinstance(found, list):
                size, page = int(query.get("per_page", 20)), int(query.get("page", 1))
                if len(found) > page * size:
                    query["page"] = str(page + 1)
                    more = "&".join(f"{name}={value}" for name, value in query.items())
                    address = f"http://{self.headers['Host']}{parts.path}?{more}"
                    headers["Link"] = f'<{address}>; rel="next"'
                found = found[(page - 1) * size : page * size]
            status = found if isinstance(found, int) else 200
            body = json.dumps({"message": "no"} if isinstance(found, int) else found).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": len(body), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with serving(Handler) as address:
        client = GitLab(address, SecretValue("x"))
        yield client
        client.close()
