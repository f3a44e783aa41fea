"""supervisord's configuration files as text, made from descriptions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from infra.clients.supervisor.place import Place
from infra.core.error import BadInputError
from infra.core.server import Server

MARKER = "FORGELINE_SUPERVISED"
"""In the environment of everything that the supervisor starts, and of what that starts in turn."""


def daemon_configuration(place: Place, *, open_files: int) -> str:
    """supervisord.conf. `open_files` is the limit that every program inherits."""
    return "\n".join(
        [
            "[unix_http_server]",
            f"file={_escape(place.socket)}",
            "chmod=0600",
            "[supervisord]",
            f"directory={_escape(place.folder)}",
            f"logfile={_escape(place.log)}",
            "logfile_maxbytes=5MB",
            "logfile_backups=1",
            f"pidfile={_escape(place.folder / 'supervisord.pid')}",
            f"childlogdir={_escape(place.folder)}",
            "umask=077",
            f"minfds={open_files}",
            "nocleanup=true",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
            # Deployments, and people, call supervisorctl with this file.
            "[supervisorctl]",
            f"serverurl=unix://{_escape(place.socket)}",
            "[include]",
            f"files={_escape(place.programs)}/*.conf",
            "",
        ]
    )


def program_configuration(place: Place, server: Server) -> str:
    """The program's part: restarted when it dies, stopped with everything that it started."""
    environment = {**server.environment, MARKER: place.marker}
    return "\n".join(
        [
            f"; description {server.digest}",
            f"[program:{server.name}]",
            f"command={_escape(shlex.join(server.command))}",
            f"directory={_escape(server.working_folder)}",
            f"environment={_environment(environment)}",
            "autostart=true",
            "autorestart=true",
            f"startsecs={server.start_seconds}",
            "startretries=3",
            f"stopsignal={server.stop_signal}",
            f"stopwaitsecs={server.stop_seconds}",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={_escape(server.log)}",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=1",
            "umask=077",
            "",
        ]
    )


def described(text: str) -> str:
    """The digest of the description that a program's configuration was made from, or nothing."""
    first = text.partition("\n")[0]
    return first.removeprefix("; description ") if first.startswith("; description ") else ""


def _environment(variables: Mapping[str, str]) -> str:
    return ",".join(f"{name}={_quote(name, value)}" for name, value in sorted(variables.items()))


def _quote(name: str, value: str) -> str:
    """supervisord's own notation, which has two quotes and no escape."""
    if "\n" in value or ('"' in value and "'" in value):
        raise BadInputError("supervisord can't take a value with both quotes or a line break", where=f"variable {name}")
    mark = "'" if '"' in value else '"'
    return f"{mark}{_escape(value)}{mark}"


def _escape(value: object) -> str:
    """A percent sign begins an expansion, a semicolon after a space a comment."""
    text = str(value)
    if " ;" in text or "\n" in text:
        raise BadInputError("supervisord can't take ' ;' or a line break in a setting", where=text)
    return text.replace("%", "%%")
