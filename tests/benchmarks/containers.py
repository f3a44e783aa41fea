"""The profile `docker` with the images that are built here, beside Nexus's container alone and `docker compose up`.

Prints and keeps one JSON document. The engine is one of the measurement's own; the images are given to it first, so
that none of their building is measured. `docker compose` starts the very containers that Forgeline made, by their own
settings and on their own volumes, and is compared with `forgeline up` after `forgeline down`. Where it can't be had
(PATH's `docker-compose`, else Go's modules), its figure is missing and the reason is there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from docker.models.containers import Container as Running

from infra.clients.container import PROFILE_LABEL, SERVER_LABEL, ContainerFiles
from infra.clients.container_engine import ContainerEngine
from infra.core.naming import container_name
from infra.core.settings import PROFILES
from infra.servers import nexus
from infra.servers.housing import VOLUME
from infra.servers.proxy import WELL
from tests.benchmarks.__main__ import first_pipelines, timed_up
from tests.benchmarks.figure import conditions, tell
from tests.docker.daemon import Daemon, ensure_installed
from tests.trial import Stack

KEPT = "containers.json"
NAME = "bench"
NETWORK = 171
"""The third number of its addresses."""
COMPOSE = "github.com/docker/compose/v2@v2.40.3"
PATIENCE = 300
MIB = 2**20


def main() -> None:
    """Measure, print, keep."""
    ensure_installed("dockerd", "docker.io")
    figures: dict[str, Any] = conditions()
    with tempfile.TemporaryDirectory(prefix="forgeline-bench-") as name:
        folder = Path(name)
        compose = composer(folder)
        daemon = Daemon(folder)
        daemon.start()
        try:
            measure(figures, profile(folder, daemon.address), compose)
        finally:
            daemon.stop()
    tell(figures, kept=KEPT)


def measure(figures: dict[str, Any], made: Stack, compose: list[str] | str) -> None:
    """All figures of one stack, which is gone at the end."""
    made.run("images", "build", timeout=3600)
    engine = ContainerEngine.of(made.environment)
    try:
        figures["images_mb"] = {image["name"]: round(image["size"] / 1e6) for image in made.json("images", "list")}
        figures["up"] = timed_up(made)
        figures["first_pipelines"] = first_pipelines(made)
        figures["up_again"] = timed_up(made)
        time.sleep(20)
        figures["at_rest_mib"] = at_rest(engine)
        made.run("down")
        figures["nexus_alone_seconds"] = nexus_alone(engine)
        figures["up_per_nexus_alone"] = round(figures["up"]["seconds"] / figures["nexus_alone_seconds"], 2)
        figures["up_after_down"] = timed_up(made)
        made.run("down")
        figures["compose_up_after_down"] = compose if isinstance(compose, str) else composed(engine, made, compose)
    finally:
        engine.close()
        made.run("destroy", "--yes")


def profile(folder: Path, host: str) -> Stack:
    """The profile as it is shipped, on addresses and an engine of its own."""
    shipped = (PROFILES / "docker.yaml").read_text(encoding="utf-8")
    file = folder / "bench.yaml"
    moved = shipped.replace("172.31.250.", f"172.31.{NETWORK}.").replace("name: docker", f"name: {NAME}")
    file.write_text(moved, encoding="utf-8")
    own = {"DOCKER_HOST": host, "FORGELINE_PROFILE": str(file), "FORGELINE_STATE": str(folder / "state")}
    return Stack(folder, {**os.environ, **own})


def composer(folder: Path) -> list[str] | str:
    """The command `docker compose`, or why there is none."""
    found = shutil.which("docker-compose")
    if found:
        return [found]
    program = folder / "docker-compose"
    try:
        told = subprocess.run(
            ["go", "mod", "download", "-json", COMPOSE], capture_output=True, text=True, check=True, timeout=300
        )
        subprocess.run(
            ["go", "build", "-mod=mod", "-o", str(program), "./cmd"],
            cwd=json.loads(told.stdout)["Dir"],
            capture_output=True,
            text=True,
            check=True,
            timeout=900,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"docker compose can't be had: {error}"
    return [str(program)]


def nexus_alone(engine: ContainerEngine) -> float:
    """Seconds from the start of Nexus's container on an empty volume to its answer: the slowest server's own start."""
    model = engine.client.containers.get(container_name(NAME, nexus.NAME))
    config, image = model.attrs["Config"], model.attrs["Image"]
    name = f"{model.name}-alone"
    home = VOLUME / nexus.NAME
    properties = home / "data" / "etc" / "nexus.properties"
    # What Forgeline writes before the start, on the same address: the container that has it is stopped.
    script = f"mkdir -p {properties.parent} {home}/data/tmp {home}/data/log {home}/home; cat > {properties}"
    (network, attached), *_ = model.attrs["NetworkSettings"]["Networks"].items()
    address = attached["IPAMConfig"]["IPv4Address"]
    text = _read(model, str(properties))
    port = next(line.partition("=")[2] for line in text.splitlines() if line.startswith("application-port="))
    volume = engine.client.volumes.create(name)
    shared: dict[str, Any] = {
        "user": config["User"],
        "mounts": [{"Type": "volume", "Source": name, "Target": str(VOLUME), "ReadOnly": False}],
    }
    try:
        engine.client.containers.run(image, ["sh", "-c", f"{script} <<'END'\n{text}END"], remove=True, **shared)
        alone = engine.client.containers.create(
            image,
            config["Cmd"],
            name=name,
            environment=config["Env"],
            working_dir=config["WorkingDir"],
            mem_limit=model.attrs["HostConfig"]["Memory"],
            tmpfs=model.attrs["HostConfig"]["Tmpfs"],
            read_only=True,
            network=network,
            networking_config={
                network: engine.client.api.create_endpoint_config(ipv4_address=address),
            },
            **shared,
        )
        try:
            return _until(alone.start, [f"http://{address}:{port}/service/rest/v1/status"])
        finally:
            alone.remove(force=True)
    finally:
        volume.remove()


def composed(engine: ContainerEngine, made: Stack, compose: list[str]) -> dict[str, Any]:
    """Seconds of `docker compose up` of the same containers, stopped and removed before, until all servers answer."""
    containers = engine.client.containers.list(all=True, filters={"label": f"{PROFILE_LABEL}={NAME}"})
    file = made.folder / "compose.json"
    file.write_text(json.dumps(described(containers)), encoding="utf-8")
    for container in containers:
        container.remove()
    settings = made.settings
    answers = [
        f"{settings.openbao_url}{WELL}",
        f"{settings.openbao_url}/v1/sys/health",
        f"{settings.nexus_url}/service/rest/v1/status",
        f"{settings.gitlab_url}/-/readiness",
    ]
    command = [*compose, "--project-name", NAME, "--file", str(file)]

    def up() -> None:
        subprocess.run([*command, "up", "--detach"], env=made.environment, capture_output=True, check=True, timeout=300)

    try:
        seconds = _until(up, answers)
    finally:
        subprocess.run([*command, "down"], env=made.environment, capture_output=True, check=True, timeout=120)
    version = subprocess.run([*compose, "version", "--short"], capture_output=True, text=True, check=True).stdout
    return {"seconds": seconds, "compose": version.strip()}


def described(containers: list[Running]) -> dict[str, Any]:
    """A compose file of containers as the engine has them."""
    services, volumes, networks = {}, set(), set()
    for container in containers:
        config, host = container.attrs["Config"], container.attrs["HostConfig"]
        mounts = [mount for mount in container.attrs["Mounts"] if mount["Type"] == "volume"]
        attached = container.attrs["NetworkSettings"]["Networks"]
        volumes |= {mount["Name"] for mount in mounts}
        networks |= set(attached)
        services[config["Labels"][SERVER_LABEL]] = {
            "image": container.attrs["Image"],
            "command": config["Cmd"],
            "environment": config["Env"],
            "user": config["User"],
            "working_dir": config["WorkingDir"],
            "read_only": host["ReadonlyRootfs"],
            "tmpfs": sorted(host["Tmpfs"]),
            "cap_drop": host["CapDrop"],
            "security_opt": host["SecurityOpt"],
            "mem_limit": host["Memory"],
            "pids_limit": host["PidsLimit"],
            "restart": host["RestartPolicy"]["Name"],
            "volumes": [
                {"type": "volume", "source": one["Name"], "target": one["Destination"], "read_only": not one["RW"]}
                for one in mounts
            ],
            "networks": {name: {"ipv4_address": one["IPAMConfig"]["IPv4Address"]} for name, one in attached.items()},
            "ports": [
                f"{outside[0]['HostIp']}:{outside[0]['HostPort']}:{inside}"
                for inside, outside in (host["PortBindings"] or {}).items()
            ],
        }
    there = {"external": True}
    return {
        "services": services,
        "volumes": dict.fromkeys(sorted(volumes), there),
        "networks": dict.fromkeys(sorted(networks), there),
    }


def at_rest(engine: ContainerEngine) -> dict[str, float]:
    """MiB by server: what its container's processes hold, without files that are only kept in memory."""
    sizes = {}
    for container in engine.client.containers.list(filters={"label": f"{PROFILE_LABEL}={NAME}"}):
        stats: Any = container.stats(stream=False)
        memory = stats["memory_stats"]
        told = memory["stats"]
        files = told.get("total_inactive_file", told.get("inactive_file", 0))
        sizes[container.labels[SERVER_LABEL]] = round((memory["usage"] - files) / MIB, 1)
    return {**sizes, "total": round(sum(sizes.values()), 1)}


def _read(container: Running, path: str) -> str:
    text = ContainerFiles(container).read(path)
    assert text is not None, f"there is no {path} in {container.name}"
    return text


def _until(start: Callable[[], object], urls: list[str]) -> float:
    """Seconds from the start until every address has answered 200 once."""
    began = time.monotonic()
    start()
    left = list(urls)
    while left and time.monotonic() - began < PATIENCE:
        left = [url for url in left if not _answers(url)]
        time.sleep(0.1)
    assert not left, f"no answer from {left}"
    return round(time.monotonic() - began, 2)


def _answers(url: str) -> bool:
    try:
        # Whether it answers, not who it is.
        return httpx.get(url, trust_env=False, verify=False, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
