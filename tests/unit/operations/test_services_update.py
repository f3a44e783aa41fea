"""Boiler-plate brought up to date in a real repository: what changes, what is left, and what a fault leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from infra.clients.gitlab import GitLab, NoAnswerError
from infra.core.blob import blob_id
from infra.core.progress import Silent
from infra.core.secret import SecretValue
from infra.operations.services_update import BRANCH, Outcome, ServiceUpdate, update_services
from infra.provider.gitlab.tree import listed
from pipelines.boilerplate import LOCK, lock_text
from pipelines.catalogue import Service, load_catalogue
from tests.unit.lab.gitlab.conftest import ROOT_TOKEN, Served, served

__all__ = ["served"]

pytestmark = pytest.mark.servers

LINES = "".join(f"line {number}\n" for number in range(9))
OLD = {"same": LINES, "by-us": LINES, "by-both": LINES, "clash": LINES, "unwanted": LINES, "dropped": LINES}
NEW = {
    "same": LINES,
    "by-us": LINES + "skeleton\n",
    "by-both": LINES + "skeleton of both\n",
    "clash": LINES.replace("line 4", "skeleton"),
    "unwanted": LINES + "skeleton\n",
    "ci/new": "#!/bin/sh\n",
}
TEAM = {"by-both": "team\n" + LINES, "clash": LINES.replace("line 4", "team"), "own": "team\n"}
FATES = {
    "by-us": "replaced",
    "by-both": "merged",
    "ci/new": "added",
    "dropped": "removed",
    "clash": "conflict",
    "unwanted": "deleted",
}


@dataclass
class Repository:
    """A service's project that was begun from the skeleton `OLD`, and went on."""

    gitlab: GitLab
    service: Service

    @property
    def project(self) -> Any:
        return self.gitlab.api.projects.get(self.service.project)

    def commit(self, message: str, files: Mapping[str, str | None], branch: str = "main") -> None:
        there = listed(self.project, branch)
        actions = [
            {"action": "delete", "file_path": path}
            if text is None
            else {"action": "update" if path in there else "create", "file_path": path, "content": text}
            for path, text in files.items()
        ]
        self.project.commits.create({"branch": branch, "commit_message": message, "actions": actions})

    def update(self, skeleton: Mapping[str, str] = NEW, *, dry_run: bool = False) -> ServiceUpdate:
        files = {**skeleton, LOCK: ""}
        (done,) = update_services(self.gitlab, [self.service], lambda _: files, Silent(), dry_run=dry_run)
        return done

    def text(self, path: str, ref: str = BRANCH) -> str:
        return str(self.project.files.get(path, ref=ref).decode().decode())

    def requests(self, state: str = "all") -> list[Any]:
        return list(self.project.mergerequests.list(state=state, get_all=True))

    def merge(self) -> None:
        (request,) = self.requests("opened")
        request.merge()


Begin = Callable[..., Repository]


@pytest.fixture(scope="module")
def gitlab(served: Served) -> Iterator[GitLab]:
    client = GitLab(served.url, SecretValue(ROOT_TOKEN))
    client.api.groups.create({"name": "trading", "path": "trading"})
    yield client
    client.close()


@pytest.fixture(scope="module")
def begin(gitlab: GitLab) -> Begin:
    count = iter(range(1000))

    def begun(*, locked: bool = True, team: Mapping[str, str | None] | None = None) -> Repository:
        name = f"service-{next(count)}"
        service = load_catalogue().service("settlement").model_copy(update={"repository": f"trading/{name}"})
        group = gitlab.api.groups.get("trading")
        gitlab.api.projects.create({"name": name, "path": name, "namespace_id": group.id})
        made = Repository(gitlab, service)
        made.commit("Begin the service", {**OLD, LOCK: lock_text(OLD)} if locked else OLD)
        changes: Mapping[str, str | None] = {**TEAM, "unwanted": None} if team is None else team
        if changes:
            made.commit("Work", changes)
        return made

    return begun


@pytest.mark.parametrize("locked", [True, False], ids=["with-a-lock", "begun-before-there-was-one"])
def test_a_merge_request_has_what_is_new_and_leaves_what_is_the_teams(begin: Begin, locked: bool) -> None:
    repository = begin(locked=locked)
    done = repository.update()
    assert (done.outcome, done.needs_people) == (Outcome.OPENED, True)
    assert {file.path: str(file.fate) for file in done.files} == FATES
    assert repository.text("by-us") == NEW["by-us"]
    assert repository.text("by-both") == "team\n" + NEW["by-both"]
    assert repository.text("clash") == TEAM["clash"]
    there = listed(repository.project, BRANCH)
    assert set(there) == {"same", "by-us", "by-both", "clash", "own", "ci/new", LOCK}
    (request,) = repository.requests()
    assert request.web_url == done.web_url
    changed, _, left = request.description.partition("## Left alone")
    assert all(f"`{path}`" in changed for path in ("by-us", "by-both", "ci/new", "dropped"))
    assert all(f"`{path}`" in left for path in ("clash", "unwanted"))
    entries = repository.project.repository_tree(path="ci", ref=BRANCH, get_all=True)
    assert [entry["mode"] for entry in entries] == ["100755"]


def test_a_dry_run_tells_the_same_and_changes_nothing(begin: Begin) -> None:
    repository = begin()
    planned = repository.update(dry_run=True)
    assert planned.outcome is Outcome.PLANNED
    assert (repository.requests(), [one.name for one in repository.project.branches.list()]) == ([], ["main"])
    assert repository.update().files == planned.files


def test_a_second_run_writes_nothing(begin: Begin) -> None:
    repository = begin()
    repository.update()
    (before,) = repository.requests()
    head = repository.project.branches.get(BRANCH).commit["id"]
    assert repository.update().outcome is Outcome.STANDS
    (after,) = repository.requests()
    assert (after.updated_at, repository.project.branches.get(BRANCH).commit["id"]) == (before.updated_at, head)


def test_a_newer_skeleton_updates_the_same_merge_request(begin: Begin) -> None:
    repository = begin()
    repository.update()
    newer = {**NEW, "by-us": LINES + "newest\n"}
    assert repository.update(newer).outcome is Outcome.UPDATED
    assert len(repository.requests()) == 1
    assert repository.text("by-us") == newer["by-us"]


def test_main_that_went_on_is_taken_up(begin: Begin) -> None:
    repository = begin()
    repository.update()
    repository.commit("More work", {"own": "more\n"})
    assert repository.update().outcome is Outcome.UPDATED
    assert repository.text("own") == "more\n"


def test_after_the_merge_only_what_is_left_is_told(begin: Begin) -> None:
    repository = begin()
    repository.update()
    repository.merge()
    done = repository.update()
    assert (done.outcome, {file.path for file in done.files}) == (Outcome.NOTHING, {"clash", "unwanted"})


def test_the_next_skeleton_finds_its_base_in_the_history(begin: Begin) -> None:
    repository = begin()
    repository.update()
    repository.merge()
    # The line that the skeleton put in last time is changed again, beside what the team wrote: with the first base, or
    # with the merged text as base, one of the two would be in the way.
    newest = {**NEW, "by-both": LINES + "skeleton of both, newest\n"}
    done = repository.update(newest)
    assert done.outcome is Outcome.OPENED
    assert repository.text("by-both") == "team\n" + newest["by-both"]


def test_nothing_to_do_is_said(begin: Begin) -> None:
    repository = begin(team={"own": "x\n"})
    done = repository.update(OLD)
    assert (done.outcome, done.files, repository.requests()) == (Outcome.NOTHING, (), [])


def test_a_branch_that_somebody_committed_to_is_left_alone(begin: Begin) -> None:
    repository = begin()
    repository.update()
    repository.commit("Merge by hand", {"clash": NEW["clash"]}, branch=BRANCH)
    done = repository.update({**NEW, "by-us": "other\n"})
    assert (done.outcome, repository.text("clash")) == (Outcome.LEFT, NEW["clash"])
    assert "'Merge by hand'" in done.reason


def test_a_merge_request_that_the_team_closed_is_not_opened_again(begin: Begin) -> None:
    repository = begin()
    repository.update()
    (request,) = repository.requests()
    request.state_event = "close"
    request.save()
    done = repository.update()
    assert (done.outcome, len(repository.requests())) == (Outcome.LEFT, 1)
    assert request.web_url in done.reason
    assert repository.update({**NEW, "by-us": "other\n"}).outcome is Outcome.OPENED


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({LOCK: "<<<<<<< HEAD\n"}, f"{LOCK}:1", id="broken-lock"),
        pytest.param({LOCK: "skeleton: x\nfiles: []\n"}, "skeleton", id="no-sum"),
    ],
)
def test_a_lock_that_cant_be_read_is_told_with_its_place(
    begin: Begin, change: dict[str, str | None], said: str
) -> None:
    repository = begin(team=change)
    done = repository.update()
    assert (done.outcome, repository.requests()) == (Outcome.LEFT, [])
    assert said in done.reason


def test_a_repository_without_a_seed_is_left_alone(begin: Begin, gitlab: GitLab) -> None:
    repository = begin(locked=False)
    foreign = repository.service.model_copy(update={"repository": "trading/nowhere"})
    (done,) = update_services(gitlab, [foreign], lambda _: NEW, Silent())
    assert (done.outcome, "forgeline up" in done.reason) == (Outcome.LEFT, True)
    group = gitlab.api.groups.get("trading")
    gitlab.api.projects.create({"name": "foreign", "namespace_id": group.id, "initialize_with_readme": True})
    adopted = repository.service.model_copy(update={"repository": "trading/foreign"})
    (done,) = update_services(gitlab, [adopted], lambda _: NEW, Silent())
    assert (done.outcome, "not begun from a skeleton" in done.reason) == (Outcome.LEFT, True)


def test_a_service_with_a_repository_of_its_own_has_nothing_to_do(begin: Begin, gitlab: GitLab) -> None:
    own = begin().service.model_copy(update={"seeded": False})
    (done,) = update_services(gitlab, [own], lambda _: NEW, Silent())
    assert (done.outcome, done.needs_people) == (Outcome.NOTHING, False)


class Fault:
    """Makes the request number `at` fail: it never arrives, or its answer is lost."""

    def __init__(self, gitlab: GitLab, *, lost: bool) -> None:
        self.session, self.lost = gitlab.api.session, lost
        self.send, self.at, self.seen = self.session.send, -1, 0

    def __call__(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self.seen += 1
        failing = self.seen == self.at
        if failing and not self.lost:
            raise NoAnswerError("GitLab does not answer")
        answer = self.send(request, **options)
        if failing:
            raise NoAnswerError("GitLab does not answer")
        return answer


@pytest.mark.parametrize("lost", [False, True], ids=["never-arrives", "answer-is-lost"])
def test_a_fault_at_any_request_leaves_what_the_next_run_finishes(
    begin: Begin, gitlab: GitLab, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = Fault(gitlab, lost=lost)
    monkeypatch.setattr(fault.session, "send", fault)
    clean = begin()
    fault.seen = 0
    clean.update()
    number, wanted = fault.seen, listed(clean.project, BRANCH)
    assert number >= 10
    for at in range(1, number + 1):
        repository = begin()
        fault.seen, fault.at = 0, at
        assert repository.update().outcome is Outcome.FAILED
        fault.at = -1
        main = listed(repository.project, "main")
        assert repository.update().outcome in {Outcome.OPENED, Outcome.UPDATED, Outcome.STANDS}
        assert listed(repository.project, "main") == main
        assert (listed(repository.project, BRANCH), len(repository.requests())) == (wanted, 1)


def test_the_lock_on_the_branch_names_what_the_files_were_brought_to(begin: Begin) -> None:
    repository = begin()
    repository.update()
    lock = repository.text(LOCK)
    assert f"{blob_id(NEW['by-both'])} by-both" in lock
    assert f"{blob_id(OLD['clash'])} clash" in lock
    assert " dropped" not in lock
