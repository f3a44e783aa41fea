"""Uploads of artifacts, streamed to disk: a body of any size costs no memory, and never more disk than the limit.

An ASGI endpoint of its own, because the API's endpoints have read their body when they start.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from infra.lab.gitlab.api.error import ApiError, message
from infra.lab.gitlab.api.runner_protocol import running_job
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.artifact import (
    ARCHIVE,
    FORMATS,
    TYPES,
    ArtifactLabel,
    ArtifactRefusedError,
    accept,
    limit_of,
)
from infra.lab.gitlab.pipelines.artifact_file import ArtifactDraft, ArtifactStore, ArtifactTooLargeError
from infra.lab.gitlab.pipelines.service import CiService

_FIELD_LIMIT = 4096
_PATIENCE = 4
"""How many times the limit is read and thrown away before the connection is cut."""


def routes(instance: Instance) -> list[BaseRoute]:
    """The endpoint; it must come before the API's own."""

    async def endpoint(request: Request) -> Response:
        try:
            return await _upload(instance, request)
        except ApiError as error:
            return JSONResponse(error.body, error.status, error.headers)

    return [Route("/api/v4/jobs/{job_id:int}/artifacts", endpoint, methods=["POST"])]


@dataclass
class _Form:
    """What a multipart body holds, as it comes in: the part `file` goes to the draft, small fields are kept."""

    draft: ArtifactDraft
    filename: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    too_large: bool = False
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _name: str = ""
    _is_file: bool = False
    _seen_file: bool = False
    _part: bytearray = field(default_factory=bytearray)

    def parser(self, boundary: bytes) -> MultipartParser:
        """A parser that tells this object what it finds."""
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header_done,
                "on_part_data": self._data,
                "on_part_end": self._end,
            },
        )

    @property
    def has_file(self) -> bool:
        """Whether the part `file` came."""
        return self._seen_file

    def _begin(self) -> None:
        self._name, self._is_file = "", False
        self._part.clear()

    def _header_done(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._name = options.get(b"name", b"").decode("utf-8", "replace")
            if b"filename" in options and self._name == "file":
                self._is_file = self._seen_file = True
                self.filename = options[b"filename"].decode("utf-8", "replace")
        self._header.clear()
        self._value.clear()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._part.extend(data[start : min(end, start + _FIELD_LIMIT)])
            return
        if self.too_large:
            return
        try:
            self.draft.write(data[start:end])
        except ArtifactTooLargeError:
            # The rest is read and thrown away: a client that is still sending would not see the answer.
            self.too_large = True

    def _end(self) -> None:
        if self._name and not self._is_file:
            self.fields[self._name] = bytes(self._part[:_FIELD_LIMIT]).decode("utf-8", "replace")


async def _upload(instance: Instance, request: Request) -> Response:
    job_id = int(request.path_params["job_id"])
    token = request.query_params.get("token") or request.headers.get("job-token") or ""
    limit = await anyio.to_thread.run_sync(_limit, instance, job_id, token)
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise message(400, "400 Bad request - file is missing")
    store = ArtifactStore(root=CiService.of(instance).artifacts.root, limit=limit)
    with store.draft() as draft:
        form = _Form(draft=draft)
        parser = form.parser(boundary)
        received = 0
        try:
            async for chunk in request.stream():
                received += len(chunk)
                if received > _PATIENCE * limit + _FIELD_LIMIT:
                    form.too_large = True
                    break
                parser.write(chunk)
        except MultipartParseError as error:
            raise message(400, "400 Bad request - the form cannot be read") from error
        if form.too_large:
            raise message(413, "413 Request Entity Too Large")
        if not form.has_file:
            raise message(400, "400 Bad request - file is missing")
        await anyio.to_thread.run_sync(_accept, instance, _label(request, job_id, form), draft)
    return PlainTextResponse("201", 201)


def _limit(instance: Instance, job_id: int, token: str) -> int:
    """Checks the token before anything is read; the most bytes that the job may send."""
    with instance.store.read() as session:
        job = running_job(session, instance, job_id, token)
        return min(limit_of(job.pipeline.project), CiService.of(instance).artifacts.limit)


def _label(request: Request, job_id: int, form: _Form) -> ArtifactLabel:
    given = {**form.fields, **request.query_params}
    label = ArtifactLabel(
        job_id=job_id,
        file_type=given.get("artifact_type") or ARCHIVE,
        file_format=given.get("artifact_format") or "zip",
        filename=form.filename or "artifacts.zip",
        expire_in=given.get("expire_in"),
    )
    for name, allowed in (
        ("artifact_type", label.file_type in TYPES),
        ("artifact_format", label.file_format in FORMATS),
    ):
        if not allowed:
            raise ApiError(400, {"error": f"{name} does not have a valid value"})
    return label


def _accept(instance: Instance, label: ArtifactLabel, draft: ArtifactDraft) -> None:
    try:
        accept(instance, label, draft)
    except ArtifactRefusedError as error:
        raise message(400, str(error)) from error
