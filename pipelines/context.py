"""The six occasions on which a pipeline of the standard is made, as contexts of the CI language.

The predefined variables are GitLab's (https://docs.gitlab.com/ci/variables/predefined_variables/): those that rules ask
about are set, and left out where GitLab leaves them out, since rules ask whether they are there.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pipelines.language.model import Context, PipelineSource, RefType, Variable
from pipelines.language.slug import slug

DEFAULT_BRANCH: Final = "main"
PROJECT: Final = "trading/service"
"""The project of a pipeline that says nothing about its own."""

_SHA = "0123456789abcdef0123456789abcdef01234567"
_BEFORE = "fedcba9876543210fedcba9876543210fedcba98"
_URL = "https://gitlab.example.com"


class Occasion(StrEnum):
    """What a pipeline is made for."""

    MERGE_REQUEST = "merge-request"
    BRANCH = "branch"
    MAIN = "main"
    RELEASE_TAG = "release-tag"
    SCHEDULE = "schedule"
    UNPROTECTED_TAG = "unprotected-tag"


_REFS: Final = {
    Occasion.MERGE_REQUEST: "feature/settle-faster",
    Occasion.BRANCH: "feature/settle-faster",
    Occasion.MAIN: DEFAULT_BRANCH,
    Occasion.RELEASE_TAG: "v1.2.3",
    Occasion.SCHEDULE: DEFAULT_BRANCH,
    Occasion.UNPROTECTED_TAG: "nightly",
}
_SOURCES: Final = {
    Occasion.MERGE_REQUEST: PipelineSource.MERGE_REQUEST,
    Occasion.SCHEDULE: PipelineSource.SCHEDULE,
}
PROTECTED: Final = frozenset({Occasion.MAIN, Occasion.RELEASE_TAG, Occasion.SCHEDULE})
"""Occasions on a protected ref: only there may anything be published or deployed."""
_TAGS = frozenset({Occasion.RELEASE_TAG, Occasion.UNPROTECTED_TAG})


def occasion_context(occasion: Occasion, project: str = PROJECT) -> Context:
    """The context in which `project` has a pipeline on this occasion. What changed is not known, so it may be all."""
    source = _SOURCES.get(occasion, PipelineSource.PUSH)
    values = _project(project) | _commit(occasion, source)
    if occasion is Occasion.MERGE_REQUEST:
        values |= _merge_request(project, _REFS[occasion])
    return Context(
        source=source,
        ref=_REFS[occasion],
        ref_type=RefType.TAG if occasion in _TAGS else RefType.BRANCH,
        default_branch=DEFAULT_BRANCH,
        protected=occasion in PROTECTED,
        project_path=project,
        predefined=tuple(Variable(key=key, value=value, raw=True) for key, value in values.items()),
    )


def _project(project: str) -> dict[str, str]:
    namespace, _, name = project.rpartition("/")
    return {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_SERVER": "yes",
        "CI_SERVER_URL": _URL,
        "CI_SERVER_HOST": "gitlab.example.com",
        "CI_API_V4_URL": f"{_URL}/api/v4",
        "CI_PROJECT_ID": "1",
        "CI_PROJECT_NAME": name,
        "CI_PROJECT_PATH": project,
        "CI_PROJECT_PATH_SLUG": slug(project),
        "CI_PROJECT_NAMESPACE": namespace,
        "CI_PROJECT_ROOT_NAMESPACE": namespace.partition("/")[0],
        "CI_PROJECT_URL": f"{_URL}/{project}",
        "CI_PROJECT_VISIBILITY": "private",
        "CI_DEFAULT_BRANCH": DEFAULT_BRANCH,
        "CI_CONFIG_PATH": ".gitlab-ci.yml",
        "CI_PIPELINE_ID": "1",
        "CI_PIPELINE_IID": "1",
    }


def _commit(occasion: Occasion, source: PipelineSource) -> dict[str, str]:
    ref = _REFS[occasion]
    values = {
        "CI_PIPELINE_SOURCE": str(source),
        "CI_COMMIT_SHA": _SHA,
        "CI_COMMIT_SHORT_SHA": _SHA[:8],
        "CI_COMMIT_BEFORE_SHA": _BEFORE,
        "CI_COMMIT_REF_NAME": ref,
        "CI_COMMIT_REF_SLUG": slug(ref),
        "CI_COMMIT_REF_PROTECTED": "true" if occasion in PROTECTED else "false",
        "CI_COMMIT_MESSAGE": "Settle faster",
        "CI_COMMIT_TITLE": "Settle faster",
        "CI_COMMIT_DESCRIPTION": "",
    }
    if occasion in _TAGS:
        values |= {"CI_COMMIT_TAG": ref, "CI_COMMIT_TAG_MESSAGE": ""}
    elif occasion is not Occasion.MERGE_REQUEST:
        values["CI_COMMIT_BRANCH"] = ref
    return values


def _merge_request(project: str, branch: str) -> dict[str, str]:
    return {
        "CI_MERGE_REQUEST_ID": "1",
        "CI_MERGE_REQUEST_IID": "1",
        "CI_MERGE_REQUEST_PROJECT_PATH": project,
        "CI_MERGE_REQUEST_PROJECT_URL": f"{_URL}/{project}",
        "CI_MERGE_REQUEST_REF_PATH": "refs/merge-requests/1/head",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": branch,
        "CI_MERGE_REQUEST_SOURCE_BRANCH_PROTECTED": "false",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": project,
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": DEFAULT_BRANCH,
        "CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED": "true",
        "CI_MERGE_REQUEST_TITLE": "Settle faster",
        "CI_MERGE_REQUEST_EVENT_TYPE": "detached",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": _BEFORE,
        "CI_MERGE_REQUEST_LABELS": "",
        "CI_OPEN_MERGE_REQUESTS": f"{project}!1",
    }
