"""Artifacts of jobs: the archive, single files of it, keeping and deleting; and the runner's download."""

from __future__ import annotations

from mimetypes import guess_type
from pathlib import PurePosixPath
from urllib.parse import quote

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, StreamingResponse
from starlette.responses import Response as RawResponse

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.ci_entity import show_job
from infra.lab.gitlab.api.error import bad_request, forbidden, not_found
from infra.lab.gitlab.api.job import find_job
from infra.lab.gitlab.api.parameter import boolean, string
from infra.lab.gitlab.api.pipeline import readable_project
from infra.lab.gitlab.api.route import Answer, Entry, Request, Route, delete, get, post
from infra.lab.gitlab.api.runner_protocol import token_of
from infra.lab.gitlab.pipelines.artifact import archive_of, delete_files, file_of, forget, keep, latest_archive
from infra.lab.gitlab.pipelines.artifact_file import EntryNotFoundError, archive_entry
from infra.lab.gitlab.pipelines.service import CiService
from infra.lab.gitlab.store.artifact import Artifact
from infra.lab.gitlab.store.job import WITH_RUNNER, Job

_DEEPEST = 24


def _archive(request: Request) -> Answer:
    job = find_job(request, readable_project(request))
    return _send(request, archive_of(request.session, job.id))


def _archive_of_ref(request: Request) -> Answer:
    project = readable_project(request)
    artifact = latest_archive(request.session, project, request.segment("ref_name"), request.params["job"])
    return _send(request, artifact)


def _send(request: Request, artifact: Artifact | None) -> RawResponse:
    if artifact is None or not file_of(request.instance, artifact).exists():
        raise not_found()
    return FileResponse(
        file_of(request.instance, artifact), media_type="application/octet-stream", filename=artifact.filename
    )


def _file(request: Request) -> Answer:
    job = find_job(request, readable_project(request))
    return _send_file(request, archive_of(request.session, job.id))


def _file_of_ref(request: Request) -> Answer:
    project = readable_project(request)
    artifact = latest_archive(request.session, project, request.segment("ref_name"), request.params["job"])
    return _send_file(request, artifact)


def _send_file(request: Request, artifact: Artifact | None) -> RawResponse:
    if artifact is None:
        raise not_found()
    parts = [request.segments[name] for name in _names(_DEEPEST) if name in request.segments]
    path = "/".join(parts)
    if ".." in PurePosixPath(path).parts or path.startswith("/"):
        raise bad_request("artifact_path")
    try:
        content = archive_entry(file_of(request.instance, artifact), path)
    except EntryNotFoundError as error:
        raise not_found() from error
    name = PurePosixPath(path).name
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return StreamingResponse(content, headers=headers, media_type=guess_type(name)[0] or "application/octet-stream")


def _keep(request: Request) -> Answer:
    job = find_job(request, request.project(Role.DEVELOPER))
    if archive_of(request.session, job.id) is None:
        raise not_found()
    keep(request.session, job)
    return show_job(request.instance, request.session, job)


def _delete(request: Request) -> Answer:
    job = find_job(request, request.project(Role.MAINTAINER))
    paths = forget(request.instance, request.session, job)
    return RawResponse(status_code=204, background=BackgroundTask(delete_files, paths))


def _for_runner(request: Request) -> Answer:
    """A job's archive for a later job: with that job's own token, or with the token of a running job of the project."""
    session = request.session
    wanted = session.get(Job, request.number("job_id"))
    shown_id = CiService.of(request.instance).tokens.job_id(token_of(request.params, request.headers))
    shown = session.get(Job, shown_id) if shown_id is not None else None
    if wanted is None or shown is None:
        raise forbidden()
    if shown.id != wanted.id and (shown.status not in WITH_RUNNER or shown.project_id != wanted.project_id):
        raise forbidden()
    return _send(request, archive_of(session, wanted.id))


def _names(count: int) -> list[str]:
    return [f"part{number}" for number in range(count)]


def _at_any_depth(path: str) -> list[str]:
    """Paths of files have as many slashes as they like; the router counts segments."""
    return [path + "/" + "/".join(f":{name}" for name in _names(depth)) for depth in range(1, _DEEPEST + 1)]


_OF_JOB = "/projects/:id/jobs/:job_id/artifacts"
_OF_REF = "/projects/:id/jobs/artifacts/:ref_name"
_JOB, _TOKEN = string("job", required=True), string("job_token")

ROUTES: tuple[Route, ...] = (
    get(_OF_JOB, _archive, _TOKEN, entry=Entry.ANYONE, job_token=True),
    get(f"{_OF_REF}/download", _archive_of_ref, _JOB, _TOKEN, entry=Entry.ANYONE, job_token=True),
    *(get(path, _file, _TOKEN, entry=Entry.ANYONE, job_token=True) for path in _at_any_depth(_OF_JOB)),
    *(
        get(path, _file_of_ref, _JOB, _TOKEN, entry=Entry.ANYONE, job_token=True)
        for path in _at_any_depth(f"{_OF_REF}/raw")
    ),
    post(f"{_OF_JOB}/keep", _keep),
    delete(_OF_JOB, _delete),
    get("/jobs/:job_id/artifacts", _for_runner, string("token"), boolean("direct_download"), entry=Entry.OPEN),
)
