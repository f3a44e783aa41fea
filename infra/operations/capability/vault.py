"""What a Vault or OpenBao is, and what its policies let Forgeline do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from infra.clients.openbao import OpenBao
from infra.core.error import ForgelineError
from infra.core.naming import (
    EVIDENCE_KEY,
    JWT_MOUNT,
    KV_MOUNT,
    NEXUS_MOUNT,
    NEXUS_PLUGIN,
    TRANSIT_MOUNT,
    build_role,
    deploy_role,
    publish_role,
)
from infra.operations.check import Check, Verdict, fine

READ_WRITE = ("create", "read", "update", "delete")


@dataclass(frozen=True)
class Need:
    """Paths of Vault, by the pattern that a policy would have, and what Forgeline does with them."""

    pattern: str
    paths: tuple[str, ...]
    capabilities: tuple[str, ...]

    @property
    def rule(self) -> str:
        """The policy that grants it, on one line of HCL."""
        granted = ", ".join(f'"{one}"' for one in self.capabilities)
        return f'path "{self.pattern}" {{ capabilities = [{granted}] }}'


def needs_of(services: tuple[str, ...]) -> tuple[Need, ...]:
    """What Forgeline does in a Vault, for these services."""
    roles = [role for name in services for role in (build_role(name), publish_role(name), deploy_role(name, "dev"))]
    mounts = (KV_MOUNT, NEXUS_MOUNT, TRANSIT_MOUNT)
    auth, key, read = f"auth/{JWT_MOUNT}", f"{TRANSIT_MOUNT}/keys/{EVIDENCE_KEY}", ("read",)
    return (
        Need("sys/mounts", ("sys/mounts",), read),
        Need("sys/auth", ("sys/auth",), read),
        *(Need(f"sys/mounts/{name}", (f"sys/mounts/{name}",), ("create", "update", "delete")) for name in mounts),
        *(Need(f"sys/mounts/{name}/tune", (f"sys/mounts/{name}/tune",), ("update",)) for name in mounts),
        Need(f"sys/auth/{JWT_MOUNT}/tune", (f"sys/auth/{JWT_MOUNT}/tune",), ("update", "sudo")),
        Need(f"sys/auth/{JWT_MOUNT}", (f"sys/auth/{JWT_MOUNT}",), ("create", "update", "delete", "sudo")),
        Need(f"{auth}/config", (f"{auth}/config",), ("create", "read", "update")),
        Need(f"{auth}/role/*", tuple(f"{auth}/role/{role}" for role in roles), READ_WRITE),
        Need(f"{auth}/role", (f"{auth}/role",), ("list",)),
        Need("sys/policies/acl/*", tuple(f"sys/policies/acl/{role}" for role in roles), READ_WRITE),
        Need(f"{NEXUS_MOUNT}/config", (f"{NEXUS_MOUNT}/config",), ("create", "read", "update")),
        Need(f"{NEXUS_MOUNT}/roles/*", tuple(f"{NEXUS_MOUNT}/roles/{publish_role(s)}" for s in services), READ_WRITE),
        Need(f"{NEXUS_MOUNT}/roles", (f"{NEXUS_MOUNT}/roles",), ("list",)),
        Need(f"{TRANSIT_MOUNT}/keys/*", (key, f"{key}/config"), READ_WRITE),
        Need(f"{TRANSIT_MOUNT}/keys", (f"{TRANSIT_MOUNT}/keys",), ("list",)),
        Need(f"{KV_MOUNT}/metadata", (f"{KV_MOUNT}/metadata",), ("list",)),
    )  # fmt: skip


def vault_checks(openbao: OpenBao, services: tuple[str, ...]) -> Iterator[Check]:
    """Product, version, auth methods and permissions. Raises ForgelineError where it can't be asked."""
    health = openbao.health()
    if health is None or health.get("sealed", True):
        state = "does not answer" if health is None else "is sealed"
        yield Check(
            name="vault",
            verdict=Verdict.MISSING,
            found=f"{openbao.url}: {state}",
            fix="look at servers.openbao.url in the profile, and at the server",
        )
        return
    yield fine("vault product", "Vault" if "enterprise" in health else "OpenBao")
    yield fine("vault version", str(health["version"]))
    needs = needs_of(services)
    granted = openbao.granted([path for need in needs for path in need.paths])
    yield fine("vault identity", openbao.who)
    lacking = [(need, _lacking(need, granted)) for need in needs]
    for need, missing in lacking:
        if missing:
            yield Check(
                name=f"vault permission {need.pattern}",
                verdict=Verdict.MISSING,
                found=f"{openbao.who} may not {', '.join(missing)}",
                fix=f"give its policy: {need.rule}",
            )
    yield fine("vault permissions", f"{sum(not missing for _, missing in lacking)} of {len(needs)} are granted")
    if not _lacking(needs[0], granted):
        yield from _plugin(openbao)
    if not _lacking(needs[1], granted):
        methods = (f"{path.rstrip('/')} ({method['type']})" for path, method in sorted(openbao.auth_methods().items()))
        yield fine("vault auth methods", ", ".join(methods))


def _lacking(need: Need, granted: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """What is not granted on some of the paths. Who may create but not update, or the other way, may do half."""
    missing: dict[str, None] = {}
    for path in need.paths:
        has = set(granted.get(path, ()))
        if "root" not in has:
            missing.update(dict.fromkeys(one for one in need.capabilities if one not in has))
    return tuple(missing)


def _plugin(openbao: OpenBao) -> Iterator[Check]:
    """Whether the engine for Nexus users can be mounted: an administrator puts plug-ins into the catalogue."""
    name = "vault plug-in"
    mounted = openbao.mounts().get(f"{NEXUS_MOUNT}/")
    if mounted is not None and mounted["type"] == NEXUS_PLUGIN:
        yield fine(name, f"{NEXUS_PLUGIN} is mounted")
        return
    try:
        known = (openbao.read("sys/plugins/catalog") or {}).get("secret") or []
    except ForgelineError:
        yield Check(
            name=name,
            verdict=Verdict.WARNING,
            found=f"{openbao.who} may not read sys/plugins/catalog: whether {NEXUS_PLUGIN} is there can't be told",
            fix='give its policy: path "sys/plugins/catalog" { capabilities = ["read"] }',
        )
        return
    if NEXUS_PLUGIN in known:
        yield fine(name, f"{NEXUS_PLUGIN} is in the catalogue")
        return
    yield Check(
        name=name,
        verdict=Verdict.MISSING,
        found=f"{NEXUS_PLUGIN} is not in the catalogue",
        fix="an administrator puts it there: docs/existing.md says how",
    )
