"""What proves a stack: each server does, once, what it is there for."""

from __future__ import annotations

import secrets
import time
from typing import Any

from gitlab.exceptions import GitlabError

from infra.clients.gitlab import GitLab, explain
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.core.error import ServerError
from infra.core.naming import GITLAB_ROOT, RAW_RELEASES
from infra.core.progress import Progress
from infra.core.secret import SecretRef
from infra.operations.pipeline_run import latest
from infra.operations.work import Open
from pipelines.catalogue import Catalogue

FOLDER = "forgeline/proof"
"""Where in the repository of files an artifact is put for a moment."""

JOB_SECONDS = 180.0
"""How long the first job may take: it clones a small repository and checks it."""

POLL_SECONDS = 0.5
ENDED = ("success", "failed")
"""Of a job that was run to its end: what it found is its service's concern."""


def prove(opened: Open, catalogue: Catalogue, progress: Progress) -> None:
    """Reads a secret, puts an artifact into Nexus and gets it, and waits until the runner has run a job.

    Raises ServerError for what does not do it.
    """
    prove_openbao(opened.connections.openbao(), progress)
    prove_nexus(opened.connections.nexus(), progress)
    prove_runner(opened.connections.gitlab(), catalogue, progress)


def prove_openbao(openbao: OpenBao, progress: Progress) -> None:
    """Reads the token with which Forgeline itself signs in to GitLab."""
    reference = SecretRef(GITLAB_ROOT, "token")
    if not openbao.resolve(reference).reveal():
        raise ServerError("the secret is empty", where=str(reference), fix="run `forgeline up` again")
    progress.done("openbao", "a secret was read")


def prove_nexus(nexus: NexusClient, progress: Progress) -> None:
    """Puts an artifact, gets it, and takes it away again."""
    # Nexus refuses what is not of the sort that its name says.
    path, content = f"{FOLDER}/{secrets.token_hex(8)}.txt", secrets.token_hex(512).encode()
    nexus.upload(RAW_RELEASES, path, content)
    try:
        got = nexus.download(RAW_RELEASES, path)
    finally:
        nexus.delete_artifact(RAW_RELEASES, path)
    if got != content:
        raise ServerError(
            "an artifact that was put there came back as another", where=f"{RAW_RELEASES}/{path}", fix="see Nexus's log"
        )
    progress.done("nexus", "an artifact was put and got")


def prove_runner(gitlab: GitLab, catalogue: Catalogue, progress: Progress, *, timeout: float = JOB_SECONDS) -> None:
    """Waits until a job has been run, if there is one to run. Raises ServerError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        job = _ran(gitlab)
        if job is not None:
            progress.done("runner", f"a job was run: {job['name']} of {job['project']['path_with_namespace']}")
            return
        if not any((run := latest(gitlab, service)) is not None and not run.ended for service in catalogue):
            progress.done("runner", "no job to run yet")
            return
        if time.monotonic() > deadline:
            raise ServerError(
                f"no job was run within {timeout:.0f} s, and pipelines wait for one",
                where="runner",
                fix="`forgeline status` says whether the runner is well; then `forgeline up` again",
            )
        progress.start("runner", "waiting for its first job")
        time.sleep(POLL_SECONDS)


def _ran(gitlab: GitLab) -> dict[str, Any] | None:
    """The last job that was run to its end, by any of the instance's runners."""
    try:
        for runner in gitlab.api.runners_all.list(type="instance_type", iterator=True):
            jobs = gitlab.api.runners.get(runner.id, lazy=True).jobs
            for status in ENDED:
                for job in jobs.list(status=status, per_page=1, get_all=False):
                    return dict(job.attributes)
    except GitlabError as error:
        raise explain(error, "runner") from error
    return None
