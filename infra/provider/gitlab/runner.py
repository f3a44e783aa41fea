"""Runners. GitLab shows a runner's token once: it goes straight into OpenBao."""

from __future__ import annotations

from typing import Any, Literal

from gitlab.exceptions import GitlabError
from pydantic import Field

from infra.provider.connection import Connections
from infra.provider.gitlab.removal import delete_absent_ok
from infra.provider.kind import DIFFERS, Fields, Found, Inputs, Kind, Names, Ref


class Runner(Inputs):
    """An instance-wide runner; its natural key is its description. `token` names where its token is kept."""

    description: str
    token: Ref
    tag_list: Names = Field(default_factory=list)
    run_untagged: bool = True
    locked: bool = False
    access_level: Literal["not_protected", "ref_protected"] = "not_protected"
    paused: bool = False
    maximum_timeout: int | None = None


_PLAIN = set(Runner.model_fields) - {"description", "token"}


def _find(connections: Connections, wanted: Runner) -> Any:
    gitlab = connections.gitlab()
    for listed in gitlab.api.runners_all.list(type="instance_type", iterator=True):
        if listed.description == wanted.description:
            return gitlab.api.runners.get(listed.id)
    return None


def _token_works(connections: Connections, reference: str) -> bool:
    stored = connections.find_secret(reference)
    if stored is None:
        return False
    try:
        connections.gitlab().api.runners.verify(stored.reveal())
    except GitlabError as error:
        if error.response_code in {401, 403, 404}:
            return False
        raise
    return True


def _read(connections: Connections, wanted: Runner) -> Found | None:
    server = _find(connections, wanted)
    if server is None:
        return None
    fields = {name: getattr(server, name, None) for name in _PLAIN}
    fields["tag_list"] = sorted(server.tag_list)
    fields["maximum_timeout"] = server.maximum_timeout or None
    reference = getattr(wanted, "token", None)
    known = reference is not None and _token_works(connections, reference)
    fields["token"] = reference if known else DIFFERS
    return Found(fields={"description": server.description, **fields}, computed={"runner_id": server.id})


def _create(connections: Connections, wanted: Runner) -> Fields:
    gitlab = connections.gitlab()
    values = wanted.model_dump(include=_PLAIN, exclude_none=True)
    values["tag_list"] = ",".join(wanted.tag_list)
    values |= {"runner_type": "instance_type", "description": wanted.description}
    made: Any = gitlab.api.http_post("/user/runners", post_data=values)
    try:
        connections.keep_secret(wanted.token, made["token"])
    except BaseException:
        # A runner whose token nobody has can't be used: it must not be left behind.
        gitlab.api.runners.delete(made["id"])
        raise
    return {"runner_id": made["id"]}


def _update(connections: Connections, old: Fields, wanted: Runner) -> Fields:
    gitlab = connections.gitlab()
    if old.get("token") != wanted.token or not _token_works(connections, wanted.token):
        # Its token can't be had again, and a replaced runner must not stay behind as a phantom.
        delete_absent_ok(lambda: gitlab.api.runners.delete(old["runner_id"]))
        return _create(connections, wanted)
    values = wanted.model_dump(include=_PLAIN, exclude_none=True)
    gitlab.api.runners.update(old["runner_id"], values)
    return {"runner_id": old["runner_id"]}


def _delete(connections: Connections, wanted: Runner) -> None:
    server = _find(connections, wanted)
    if server is not None:
        delete_absent_ok(lambda: connections.gitlab().api.runners.delete(server.id))


RUNNER = Kind(
    type_name="forgeline:gitlab:Runner",
    inputs=Runner,
    key=("description",),
    computed={"runner_id": int},
    read=_read,
    create=_create,
    update=_update,
    delete=_delete,
)
