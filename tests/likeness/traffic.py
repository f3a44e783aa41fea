"""Fifty clients at once against one embedded GitLab, and a ledger of all that it said yes to.

Twenty read by REST, ten write by REST, ten push with git over HTTP, ten are runners: they ask for jobs and send their
logs, artifacts and results, as gitlab-runner does. A server that dies under them is waited for, as the real clients do.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.likeness.wire import Wire, git

READERS, WRITERS, PUSHERS, RUNNERS = 20, 10, 10, 10
PROJECTS = 5
COMMITS = 400
"""Prepared for each pusher: more than it can push."""

READ_PAUSE = 0.2
"""Seconds that a reader looks at what it got."""
WRITE_PAUSE = 0.5
PUSH_PAUSE = 3.0
POLL_PAUSE = 1.0
"""Seconds between two questions of an idle runner: `check_interval` of the lab's runner."""

# A newer push must not cancel the jobs of an older one that still wait: each is to be seen through.
CONFIGURATION = """
workflow: {auto_cancel: {on_new_commit: none}}
work: {script: [make], artifacts: {paths: [out]}}
"""


@dataclass
class Ledger:
    """What was acknowledged, by what it is; figures in seconds. Threads only add to it."""

    pushes: list[tuple[int, str, str]] = field(default_factory=list)
    """Project, ref, commit."""
    files: list[tuple[int, str, str]] = field(default_factory=list)
    """Commits made by REST: project, ref, commit."""
    variables: list[tuple[int, str, str]] = field(default_factory=list)
    """Project, key, value."""
    handed: dict[int, list[str]] = field(default_factory=dict)
    """Runners by job."""
    results: dict[int, str] = field(default_factory=dict)
    """State by job."""
    traces: dict[int, bytes] = field(default_factory=dict)
    artifacts: dict[int, bytes] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """Answers that no client should get."""
    reads: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)
    push_seconds: list[float] = field(default_factory=list)
    pushed_at: dict[str, float] = field(default_factory=dict)
    """When git said that a commit was pushed."""
    started_at: dict[str, float] = field(default_factory=dict)
    """When a runner got the commit's job."""

    def start_seconds(self) -> list[float]:
        """From git's yes to a push until a runner had its job; 0 for one that had it before."""
        return [
            max(0.0, started - self.pushed_at[sha]) for sha, started in self.started_at.items() if sha in self.pushed_at
        ]


@dataclass(kw_only=True)
class Traffic:
    """The clients. `token` is an administrator's; `seed` makes two runs alike in what the clients choose."""

    url: str
    token: str
    folder: Path
    seed: int = 1
    ledger: Ledger = field(default_factory=Ledger)
    projects: list[tuple[int, str]] = field(default_factory=list)
    """Id and path."""
    _runner_tokens: list[str] = field(default_factory=list)
    _commits: list[list[str]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _idle: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)

    def prepare(self) -> None:
        """Make the projects and runners, and the commits that are going to be pushed."""
        with closing(self._wire()) as wire:
            for number in range(PROJECTS):
                made = wire.json("POST", "/projects", {"name": f"load-{number}"})
                actions = [
                    {"action": "create", "file_path": name, "content": text}
                    for name, text in ((".gitlab-ci.yml", CONFIGURATION), ("README.md", "# Load\n"))
                ]
                body = {"branch": "main", "commit_message": "Begin [skip ci]", "actions": actions}
                wire.json("POST", f"/projects/{made['id']}/repository/commits", body)
                self.projects.append((made["id"], made["path_with_namespace"]))
            for _ in range(RUNNERS):
                made = wire.json("POST", "/user/runners", {"runner_type": "instance_type"})
                self._runner_tokens.append(made["token"])
        self._commits = [self._prepare_commits(number) for number in range(PUSHERS)]

    def _prepare_commits(self, number: int) -> list[str]:
        folder = self.folder / f"clone-{number}"
        _, path = self.projects[number % PROJECTS]
        address = self.url.replace("://", f"://root:{self.token}@")
        git("clone", "--quiet", f"{address}/{path}.git", str(folder), cwd=self.folder)
        stream = [f"reset refs/heads/line-{number}\nfrom refs/heads/main\n\n"]
        for turn in range(COMMITS):
            stream.append(
                f"commit refs/heads/line-{number}\ncommitter Ada <ada@example.org> {1_700_000_000 + turn} +0000\n"
                f"data <<.\nChange {turn} of {number}\n.\nM 644 inline file-{number}\ndata <<.\n{turn}\n.\n\n"
            )
        git("fast-import", "--quiet", cwd=folder, stdin="".join(stream))
        return git("rev-list", "--reverse", f"main..line-{number}", cwd=folder).split()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The clients work. At the end the pushes stop first and the runners last, when no job is left to them."""
        work: list[tuple[Callable[[int, Wire], None], int]] = [
            (self._read, READERS),
            (self._write, WRITERS),
            (self._push, PUSHERS),
        ]
        clients = [threading.Thread(target=self._guard, args=(each, n)) for each, count in work for n in range(count)]
        runners = [threading.Thread(target=self._guard, args=(self._run_jobs, n)) for n in range(RUNNERS)]
        for thread in [*clients, *runners]:
            thread.start()
        try:
            yield
        except BaseException:
            self._over.set()
            raise
        finally:
            self._stop.set()
            for thread in clients:
                thread.join()
            self._wait_for_jobs()
            self._idle.set()
            for thread in runners:
                thread.join()

    def _guard(self, work: Callable[[int, Wire], None], number: int) -> None:
        try:
            with closing(self._wire()) as wire:
                work(number, wire)
        except Exception as error:  # noqa: BLE001 - a client that ends early is a finding, whatever ended it
            self.ledger.problems.append(f"{work.__name__} {number} ended: {error!r}")

    def _wait_for_jobs(self) -> None:
        """Until every job has ended, or nothing has changed for three minutes (more than a lost answer costs)."""
        before, since = None, time.monotonic()
        with closing(self._wire()) as wire:
            while time.monotonic() - since < 180 and not self._over.is_set():
                left = [job["id"] for number, _ in self.projects for job in self._unfinished(wire, number)]
                if not left:
                    return
                if left != before:
                    before, since = left, time.monotonic()
                time.sleep(0.5)
        self.ledger.problems.append(f"stuck jobs: {before}")

    @staticmethod
    def _unfinished(wire: Wire, project: int) -> list[Any]:
        scope = "&".join(f"scope[]={state}" for state in ("created", "pending", "running"))
        return list(wire.json("GET", f"/projects/{project}/jobs?per_page=100&{scope}"))

    def _wire(self) -> Wire:
        return Wire(url=self.url, problems=self.ledger.problems, token=self.token, over=self._over)

    def _read(self, number: int, wire: Wire) -> None:
        chance = random.Random(f"{self.seed} read {number}")
        while not self._stop.is_set():
            project, _ = chance.choice(self.projects)
            path = chance.choice(
                (
                    "/projects?per_page=20",
                    "/user",
                    "/version",
                    f"/projects/{project}",
                    f"/projects/{project}/pipelines",
                    f"/projects/{project}/jobs",
                    f"/projects/{project}/variables",
                    f"/projects/{project}/repository/branches",
                    f"/projects/{project}/repository/tree",
                    f"/projects/{project}/repository/files/README.md?ref=main",
                )
            )
            answer = wire.send("GET", path)
            if answer.status == 200:
                self.ledger.reads.append(answer.seconds)
            self._stop.wait(READ_PAUSE)

    def _write(self, number: int, wire: Wire) -> None:
        chance = random.Random(f"{self.seed} write {number}")
        turn = 0
        while not self._stop.is_set():
            turn += 1
            project, _ = chance.choice(self.projects)
            name = f"W{number}_{turn}"
            if chance.random() < 0.5:
                answer = wire.send("POST", f"/projects/{project}/variables", {"key": name, "value": name})
                if answer.status == 201:
                    self.ledger.variables.append((project, name, name))
            else:
                action = {"action": "create", "file_path": name, "content": name}
                message = f"Add {name} [skip ci]"
                body = {"branch": name, "start_branch": "main", "commit_message": message, "actions": [action]}
                answer = wire.send("POST", f"/projects/{project}/repository/commits", body)
                if answer.status == 201:
                    self.ledger.files.append((project, f"refs/heads/{name}", answer.json()["id"]))
            self.ledger.writes.append(answer.seconds)
            self._stop.wait(WRITE_PAUSE)

    def _push(self, number: int, _wire: Wire) -> None:
        chance = random.Random(f"{self.seed} push {number}")
        folder = self.folder / f"clone-{number}"
        project, _ = self.projects[number % PROJECTS]
        ref = f"refs/heads/line-{number}"
        self._stop.wait(chance.random() * PUSH_PAUSE)
        for sha in self._commits[number]:
            # A push that a dying server broke off is made again until it is through.
            while True:
                began = time.monotonic()
                with suppress(AssertionError):
                    git("push", "--quiet", "origin", f"{sha}:{ref}", cwd=folder)
                    break
                if self._stop.wait(0.2):
                    return
            self.ledger.pushed_at[sha] = time.monotonic()
            self.ledger.push_seconds.append(time.monotonic() - began)
            self.ledger.pushes.append((project, ref, sha))
            if self._stop.wait(PUSH_PAUSE):
                return

    def _run_jobs(self, number: int, wire: Wire) -> None:
        wire.token = None
        last = ""
        while not self._idle.is_set():
            asked = {
                "token": self._runner_tokens[number],
                "system_id": f"s_{number:012d}",
                "last_update": last,
                "info": {"version": "19.4.0", "features": {"two_phase_job_commit": True}},
            }
            answer = wire.once("POST", "/jobs/request", asked)
            last = answer.headers.get("x-gitlab-last-update", last)
            if answer.status != 201:
                self._idle.wait(POLL_PAUSE)
                continue
            job = answer.json()
            self.ledger.started_at.setdefault(job["git_info"]["sha"], time.monotonic())
            self.ledger.handed.setdefault(job["id"], []).append(f"runner {number}")
            self._work(wire, job["id"], job["token"])

    def _work(self, wire: Wire, job: int, token: str) -> None:
        """What gitlab-runner sends for a job that takes no time. A job that was taken away is let go."""
        proof = {"JOB-TOKEN": token}
        if wire.send("PUT", f"/jobs/{job}", {"token": token, "state": "running"}, headers=proof).status != 200:
            return
        log = b""
        for part in range(3):
            log += b"part %d of job %d\n" % (part, job) * 50
            if not self._send_log(wire, job, proof, log):
                return
        archive = b"artifact of %d\n" % job * 200
        if wire.upload(f"/jobs/{job}/artifacts", archive, headers=proof).status == 201:
            self.ledger.artifacts[job] = archive
        done = wire.send("PUT", f"/jobs/{job}", {"token": token, "state": "success"}, headers=proof)
        # 403 with the state: the server had noted the result and died before its answer.
        if done.status == 200 or (done.status == 403 and done.headers.get("job-status") == "success"):
            self.ledger.results[job] = "success"

    def _send_log(self, wire: Wire, job: int, proof: dict[str, str], log: bytes) -> bool:
        """Bring the server's log up to `log`; whether the job is still ours."""
        start = len(self.ledger.traces.get(job, b""))
        while True:
            headers = {**proof, "Content-Type": "text/plain", "Content-Range": f"{start}-{len(log) - 1}"}
            answer = wire.send("PATCH", f"/jobs/{job}/trace", log[start:], headers=headers)
            if answer.status not in (202, 416):
                return False
            start = int(answer.headers["range"].partition("-")[2])
            if start >= len(log):
                self.ledger.traces[job] = log
                return True
