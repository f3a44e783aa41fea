"""The foundation: the servers of the lab, the credentials they begin with, and the runner's registration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.core.server import Server
from infra.programs.container import Containers, placing
from infra.programs.gate import Gates
from infra.programs.stack import Layer, Stack

if TYPE_CHECKING:
    import pulumi

NAME = "foundation"

RUNNER = "runner"


@dataclass(frozen=True, kw_only=True)
class Foundation:
    """The servers' descriptions, and how GitLab knows the runner. `not_awaited` come up while the rest goes on."""

    servers: tuple[Server, ...]
    runner_description: str
    runner_tags: tuple[str, ...] = ()
    containers: Containers | None = None
    """What containers need beside the descriptions; without it the servers are processes."""
    not_awaited: tuple[str, ...] = ("nexus", RUNNER)


def stack(inputs: Foundation) -> Stack:
    """The foundation's stack."""
    return Stack(name=NAME, layer=Layer.FOUNDATION, inputs=inputs, program=lambda _gates: build(inputs))


def build(inputs: Foundation, _gates: Gates | None = None) -> None:
    """Declares the servers, each after those it needs."""
    import pulumi

    from infra.core.naming import RUNNER_TOKEN
    from infra.provider.resource import gitlab, vault

    place = _as_process if inputs.containers is None else placing(inputs.containers)
    made: dict[str, pulumi.Resource] = {}
    for server in _in_order(inputs.servers):
        needs = [made[name] for name in server.needs]
        after_openbao = pulumi.ResourceOptions(depends_on=[made["openbao"]] if "openbao" in made else [])
        for credential in server.credentials:
            secret = vault.KvSecret(
                credential.path,
                path=credential.path,
                generated=dict(credential.generated),
                fixed=dict(credential.fixed),
                opts=after_openbao,
            )
            if _begins_with(server, credential.path):
                needs.append(secret)
        if server.name == RUNNER:
            registration = gitlab.Runner(
                inputs.runner_description,
                description=inputs.runner_description,
                token=str(RUNNER_TOKEN),
                tag_list=list(inputs.runner_tags),
                run_untagged=True,
                opts=pulumi.ResourceOptions(depends_on=list(needs)),
            )
            needs.append(registration)
        made[server.name] = place(server, needs, server.name not in inputs.not_awaited)


def _as_process(server: Server, needs: list[pulumi.Resource], wait: bool) -> pulumi.Resource:
    import pulumi

    from infra.provider.resource import lab

    return lab.Process(
        server.name,
        name=server.name,
        server=server.model_dump(mode="json"),
        wait=wait,
        opts=pulumi.ResourceOptions(depends_on=needs),
    )


def _begins_with(server: Server, path: str) -> bool:
    """Whether the server can't be started before this entry is there."""
    templates = (*server.files, *server.preparations)
    return any(f"openbao:{path}#" in reference for template in templates for reference in template.secrets.values())


def _in_order(servers: tuple[Server, ...]) -> list[Server]:
    """The servers, each after those it needs."""
    left, ordered, done = list(servers), [], set[str]()
    keeper = {"openbao"} & {server.name for server in servers}
    while left:
        # Credentials are kept by OpenBao: it is declared before those who have some.
        ready = [s for s in left if {*s.needs, *(keeper if s.credentials else ())} <= done]
        if not ready:
            raise ValueError(f"these servers need each other, or one that is not there: {[s.name for s in left]}")
        ordered += sorted(ready, key=lambda server: server.name != "openbao")
        done |= {server.name for server in ready}
        left = [server for server in left if server.name not in done]
    return ordered
