"""The vendors' images, as their own build files describe them. Each entry names the repository and file it is from.

Each container has what its image can't do without, and nothing more: the rest is as for the images that are built here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from infra.servers import gitlab_ce, nexus, openbao, proxy
from infra.servers.housing import Housing

_CURL = ("curl", "--fail", "--silent", "--show-error", "--output", "/dev/null", "--max-time", "8")

OPENBAO = Housing(
    programs={"openbao": Path("/usr/bin/bao")},
    user="100:1000",
    # The image declares both as volumes; nothing is kept there.
    tmpfs=("/openbao/file", "/openbao/logs", "/tmp"),  # noqa: S108 - memory of its own
    health=("/usr/bin/bao", "status", "-address=http://{address}:{port}"),
)
"""openbao/openbao, Dockerfile: `/usr/bin/bao`, user and group `openbao` as Alpine numbers them (`adduser -S`: 100, the
first `addgroup`: 1000; openbao/openbao-helm, templates/_helpers.tpl has the same numbers), volumes `/openbao/file` and
`/openbao/logs`. Its entry point (.release/docker/docker-entrypoint.sh) changes owners and sets a capability when the
command is the word `bao`, and only runs it when it is a path: so nothing needs root. It has no bash."""

NEXUS = Housing(
    user="200:200",
    volumes={"": Path("/nexus-data")},
    home=Path("/nexus-data"),
    programs={"nexus": Path("/opt/sonatype/nexus/bin/nexus")},
    # Nexus writes beside its programs.
    read_only=False,
    health=(*_CURL, "http://{address}:{port}/service/rest/v1/status"),
)
"""sonatype/docker-nexus3, Dockerfile.alpine.java21 and Dockerfile.java21: user and group 200, the volume `/nexus-data`,
`/opt/sonatype/nexus/bin/nexus run`, Java found by that script; curl. It does not run on a read-only file system
(sonatype/nexus3 3.96.2, tried by the authors of a public architecture record)."""

PROXY = Housing(
    programs={"caddy": Path("/usr/bin/caddy")},
    # The program's file has this capability: the kernel refuses to run it where it can't be had, whoever runs it.
    capabilities=("NET_BIND_SERVICE",),
    # It asks itself, by an address that its certificate need not name.
    health=(*_CURL, "--insecure", "https://{address}:{port}" + proxy.WELL),
)
"""caddyserver/caddy-docker, as docker-library/repo-info tells it (repos/caddy/remote/2.11.4.md): no user and no entry
point, curl and no bash, `/usr/bin/caddy` with `setcap cap_net_bind_service=+ep`."""

GITLAB = Housing(
    user="0:0",
    volumes={
        "-configuration": Path("/etc/gitlab"),
        "-logs": Path("/var/log/gitlab"),
        "": Path("/var/opt/gitlab"),
    },
    home=Path("/etc/gitlab"),
    shm_mib=256,
    # `reconfigure` writes /opt/gitlab and /etc, and starts each service as a user of its own.
    read_only=False,
    capabilities=("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
)
"""gitlabhq/omnibus-gitlab, docker/Dockerfile: no user, the three volumes, `/assets/init-container`; 256 MiB of shared
memory as GitLab's documentation of the image has it (doc/install/docker). Which capabilities it needs the vendor does
not say: these are of an engine's usual ones those that changing owners and users takes. No GitLab was seen to start
with them: its image can't be had where Forgeline is made."""

OFFICIAL: Mapping[str, Housing] = {
    gitlab_ce.NAME: GITLAB,
    nexus.NAME: NEXUS,
    openbao.NAME: OPENBAO,
    proxy.NAME: PROXY,
}
"""By the server. The runner's container is built here in any case, and gets GitLab Runner's program from its image."""

RUNNER_PROGRAMS = "/usr/bin"
"""Where the vendor's image has `gitlab-runner` (gitlabhq/gitlab-runner, dockerfiles/runner/Dockerfile)."""
