"""Artifacts of jobs: taken in, found, kept, forgotten."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.artifact_file import LIMIT_BYTES, ArtifactDraft, safe_filename
from infra.lab.gitlab.pipelines.report import ReportError, dotenv, unpacked
from infra.lab.gitlab.pipelines.service import CiService
from infra.lab.gitlab.store.artifact import Artifact
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.job import WITH_RUNNER, Job
from infra.lab.gitlab.store.pipeline import Pipeline
from infra.lab.gitlab.store.project import Project
from pipelines.language import duration
from pipelines.language.model import Status

ARCHIVE, DOTENV = "archive", "dotenv"
DEFAULT_LIFETIME = timedelta(days=30)
FORMATS = ("zip", "gzip", "raw")
TYPES = frozenset(
    {
        "archive",
        "metadata",
        "trace",
        "junit",
        "sast",
        "dependency_scanning",
        "container_scanning",
        "dast",
        "codequality",
        "license_scanning",
        "performance",
        "metrics",
        "metrics_referee",
        "network_referee",
        "lsif",
        "dotenv",
        "cobertura",
        "terraform",
        "accessibility",
        "cluster_applications",
        "secret_detection",
        "requirements",
        "coverage_fuzzing",
        "browser_performance",
        "load_performance",
        "api_fuzzing",
        "cluster_image_scanning",
        "cyclonedx",
        "requirements_v2",
        "annotations",
        "repository_xray",
        "jacoco",
    }
)
"""GitLab's types of artifact files (API_Entities_Ci_JobArtifact)."""
_LOG = logging.getLogger(__name__)


class ArtifactRefusedError(Exception):
    """An upload is not accepted; the text says why."""


@dataclass(frozen=True, kw_only=True)
class ArtifactLabel:
    """What the runner says about an upload. `expire_in` is text such as `1 week`, or nothing."""

    job_id: int
    file_type: str
    file_format: str
    filename: str
    expire_in: str | None

    def expires_at(self) -> datetime | None:
        """When the file may go; None: never. Raises ArtifactRefusedError for text that is no duration."""
        if not self.expire_in:
            return now() + DEFAULT_LIFETIME
        try:
            seconds = duration.parse(self.expire_in)
        except ValueError as error:
            raise ArtifactRefusedError(f"expire_in: {error}") from error
        return None if seconds is None else now() + timedelta(seconds=seconds)


def limit_of(project: Project) -> int:
    """The largest artifact that the project may have, in bytes."""
    megabytes = project.setting("max_artifacts_size")
    return min(int(megabytes) * 1024 * 1024, LIMIT_BYTES) if megabytes else LIMIT_BYTES


def accept(instance: Instance, label: ArtifactLabel, draft: ArtifactDraft) -> None:
    """Keeps an upload. The same file twice is fine, as runners try again. Raises ArtifactRefusedError."""
    store = CiService.of(instance).artifacts
    filename = safe_filename(label.filename)
    expires_at = label.expires_at()
    variables = _dotenv(draft) if label.file_type == DOTENV else None
    with instance.store.read() as session:
        there = _find(session, label.job_id, label.file_type)
        if there is not None:
            if there.sha256 == draft.sha256:
                return
            raise ArtifactRefusedError("another artifact of the same type already exists")
    draft.keep(store.path(label.job_id, label.file_type, filename))
    with instance.store.write() as session:
        job = session.get_one(Job, label.job_id)
        if job.status not in WITH_RUNNER or _find(session, label.job_id, label.file_type) is not None:
            return
        session.add(
            Artifact(
                job_id=label.job_id,
                file_type=label.file_type,
                file_format=label.file_format,
                filename=filename,
                size=draft.size,
                sha256=draft.sha256,
                expire_at=expires_at,
            )
        )
        if variables is not None:
            job.dotenv = [list(pair) for pair in variables]
        if label.file_type == ARCHIVE:
            job.artifacts_expire_at = expires_at


def _dotenv(draft: ArtifactDraft) -> tuple[tuple[str, str], ...]:
    try:
        return dotenv(unpacked(draft.flush()))
    except ReportError as error:
        raise ArtifactRefusedError(str(error)) from error


def _find(session: Session, job_id: int, file_type: str) -> Artifact | None:
    return session.scalars(select(Artifact).where(Artifact.job_id == job_id, Artifact.file_type == file_type)).first()


def archive_of(session: Session, job_id: int) -> Artifact | None:
    """The job's archive, if it is there and its time is not over."""
    found = _find(session, job_id, ARCHIVE)
    return None if found is None or found.expired else found


def artifacts_of(session: Session, *job_ids: int) -> list[Artifact]:
    """All files of a job, or of several."""
    return list(session.scalars(select(Artifact).where(Artifact.job_id.in_(job_ids)).order_by(Artifact.id)))


def file_of(instance: Instance, artifact: Artifact) -> Path:
    """Where the bytes are."""
    return CiService.of(instance).artifacts.path(artifact.job_id, artifact.file_type, artifact.filename)


def latest_archive(session: Session, project: Project, ref: str, job_name: str) -> Artifact | None:
    """The archive of the last successful job of this name, in a successful pipeline of the ref."""
    statement = (
        select(Job)
        .join(Pipeline, Job.pipeline_id == Pipeline.id)
        .join(Artifact, Artifact.job_id == Job.id)
        .where(
            Pipeline.project_id == project.id,
            Pipeline.ref == ref,
            Pipeline.status == Status.SUCCESS,
            Job.name == job_name,
            Job.status == Status.SUCCESS,
            Artifact.file_type == ARCHIVE,
        )
        .order_by(Pipeline.id.desc(), Job.id.desc())
        .limit(1)
    )
    job = session.scalars(statement).first()
    return archive_of(session, job.id) if job is not None else None


def forget(instance: Instance, session: Session, job: Job) -> list[Path]:
    """Takes all files of a job out of the database; returns the paths to delete once that is committed."""
    paths = []
    for artifact in artifacts_of(session, job.id):
        paths.append(file_of(instance, artifact))
        session.delete(artifact)
    job.artifacts_expire_at = None
    return paths


def keep(session: Session, job: Job) -> None:
    """Lets the job's artifacts stay for good."""
    for artifact in artifacts_of(session, job.id):
        artifact.expire_at = None
    job.artifacts_expire_at = None


def delete_files(paths: list[Path]) -> None:
    """Removes files that the database has forgotten."""
    for path in paths:
        path.unlink(missing_ok=True)


def expire(instance: Instance) -> int:
    """Removes the files whose time is over; returns how many. The rows stay: a job in need of them then says so."""
    with instance.store.read() as session:
        statement = select(Artifact).where(Artifact.expire_at <= now())
        old = [file_of(instance, artifact) for artifact in session.scalars(statement)]
    gone = [path for path in old if path.exists()]
    delete_files(gone)
    return len(gone)
