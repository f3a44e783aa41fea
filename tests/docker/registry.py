"""A registry of one image on loopback, as far as an engine needs to pull: its manifest and its two blobs."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from http.server import BaseHTTPRequestHandler
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Registry:
    """Serves `thing` with one layer that has one file."""

    def __init__(self, content: bytes) -> None:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo("file")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        layer = gzip.compress(archive.getvalue(), compresslevel=1)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(archive.getvalue())]},
            }
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": _part("application/vnd.docker.container.image.v1+json", config),
                "layers": [_part("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
            }
        ).encode()
        self.digest = digest_of(manifest)
        self._served = {
            f"/v2/thing/manifests/{self.digest}": (MANIFEST, manifest),
            **{f"/v2/thing/blobs/{digest_of(blob)}": ("application/octet-stream", blob) for blob in (config, layer)},
            "/v2/": ("application/json", b"{}"),
        }

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """For a server on loopback."""
        served = self._served

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                kind, content = served.get(self.path, ("application/json", b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'))
                self.send_response(200 if self.path in served else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Docker-Content-Digest", digest_of(content))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

            def log_message(self, *_arguments: object) -> None:
                pass

        return Handler


def _part(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(content), "digest": digest_of(content)}
