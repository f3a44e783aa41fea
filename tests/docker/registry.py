"""A registry on loopback, as far as an engine needs to pull: manifests, indexes of platforms, and blobs."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
CONFIGURATION = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
BLOB = "application/octet-stream"


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Registry:
    """Serves the images that are added. With `credentials` (USER:PASSWORD) only to who has them."""

    def __init__(self, *, credentials: str = "") -> None:
        self.credentials = credentials
        self._served: dict[str, tuple[str, bytes | Path]] = {"/v2/": ("application/json", b"{}")}

    def add(self, name: str, tag: str, configuration: bytes, layers: Sequence[Path | bytes]) -> str:
        """An image with these layers (tar archives, compressed or not); returns its index's digest."""
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self._blob(name, CONFIGURATION, configuration),
                "layers": [self._blob(name, LAYER, layer) for layer in layers],
            }
        ).encode()
        self._manifest(name, MANIFEST, manifest)
        here = {"mediaType": MANIFEST, "size": len(manifest), "digest": digest_of(manifest)}
        platform = json.loads(configuration)
        platforms = [
            {"architecture": platform["architecture"], "os": "linux"},
            {"architecture": "s390x", "os": "linux"},
        ]
        index = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": INDEX,
                "manifests": [{**here, "platform": one} for one in platforms],
            }
        ).encode()
        self._manifest(name, INDEX, index)
        self._served[f"/v2/{name}/manifests/{tag}"] = (INDEX, index)
        return digest_of(index)

    def _manifest(self, name: str, kind: str, content: bytes) -> None:
        self._served[f"/v2/{name}/manifests/{digest_of(content)}"] = (kind, content)

    def _blob(self, name: str, kind: str, content: Path | bytes) -> dict[str, Any]:
        if isinstance(content, bytes):
            digest, size = digest_of(content), len(content)
        else:
            with content.open("rb") as file:
                digest, size = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}", content.stat().st_size
        self._served[f"/v2/{name}/blobs/{digest}"] = (BLOB, content)
        return {"mediaType": kind, "size": size, "digest": digest}

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """For a server on loopback."""
        served, credentials = self._served, base64.b64encode(self.credentials.encode()).decode()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if credentials and self.headers.get("Authorization") != f"Basic {credentials}":
                    refused = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
                    self._answer(401, "application/json", refused)
                elif self.path in served:
                    self._answer(200, *served[self.path])
                else:
                    self._answer(404, "application/json", b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')

            do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

            def _answer(self, status: int, kind: str, content: bytes | Path) -> None:
                size = len(content) if isinstance(content, bytes) else content.stat().st_size
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(size))
                if status == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="registry"')
                if isinstance(content, bytes) and status == 200:
                    self.send_header("Docker-Content-Digest", digest_of(content))
                self.end_headers()
                if self.command != "GET":
                    return
                if isinstance(content, bytes):
                    self.wfile.write(content)
                    return
                with content.open("rb") as file:
                    shutil.copyfileobj(file, self.wfile)

            def log_message(self, *_arguments: object) -> None:
                pass

        return Handler


class OneFile(Registry):
    """Serves `thing` with one layer that has one file. `digest` is its manifest's."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo("file")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        configuration = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(archive.getvalue())]},
            }
        ).encode()
        self.digest = self.add("thing", "1", configuration, [gzip.compress(archive.getvalue(), compresslevel=1)])
