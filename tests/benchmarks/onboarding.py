"""How long it takes to onboard many services at once, to see that nothing is left to do, and to configure the same
projects with gitlabform (PyPI), on the same server in the same run: time and requests.

Prints and keeps one JSON document. The runner is paused, so that pipelines are started and none is run: they would be
measured instead. Where gitlabform can't be installed, its figures are missing and the reason is there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from infra.clients.openbao import OpenBao
from infra.core.naming import GITLAB_ROOT
from infra.core.progress import Silent
from infra.core.secret import SecretRef
from infra.core.settings import PIPELINES, Settings
from infra.operations.onboard import Onboarding
from infra.operations.status import gitlab_client
from infra.operations.work import Work
from pipelines.catalogue import Catalogue
from pipelines.onboarding import load_wishes
from tests.benchmarks.figure import conditions, install, letters, tell
from tests.loopback import serving
from tests.trial import Stack, stack

KEPT = "onboarding.json"
NUMBER = 200
GITLABFORM = "gitlabform==3.16.5"
LANGUAGES = ("go", "java", "python", "node")


@dataclass
class CountingWork(Work):
    """Work that counts its requests by verb."""

    verbs: Counter[str] = field(default_factory=Counter)

    def observe(self, verb: str, path: str, status: int) -> None:
        """Counts every request."""
        super().observe(verb, path, status)
        self.verbs[verb] += 1


class _Phases:
    @contextmanager
    def phase(self, _title: str) -> Iterator[Silent]:
        yield Silent()


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=NUMBER, help="services to onboard")
    number = parser.parse_args().number
    figures: dict[str, Any] = {
        **conditions(),
        "services": number,
    }
    with tempfile.TemporaryDirectory(prefix="forgeline-bench-") as folder:
        pipelines = Path(folder) / "pipelines"
        for name in ("catalog", "release.yaml", "teams.yaml"):
            copy = shutil.copytree if (PIPELINES / name).is_dir() else shutil.copy
            pipelines.mkdir(exist_ok=True)
            copy(PIPELINES / name, pipelines / name)
        with stack({**os.environ, "FORGELINE_PIPELINES": str(pipelines)}, room=number) as made:
            made.run("up")
            pause(made.settings)
            figures |= forgeline(made, Path(folder), number)
            try:
                figures["gitlabform"] = gitlabform(made.settings, Path(folder))
            except (OSError, subprocess.SubprocessError) as error:
                said = getattr(error, "stderr", "") or ""
                figures["gitlabform_missing"] = f"{type(error).__name__}: {error} {said}"[-600:]
    tell(figures, kept=KEPT)


def pause(settings: Settings) -> None:
    """No job is given out any more."""
    gitlab = gitlab_client(settings)
    for runner in gitlab.api.runners_all.list(iterator=True):
        gitlab.api.runners.update(runner.id, {"paused": True})


def forgeline(made: Stack, folder: Path, number: int) -> dict[str, Any]:
    """Onboarding, the same again, and what a look at all servers costs."""
    file = folder / "services.yaml"
    team = next(iter(Catalogue.of(made.settings).teams))
    wishes = [
        {"name": f"desk-{letters(index)}", "language": LANGUAGES[index % 4], "tier": "normal", "owners": [team]}
        for index in range(number)
    ]
    with file.open("w", encoding="utf-8") as out:
        YAML(typ="safe").dump({"services": wishes}, out)
    first, requests = measured(made.settings, lambda work: Onboarding(work=work).run(load_wishes(file)))
    again, requests_again = measured(made.settings, lambda work: Onboarding(work=work).run(load_wishes(file)))
    began = time.monotonic()
    found = made.json("drift", expect=None)
    return {
        "onboard": {"seconds": first, "requests": requests},
        "onboard_again": {"seconds": again, "requests": requests_again},
        "drift": {"seconds": round(time.monotonic() - began, 1), "differences": len(found)},
    }


def measured(settings: Settings, act: Callable[[Work], object]) -> tuple[float, dict[str, int]]:
    """Seconds of the clock, and requests by verb to all servers."""
    work = CountingWork(settings, Catalogue.of(settings), os.environ, _Phases())
    began = time.monotonic()
    act(work)
    return round(time.monotonic() - began, 1), dict(sorted(work.verbs.items()))


def gitlabform(settings: Settings, folder: Path) -> dict[str, Any]:
    """Seconds and requests of gitlabform that holds all services' projects to what Forgeline made them."""
    catalogue = Catalogue.of(settings)
    program = install(GITLABFORM, folder / "gitlabform") / "gitlabform"
    gitlab = gitlab_client(settings)
    configured: dict[str, Any] = {}
    for service in catalogue:
        project = gitlab.api.projects.get(service.project)
        configured[service.project] = {
            "project_settings": {
                "description": project.description,
                "visibility": "private",
                "ci_config_path": project.ci_config_path,
                "only_allow_merge_if_pipeline_succeeds": True,
                "topics": project.topics,
            },
            "branches": {
                "main": {"protected": True, "push_access_level": "maintainer", "merge_access_level": "developer"}
            },
            "tags": {"v*": {"protected": True, "create_access_level": "maintainer"}},
        }
    openbao = OpenBao.of(settings)
    token = openbao.resolve(SecretRef(GITLAB_ROOT, "token")).reveal()
    openbao.close()
    seen: Counter[str] = Counter()
    with serving(counting(settings.gitlab_url, seen)) as url:
        file = folder / "gitlabform.yml"
        with file.open("w", encoding="utf-8") as out:
            YAML(typ="safe").dump({"config_version": 3, "gitlab": {"url": url}, "projects_and_groups": configured}, out)
        command = [str(program), "--config", str(file), "ALL_DEFINED"]
        environment = {**os.environ, "GITLAB_TOKEN": token, "NO_PROXY": "127.0.0.1"}
        figures: dict[str, Any] = {"projects": len(configured)}
        for name in ("first", "again"):
            seen.clear()
            began = time.monotonic()
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=3600, check=False, cwd=folder
            )
            if done.returncode:
                raise subprocess.SubprocessError(
                    f"exit code {done.returncode}: {done.stderr[-300:]}{done.stdout[-300:]}"
                )
            figures[name] = {"seconds": round(time.monotonic() - began, 1), "requests": dict(sorted(seen.items()))}
        return figures


def counting(target: str, seen: Counter[str]) -> type[BaseHTTPRequestHandler]:
    """A server that hands every request on to `target`, and counts it."""
    client = httpx.Client(base_url=target, timeout=60, trust_env=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def hand_on(self) -> None:
            seen[self.command] += 1
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kept = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
            answer = client.request(self.command, self.path, headers=kept, content=body)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in {"content-length", "transfer-encoding", "connection", "content-encoding"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = hand_on  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            """Nothing is told."""

    return Handler


if __name__ == "__main__":
    main()
