"""GitLab's Community Edition in its vendor's image: all of GitLab in one container, behind the proxy.

Its settings are one file, `gitlab.rb`. The administrator's password is beside it for the first start only; the token is
made inside, as soon as GitLab answers, and goes in by standard input.

The settings are those of gitlabhq/omnibus-gitlab at 2026-08-21: doc/settings/nginx.md (a proxy in front),
doc/settings/memory_constrained_envs.md (memory), files/gitlab-config-template/gitlab.rb.template (the names).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.core.naming import GITLAB_ROOT
from infra.core.server import ConfigFile, Credential, FirstUse, Listener, Probe, Readiness, Server
from infra.core.settings import Settings
from infra.servers import health
from infra.servers.place import Place

NAME = "gitlab"

SECONDS = 1200
"""How long the first start may take: minutes on 2 cores, most of it for `reconfigure` and the database."""

TOKEN_DAYS = 365
"""The longest that GitLab lets a token live (docs/versions.md)."""

_SCOPES = ("api", "read_user", "sudo", "admin_mode", "read_repository", "write_repository", "create_runner")

_MAKE_TOKEN = f"""\
token = $stdin.read
unless PersonalAccessToken.find_by_token(token)
  root = User.find_by_username!("root")
  made = root.personal_access_tokens.build(
    name: "forgeline", scopes: {json.dumps(_SCOPES)}, expires_at: {TOKEN_DAYS}.days.from_now)
  made.set_token(token)
  made.save!
end
"""
"""Ruby for `gitlab-rails runner`: GitLab's documentation makes a token in this way
(doc/user/profile/personal_access_tokens.md, "Create a personal access token programmatically")."""


def describe(settings: Settings, place: Place) -> Server:
    """GitLab. The image brings everything."""
    home = place.home(NAME)
    return Server(
        name=NAME,
        version="",
        command=("/assets/init-container",),
        # Nothing of it is published, and Git goes through the proxy.
        environment={"GITLAB_DISABLE_OPENSSH": "true"},
        working_folder="/",
        files=(
            ConfigFile(path=str(home / "gitlab.rb"), content=_configuration(settings, place)),
            ConfigFile(
                path=str(home / "first-password"),
                content="{{password}}",
                secrets={"password": f"openbao:{GITLAB_ROOT}#password"},
                first_start_only=True,
            ),
        ),
        listeners=(Listener(name="http", number=settings.profile.ports.gitlab, address=place.address),),
        needs=("openbao",),
        credentials=(
            Credential(path=GITLAB_ROOT, fixed={"username": "root"}, generated={"password": "", "token": "glpat-"}),
        ),
        first_uses=(
            FirstUse(
                answers=f"{settings.gitlab_url}/-/readiness",
                command=("/opt/gitlab/bin/gitlab-rails", "runner", _MAKE_TOKEN),
                content="{{token}}",
                secrets={"token": f"openbao:{GITLAB_ROOT}#token"},
            ),
        ),
        health=health.answers(place.address, settings.profile.ports.gitlab, "/-/readiness"),
        readiness=Readiness(
            probe=Probe.GITLAB,
            url=settings.gitlab_url,
            secrets={"token": f"openbao:{GITLAB_ROOT}#token"},
            timeout=SECONDS,
            tells=True,
        ),
        stop_seconds=120,
        memory_mib=4096,
        started_once=str(home / "forgeline-initialized"),
        log="/var/log/gitlab",
    )


def _configuration(settings: Settings, place: Place) -> str:
    """`gitlab.rb`: GitLab behind a proxy that has the certificate, without what Forgeline has no use for."""
    network = str(settings.profile.network.subnet)
    port = settings.profile.ports.gitlab
    given: list[tuple[str, Any]] = [
        ("nginx['listen_addresses']", [place.address]),
        ("nginx['listen_port']", port),
        ("nginx['listen_https']", False),
        # Who asks is told by the proxy, which is believed; and from this network the health endpoints may be asked.
        ("nginx['real_ip_trusted_addresses']", [network]),
        ("nginx['real_ip_header']", "X-Forwarded-For"),
        ("nginx['real_ip_recursive']", "on"),
        ("gitlab_rails['monitoring_whitelist']", ["127.0.0.0/8", network]),
        ("nginx['proxy_set_headers']", {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "on"}),
        ("letsencrypt['enable']", False),
        ("gitlab_rails['store_initial_root_password']", False),
        ("gitlab_rails['display_initial_root_password']", False),
        ("gitlab_rails['usage_ping_enabled']", False),
        ("puma['worker_processes']", 0 if settings.profile.memory_gib == SMALLEST_GIB else 2),
        ("sidekiq['concurrency']", 10),
        ("prometheus_monitoring['enable']", False),
        ("registry['enable']", False),
        ("gitlab_kas['enable']", False),
        ("gitlab_rails['env']", _ALLOCATOR),
        ("gitaly['env']", {**_ALLOCATOR, "GITALY_COMMAND_SPAWN_MAX_PARALLEL": "2"}),
    ]
    lines = [f"external_url {_ruby(settings.gitlab_url)}"]
    lines += [f"{name} = {_ruby(value)}" for name, value in given]
    first = _ruby(str(place.home(NAME) / "first-password"))
    lines.append(f"gitlab_rails['initial_root_password'] = File.read({first}) if File.exist?({first})")
    return "\n".join([*lines, ""])


SMALLEST_GIB = 8
"""On a machine of this size GitLab's web server is one process."""

_ALLOCATOR = {"MALLOC_CONF": "dirty_decay_ms:1000,muzzy_decay_ms:1000"}


def _ruby(value: Any) -> str:
    """The value as Ruby writes it. No text here has what Ruby would replace in one: `#{…}`."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_ruby(key)} => {_ruby(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_ruby, value)) + "]"
    return json.dumps(value)
