"""Pipelines of merge requests: made when one is opened and when its source branch moves; which one counts."""

from __future__ import annotations

import logging

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.creation import PipelineRefusedError, PipelineRequest, create_pipeline
from infra.lab.gitlab.store.merge_request import MergeRequest
from infra.lab.gitlab.store.pipeline import Pipeline
from pipelines.language.model import PipelineSource

_LOG = logging.getLogger(__name__)


def create_merge_request_pipeline(instance: Instance, merge_request: MergeRequest, identity: Identity) -> int:
    """Makes a pipeline for the merge request's head and returns its id. Raises PipelineRefusedError."""
    if merge_request.base_sha == merge_request.head_sha:
        raise PipelineRefusedError("Merge request has no commits")
    wanted = PipelineRequest(
        project_id=merge_request.project_id,
        ref=merge_request.source_branch,
        tag=False,
        sha=merge_request.head_sha,
        identity=identity,
        source=PipelineSource.MERGE_REQUEST,
        honour_skip=True,
        save_errors=True,
        merge_request_id=merge_request.id,
    )
    return create_pipeline(instance, wanted)


def follow_up(instance: Instance, merge_request: MergeRequest, identity: Identity) -> None:
    """Makes the pipeline of a merge request that was opened or moved on, if its project has one for it.

    A push that is told twice makes one pipeline.
    """
    with instance.store.read() as session:
        own = select(Pipeline).where(Pipeline.merge_request_id == merge_request.id)
        newest = session.scalars(own.order_by(Pipeline.id.desc()).limit(1)).first()
    if newest is not None and newest.sha == merge_request.head_sha:
        return
    try:
        create_merge_request_pipeline(instance, merge_request, identity)
    except PipelineRefusedError as error:
        _LOG.info("merge request %s made no pipeline: %s", merge_request.reference, error)


def pipelines_of(merge_request: MergeRequest, shas: list[str]) -> Select[Pipeline]:
    """The merge request's own pipelines, then those of its branch for its commits; the newest first."""
    own = Pipeline.merge_request_id == merge_request.id
    return (
        select(Pipeline)
        .where(Pipeline.project_id == merge_request.project_id, or_(own, _of_branch(merge_request, shas)))
        .order_by(own.desc(), Pipeline.id.desc())
    )


def head_pipeline(session: Session, merge_request: MergeRequest) -> Pipeline | None:
    """The pipeline of the merge request's last commit: its own if there is one, else that of its branch."""
    return session.scalars(
        pipelines_of(merge_request, [merge_request.head_sha]).where(Pipeline.sha == merge_request.head_sha).limit(1)
    ).first()


def _of_branch(merge_request: MergeRequest, shas: list[str]) -> ColumnElement[bool]:
    return and_(
        Pipeline.ref == merge_request.source_branch,
        Pipeline.tag.is_(False),
        Pipeline.merge_request_id.is_(None),
        Pipeline.sha.in_(shas),
    )
