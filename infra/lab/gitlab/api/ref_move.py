"""What the API answers where a branch or tag may not be moved, made or deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from infra.lab.gitlab.api.error import bad_request, forbidden, message
from infra.lab.gitlab.api.route import Request
from infra.lab.gitlab.commit import NotAllowedError, RefusedError, check_move, move_ref
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.push import NO_DEFAULT_DELETE, RefChange
from infra.lab.gitlab.store.project import Project


@contextmanager
def refusals_answered() -> Iterator[None]:
    """Turns the refusal of a move into GitLab's answer: 403 to who may not, 400 to what can't be."""
    try:
        yield
    except NotAllowedError as error:
        raise bad_request(str(error)) if str(error) == NO_DEFAULT_DELETE else forbidden(str(error)) from error
    except RefusedError as error:
        raise message(400, str(error)) from error


def delete_ref(request: Request, project: Project, ref: str, before: str) -> None:
    """Deletes the ref that stands at the object `before`."""
    change = RefChange(ref=ref, before=before, after=NO_OBJECT)
    with refusals_answered():
        check_move(request.instance, request.identity, project, change.ref, change.before, change.after)
        move_ref(request.instance, request.identity, project, change)
