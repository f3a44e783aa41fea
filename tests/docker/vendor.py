"""Images laid out as their vendors' are, of the toolchain's real programs: paths, users, volumes, entry points.

What each has is from the vendor's own build file, which `infra.servers.official` names. The system below is Debian's
instead of Alpine's or Red Hat's. **In GitLab's place is the stand-in**, with the image's paths and nothing else of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from infra.images.entry import from_tar
from infra.images.image import Image
from infra.images.trust import JAVA
from infra.toolchain.pin import machine

NET_BIND_SERVICE = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
"""`cap_net_bind_service=+ep` as a file has it (linux/capability.h, revision 2)."""

OPENBAO_ENTRY = """\
#!/bin/sh
set -e
ulimit -c 0
# Told by the word "server" or "bao", it would change owners and set a capability, as root may.
if [ "$1" = server ] || [ "$1" = bao ]; then
    setcap cap_ipc_lock=+ep /usr/bin/bao
fi
exec "$@"
"""

NEXUS_SCRIPT = """\
#!/bin/sh
[ "$1" = run ] || { echo "Usage: nexus run" >&2; exit 2; }
export JAVA_HOME=/opt/java KARAF_DATA=/nexus-data EXTRA_JAVA_OPTS="$INSTALL4J_ADD_VM_PARAMS"
exec /opt/nexus/bin/nexus server
"""

GITLAB_INIT = r"""#!/opt/forgeline/.venv/bin/python
# The stand-in, started as GitLab's image is: it is not GitLab.
import os, pathlib, re, sys

told = pathlib.Path("/etc/gitlab/gitlab.rb").read_text()

def value(pattern):
    return re.search(pattern, told, re.MULTILINE)[1]

url = value(r'^external_url "(.+)"$')
address = value(r"^nginx\['listen_addresses'\] = \[\"(.+)\"\]$")
port = value(r"^nginx\['listen_port'\] = (\d+)$")
assert os.getuid() == 0 and os.environ["GITLAB_DISABLE_OPENSSH"] == "true"
pathlib.Path("/var/log/gitlab/reconfigure").mkdir(parents=True, exist_ok=True)
pathlib.Path("/opt/gitlab/service").mkdir()
print("Configuring GitLab...", flush=True)
os.environ["HOME"] = "/var/opt/gitlab"
os.chdir("/opt/forgeline")
os.execv(sys.executable, [sys.executable, "-m", "infra.lab.gitlab", "serve", "--data=/var/opt/gitlab/data",
    f"--host={address}", f"--port={port}", f"--external-url={url}"])
"""

GITLAB_RAILS = r"""#!/opt/forgeline/.venv/bin/python
# Reads what the Ruby would do, and does it to the stand-in: the administrator's first password and token.
import json, os, pathlib, re, subprocess, sys

assert sys.argv[1] == "runner" and "PersonalAccessToken" in sys.argv[2]
told = pathlib.Path("/etc/gitlab/gitlab.rb").read_text()
first = pathlib.Path(re.search(r'initial_root_password\'\] = File\.read\("(.+?)"\)', told)[1])
given = {"username": "root", "password": first.read_text(), "token": sys.stdin.read()}
os.chdir("/opt/forgeline")
sys.exit(subprocess.run([sys.executable, "-m", "infra.lab.gitlab", "bootstrap", "--data=/var/opt/gitlab/data"],
    input=json.dumps(given), text=True).returncode)
"""


class Layer:
    """A layer of few files."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: list[tuple[tarfile.TarInfo, bytes]] = []

    def folder(self, path: str, *, owner: int = 0, group: int = 0) -> None:
        """An empty folder."""
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o755, owner, group
        self._entries.append((entry, b""))

    def program(self, path: str, content: str | bytes | Path, *, capability: bytes = b"") -> None:
        """A program, with the capability that its file has."""
        content = content.encode() if isinstance(content, str) else content
        data = content.read_bytes() if isinstance(content, Path) else content
        entry = tarfile.TarInfo(path)
        entry.mode, entry.size = 0o755, len(data)
        if capability:
            entry.pax_headers = {"SCHILY.xattr.security.capability": capability.decode("ascii")}
        self._entries.append((entry, data))

    def written(self) -> Path:
        """The archive."""
        with tarfile.open(self._path, "w", format=tarfile.PAX_FORMAT) as tar:
            for entry, data in self._entries:
                tar.addfile(entry, io.BytesIO(data))
        return self._path


def configured(layers: list[Path], **config: Any) -> bytes:
    """An image's configuration, as its vendor's build file would make it."""
    sums = []
    for layer in layers:
        with layer.open("rb") as file:
            sums.append(f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")
    return json.dumps(
        {
            "architecture": machine().partition("-")[2],
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": sums},
        }
    ).encode()


def tool_layer(image: Image, index: int) -> Path:
    """The archive of one of the layers of an image that is built here."""
    return image.layers[index].archive


def laid_out(
    server: str, image: Image, programs: dict[str, Path], workbench: Path, folder: Path
) -> tuple[bytes, list[Path]]:
    """Configuration and layers of a server's image. `image` is the one that is built here for it, and `workbench` the
    layer that has curl.
    """
    path = ["PATH=/usr/local/bin:/usr/bin:/bin"]
    layer = Layer(folder / f"{server}.tar")
    below = [tool_layer(image, 0)]
    match server:
        case "openbao":
            layer.folder("openbao", owner=100, group=1000)
            for name in ("config", "file", "logs"):
                layer.folder(f"openbao/{name}", owner=100, group=1000)
            layer.program("usr/bin/bao", programs["openbao"])
            layer.program("usr/local/bin/docker-entrypoint.sh", OPENBAO_ENTRY)
            config: dict[str, Any] = {
                "User": "100:1000",
                "Entrypoint": ["docker-entrypoint.sh"],
                "Cmd": ["server", "-dev", "-dev-no-store-token"],
                "Volumes": {"/openbao/file": {}, "/openbao/logs": {}},
            }
        case "nexus":
            # Java and Nexus are where our image has them; what the vendor's has, calls them.
            below = [below[0], workbench, *(tool_layer(image, index) for index in (1, 2))]
            layer.folder("nexus-data", owner=200, group=200)
            # Whom Java trusts: the layer that has curl takes it away.
            layer.program(JAVA, from_tar(tool_layer(image, 0))[JAVA].read())
            layer.program("opt/sonatype/nexus/bin/nexus", NEXUS_SCRIPT)
            config = {
                "User": "200:200",
                "Cmd": ["/opt/sonatype/nexus/bin/nexus", "run"],
                "Volumes": {"/nexus-data": {}},
                "WorkingDir": "/opt/sonatype",
            }
        case "proxy":
            below = [below[0], workbench]
            layer.program("usr/bin/caddy", programs["caddy"], capability=NET_BIND_SERVICE)
            path += ["XDG_CONFIG_HOME=/config", "XDG_DATA_HOME=/data"]
            config = {"Cmd": ["caddy", "run"], "WorkingDir": "/srv"}
        case "runner":
            layer.program("usr/bin/gitlab-runner", programs["gitlab-runner"])
            config = {
                "Entrypoint": ["/usr/bin/dumb-init", "/entrypoint"],
                "Volumes": {"/etc/gitlab-runner": {}, "/home/gitlab-runner": {}},
                "StopSignal": "SIGQUIT",
            }
        case _:
            below = [one.archive for one in image.layers[:-1]]
            layer.program("assets/init-container", GITLAB_INIT)
            layer.program("opt/gitlab/bin/gitlab-rails", GITLAB_RAILS)
            config = {
                "Cmd": ["/assets/init-container"],
                "Volumes": {"/etc/gitlab": {}, "/var/log/gitlab": {}, "/var/opt/gitlab": {}},
                "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 60_000_000_000},
                "Labels": {"forgeline.stand-in": "true"},
            }
    layers = [*below, layer.written()]
    return configured(layers, Env=path, **config), layers
