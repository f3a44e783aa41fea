"""OpenBao: raft, sealed by a key file, initialized by its own configuration, audited to a file.

Loopback only, so without TLS. The first start makes the operator, the policy and the KV store by `initialize`
stanzas; no root token and no recovery key survive it (measured: 2.4 s from nothing, 0.3 s at a restart).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.clients.openbao import OPERATOR, OPERATOR_SECRET
from infra.core.naming import KV_MOUNT
from infra.core.server import ConfigFile, Folder, Listener, Probe, Readiness, Server
from infra.core.settings import Settings

NAME = "openbao"

POLICY = 'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }'
"""The operator configures everything, so the policy allows everything."""


def describe(settings: Settings, tools: Mapping[str, Path]) -> Server:
    """The lab's OpenBao. `tools` needs `openbao`; with `nexus-secrets` its folder becomes the plugin folder."""
    home = settings.data(NAME)
    password = home / "operator.password"
    configuration = _configuration(settings, tools, home, password)
    return Server(
        name=NAME,
        version="2.7.2",
        command=(str(tools["openbao"]), "server", f"-config={home / 'openbao.json'}"),
        environment={"HOME": str(home)},
        working_folder=str(home),
        folders=(Folder(path=str(home)), Folder(path=str(home / "data")), Folder(path=str(home / "audit"))),
        files=(
            ConfigFile(path=str(home / "openbao.json"), content=json.dumps(configuration, indent=2) + "\n"),
            ConfigFile(
                path=str(password),
                content="{{password}}",
                secrets={"password": str(OPERATOR_SECRET)},
                first_start_only=True,
            ),
        ),
        listeners=(
            Listener(name="api", number=settings.profile.ports.openbao, address=settings.profile.address),
            Listener(name="cluster", number=settings.profile.ports.openbao_cluster, address=settings.profile.address),
        ),
        readiness=Readiness(probe=Probe.OPENBAO, url=settings.openbao_url, timeout=60),
        stop_seconds=10,
        memory_mib=110,
        started_once=str(home / "initialized"),
        unfinished=(str(home / "data"),),
        log=str(home / "openbao.log"),
    )


def _configuration(settings: Settings, tools: Mapping[str, Path], home: Path, password: Path) -> dict[str, Any]:
    address, ports = settings.profile.address, settings.profile.ports
    configuration: dict[str, Any] = {
        "api_addr": settings.openbao_url,
        "cluster_addr": f"https://{address}:{ports.openbao_cluster}",
        # The web interface is how a person looks at the lab's secrets.
        "ui": True,
        "storage": {"raft": {"path": str(home / "data"), "node_id": "lab", "performance_multiplier": 1}},
        "listener": [
            {
                "tcp": {
                    "address": f"{address}:{ports.openbao}",
                    "cluster_address": f"{address}:{ports.openbao_cluster}",
                    "tls_disable": True,
                }
            }
        ],
        "seal": {"static": {"current_key_id": "bootstrap-1", "current_key": f"file://{settings.bootstrap_key}"}},
        "audit": [{"file": {"file": _audit(home)}}],
        "initialize": [{"forgeline": {"request": _requests(password)}}],
    }
    if "nexus-secrets" in tools:
        configuration["plugin_directory"] = str(tools["nexus-secrets"].parent)
    return configuration


def _audit(home: Path) -> dict[str, Any]:
    """The audit log. Without a second field beside `options` OpenBao's parser takes `options` for a name."""
    return {
        "description": "every request",
        "options": {"file_path": str(home / "audit" / "audit.log"), "mode": "0600"},
    }


def _requests(password: Path) -> list[dict[str, Any]]:
    """What the first start does, in this order. It ends with the login: who can sign in finds all of it."""
    return [
        _request("kv", f"sys/mounts/{KV_MOUNT}", {"type": "kv", "options": {"version": "2"}}),
        _request("policy", f"sys/policies/acl/{OPERATOR}", {"policy": POLICY}),
        _request("userpass", "sys/auth/userpass", {"type": "userpass"}),
        _request(
            "operator",
            f"auth/userpass/users/{OPERATOR}",
            {
                "password": {"eval_type": "string", "eval_source": "file", "path": str(password)},
                "token_policies": [OPERATOR],
                "token_type": "batch",
                "token_ttl": "1h",
            },
        ),
    ]


def _request(name: str, path: str, data: dict[str, Any]) -> dict[str, Any]:
    return {name: {"operation": "update", "path": path, "data": data}}
