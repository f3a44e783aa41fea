"""OpenBao: raft, sealed by a key file, initialized by its own configuration, audited to a file.

Without TLS: it listens on loopback, or behind the proxy. The first start makes the operator, the policy and the KV
store by `initialize` stanzas; no root token and no recovery key survive it (measured: 2.4 s from nothing, 0.3 s at a
restart).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infra.clients.authority import AUTHORITY_KEY
from infra.clients.openbao import OPERATOR, OPERATOR_SECRET
from infra.core.naming import KV_MOUNT
from infra.core.secret import DerivedSecret, Form
from infra.core.server import ConfigFile, Folder, Listener, Probe, Readiness, Server
from infra.core.settings import Settings
from infra.servers import health
from infra.servers.place import Place

NAME = "openbao"

POLICY = 'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }'
"""The operator configures everything, so the policy allows everything."""

PKI_MOUNT = "pki"
PKI_ROLE = "servers"

SEAL_SECRET = DerivedSecret("openbao-seal", Form.HEX)


def describe(settings: Settings, place: Place) -> Server:
    """OpenBao. The place's programs must have `openbao`; with `nexus-secrets` its folder becomes the plugin folder."""
    home = place.home(NAME)
    password = home / "operator.password"
    configuration = _configuration(settings, place, password)
    seal = ConfigFile(path=str(_seal_key(place)), content="{{key}}", secrets={"key": str(SEAL_SECRET)})
    authority = ConfigFile(
        path=str(_authority(place)),
        content=f"{{{{key}}}}{place.authority}",
        secrets={"key": str(AUTHORITY_KEY)},
        first_start_only=True,
    )
    trust = {"SSL_CERT_FILE": str(place.trust)} if place.trust else {}
    return Server(
        name=NAME,
        version="2.7.2",
        command=(str(place.programs["openbao"]), "server", f"-config={home / 'openbao.json'}"),
        environment={"HOME": str(home), **trust},
        working_folder=str(home),
        folders=(Folder(path=str(home)), Folder(path=str(home / "data")), Folder(path=str(home / "audit"))),
        files=(
            ConfigFile(path=str(home / "openbao.json"), content=json.dumps(configuration, indent=2) + "\n"),
            *([] if place.seal_key else [seal]),
            *([authority] if place.authority else []),
            ConfigFile(
                path=str(password),
                content="{{password}}",
                secrets={"password": str(OPERATOR_SECRET)},
                first_start_only=True,
            ),
        ),
        listeners=(
            Listener(name="api", number=settings.profile.ports.openbao, address=place.address),
            Listener(name="cluster", number=settings.profile.ports.openbao_cluster, address=place.address),
        ),
        needs=place.first,
        health=health.answers(place.address, settings.profile.ports.openbao, "/v1/sys/health"),
        readiness=Readiness(probe=Probe.OPENBAO, url=settings.openbao_url, timeout=60),
        stop_seconds=10,
        memory_mib=110,
        started_once=str(home / "initialized"),
        unfinished=(str(home / "data"),),
        log=str(home / "openbao.log"),
    )


def _configuration(settings: Settings, place: Place, password: Path) -> dict[str, Any]:
    home, address, ports = place.home(NAME), place.address, settings.profile.ports
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
        "seal": {"static": {"current_key_id": "bootstrap-1", "current_key": f"file://{_seal_key(place)}"}},
        "audit": [{"file": {"file": _audit(home)}}],
        "initialize": [{"forgeline": {"request": _requests(place, password)}}],
    }
    if "nexus-secrets" in place.programs:
        configuration["plugin_directory"] = str(place.programs["nexus-secrets"].parent)
    return configuration


def _seal_key(place: Place) -> Path:
    return place.seal_key or place.home(NAME) / "seal.key"


def _audit(home: Path) -> dict[str, Any]:
    """The audit log. Without a second field beside `options` OpenBao's parser takes `options` for a name."""
    return {
        "description": "every request",
        "options": {"file_path": str(home / "audit" / "audit.log"), "mode": "0600"},
    }


def _authority(place: Place) -> Path:
    return place.home(NAME) / "authority.pem"


def _requests(place: Place, password: Path) -> list[dict[str, Any]]:
    """What the first start does, in this order. It ends with the login: who can sign in finds all of it."""
    return [
        *(_pki(place) if place.authority else []),
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


def _pki(place: Place) -> list[dict[str, Any]]:
    """The private authority: what signs the servers' certificates."""
    bundle = {"eval_type": "string", "eval_source": "file", "path": str(_authority(place))}
    role = {"allow_any_name": True, "enforce_hostnames": False, "allow_ip_sans": True, "key_type": "any"}
    return [
        _request("pki", f"sys/mounts/{PKI_MOUNT}", {"type": "pki", "config": {"max_lease_ttl": "87600h"}}),
        _request("authority", f"{PKI_MOUNT}/config/ca", {"pem_bundle": bundle}),
        _request("servers", f"{PKI_MOUNT}/roles/{PKI_ROLE}", {**role, "ttl": "9528h", "max_ttl": "9528h"}),
    ]


def _request(name: str, path: str, data: dict[str, Any]) -> dict[str, Any]:
    return {name: {"operation": "update", "path": path, "data": data}}
