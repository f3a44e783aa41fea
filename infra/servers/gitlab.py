"""The embedded GitLab stand-in. Its administrator's password and token are generated, kept in OpenBao."""

from __future__ import annotations

import json

from infra.core.naming import GITLAB_ROOT
from infra.core.server import Credential, Folder, Listener, Preparation, Probe, Readiness, Server
from infra.core.settings import Settings
from infra.servers import health
from infra.servers.place import Place

NAME = "gitlab"


def describe(settings: Settings, place: Place) -> Server:
    """The GitLab stand-in. It needs no tool but Python and git."""
    home = place.home(NAME)
    data = home / "data"
    module = (str(place.python), "-m", "infra.lab.gitlab")
    port = settings.profile.ports.gitlab
    environment = {"PYTHONUNBUFFERED": "1", "HOME": str(home)}
    return Server(
        name=NAME,
        version="stand-in",
        command=(
            *module,
            "serve",
            f"--data={data}",
            f"--host={place.address}",
            f"--port={port}",
            f"--external-url={settings.gitlab_url}",
        ),
        environment=environment,
        working_folder=str(place.checkout),
        folders=(Folder(path=str(home)), Folder(path=str(data))),
        listeners=(Listener(name="http", number=port, address=place.address),),
        needs=("openbao",),
        credentials=(
            Credential(path=GITLAB_ROOT, fixed={"username": "root"}, generated={"password": "", "token": "glpat-"}),
        ),
        preparations=(
            Preparation(
                command=(*module, "bootstrap", f"--data={data}"),
                environment=environment,
                content=json.dumps({"username": "root", "password": "{{password}}", "token": "{{token}}"}),
                secrets={
                    "password": f"openbao:{GITLAB_ROOT}#password",
                    "token": f"openbao:{GITLAB_ROOT}#token",
                },
            ),
        ),
        health=health.answers(place.address, port, "/-/readiness"),
        readiness=Readiness(
            probe=Probe.GITLAB, url=settings.gitlab_url, secrets={"token": f"openbao:{GITLAB_ROOT}#token"}, timeout=60
        ),
        stop_seconds=15,
        memory_mib=120,
        log=str(home / "gitlab.log"),
    )
