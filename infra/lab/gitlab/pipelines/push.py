"""Pushes make pipelines: one for each branch or tag that was made or moved, as the push options say."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from infra.lab.gitlab.access import Identity
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.instance import Instance, Push
from infra.lab.gitlab.pipelines.creation import PipelineRefusedError, PipelineRequest, create_pipeline
from infra.lab.gitlab.store.user import User
from pipelines.language.model import PipelineSource

_BRANCH, _TAG = "refs/heads/", "refs/tags/"
_LOG = logging.getLogger(__name__)


def on_push(instance: Instance, push: Push) -> None:
    """Makes the pipeline of a push, if its project has one for it."""
    if push.after == NO_OBJECT or push.user_id is None or not push.ref.startswith((_BRANCH, _TAG)):
        return
    tag = push.ref.startswith(_TAG)
    with instance.store.read() as session:
        user = session.get(User, push.user_id)
    if user is None:
        return
    request = PipelineRequest(
        project_id=push.project_id,
        ref=push.ref.removeprefix(_TAG if tag else _BRANCH),
        tag=tag,
        sha=push.after if not tag else None,
        before_sha=push.before,
        identity=Identity(user=user),
        source=PipelineSource.PUSH,
        variables=tuple(_variables(push.options)),
        skip="ci.skip" in push.options,
        honour_skip=True,
        save_errors=True,
        push_id=push.id,
    )
    try:
        create_pipeline(instance, request)
    except PipelineRefusedError as error:
        _LOG.info("push of %s in project %s made no pipeline: %s", push.ref, push.project_id, error)


def _variables(options: Iterable[str]) -> Iterable[dict[str, str]]:
    """`ci.variable="KEY=value"`."""
    for option in options:
        name, _, setting = option.partition("=")
        if name == "ci.variable":
            key, separator, value = setting.strip('"').partition("=")
            if separator and key:
                yield {"key": key, "value": value, "variable_type": "env_var"}
