"""Merge requests that wait for their pipeline: merged when it succeeds."""

from __future__ import annotations

import logging

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity
from infra.lab.gitlab.commit import NotAllowedError, RefusedError
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.merge import CI, Mergeability, MergeOptions, may_merge, merge, mergeability
from infra.lab.gitlab.pipelines.merge_request import head_pipeline
from infra.lab.gitlab.store.merge_request import MergeRequest, MergeRequestState
from infra.lab.gitlab.store.user import User
from pipelines.language.model import Status

_LOG = logging.getLogger(__name__)


def merge_ready(instance: Instance) -> None:
    """Merges those whose pipeline has succeeded, in the name of whoever asked for it."""
    waiting = select(MergeRequest).where(
        MergeRequest.auto_merge.is_(True), MergeRequest.state == MergeRequestState.OPENED
    )
    with instance.store.read() as session:
        ready = [each for each in session.scalars(waiting) if _pipeline_succeeded(session, each)]
    for each in ready:
        problem = _merge(instance, each)
        if problem:
            _LOG.warning("%s could not be merged by itself: %s", each.reference, problem)
            with instance.store.write() as session:
                current = session.get_one(MergeRequest, each.id)
                current.auto_merge, current.merge_error = False, problem


def _pipeline_succeeded(session: Session, merge_request: MergeRequest) -> bool:
    pipeline = head_pipeline(session, merge_request)
    return pipeline is not None and pipeline.status == Status.SUCCESS


def _merge(instance: Instance, merge_request: MergeRequest) -> str | None:
    """Merges it; what is in the way, or None."""
    with instance.store.read() as session:
        current = session.get_one(MergeRequest, merge_request.id)
        user = session.get(User, current.merge_user_id) if current.merge_user_id is not None else None
        identity = Identity(user=user)
        if not may_merge(session, identity, current):
            return "Whoever asked for the merge may not merge any more"
        found = mergeability(session, instance.repository(current.project_id), current)
    if found in CI:
        return None
    if found is not Mergeability.MERGEABLE:
        return f"Branch cannot be merged: {found}"
    try:
        merge(instance, identity, current, MergeOptions(**current.merge_parameters))
    except (NotAllowedError, RefusedError) as error:
        return str(error)
    return None
