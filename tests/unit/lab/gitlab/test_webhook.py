"""Webhooks: who is called for what, with what, and what happens when nobody answers."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import gitlab
import pytest
from sqlalchemy import func, select

from infra.lab.gitlab.instance import Push
from infra.lab.gitlab.store.hook import HookCall
from infra.lab.gitlab.store.merge_request import MergeRequest
from infra.lab.gitlab.webhooks import delivery
from infra.lab.gitlab.webhooks.event import Event, of_push
from tests.embedded import ROOT_TOKEN, bootstrap, serving
from tests.trial import free_ports
from tests.unit.lab.gitlab.conftest import Served

TOKEN = "a secret of the receiver"
CI = "build: {script: [make]}\n"


class Receiver:
    """A program that is called; it keeps what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.answer = 200
        self.hold = Flag()
        self.hold.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append((dict(self.headers), json.loads(body)))
                receiver.hold.wait(10)
                self.send_response(receiver.answer)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(b"thanks")

            def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the base class names it so

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop it."""
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> tuple[dict[str, str], dict[str, Any]]:
        """The first call whose body is wanted."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for headers, body in list(self.calls):
                if wanted(body):
                    return headers, body
            time.sleep(0.02)
        raise AssertionError(f"nobody called so: {[body for _, body in self.calls]}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of this test's own."""
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def project(root: gitlab.Gitlab, request: pytest.FixtureRequest) -> Any:
    """A project with one commit and a pipeline configuration, named after the test."""
    made = root.projects.create({"name": request.node.name.replace("[", "-").replace("]", "").replace("_", "-")})
    made.files.create({"file_path": ".gitlab-ci.yml", "branch": "main", "content": CI, "commit_message": "Begin"})
    return made


EVENTS = ("push_events", "tag_push_events", "merge_requests_events", "pipeline_events", "job_events")


def hook(project: Any, receiver: Receiver, *events: str, **more: Any) -> Any:
    switches = {name: name in events for name in EVENTS}
    return project.hooks.create({"url": receiver.url, "token": TOKEN, **switches, **more})


def commit(project: Any, branch: str = "main", **more: Any) -> Any:
    actions = [{"action": "create", "file_path": f"{time.monotonic_ns()}.txt", "content": "x"}]
    return project.commits.create({"branch": branch, "commit_message": "Settle faster", "actions": actions, **more})


def test_a_push_is_told_with_gitlabs_headers_and_body(project: Any, receiver: Receiver) -> None:
    hook(project, receiver, "push_events")
    made = commit(project)
    headers, body = receiver.wait(lambda body: body["after"] == made.id)
    assert headers["X-Gitlab-Event"] == "Push Hook"
    assert headers["X-Gitlab-Token"] == TOKEN
    assert headers["User-Agent"].startswith("GitLab/")
    assert len({headers[name] for name in ("Idempotency-Key", "X-Gitlab-Webhook-UUID", "X-Gitlab-Event-UUID")}) == 3
    assert (body["object_kind"], body["ref"], body["ref_protected"]) == ("push", "refs/heads/main", True)
    assert body["before"] == made.parent_ids[0]
    assert body["project"]["path_with_namespace"] == project.path_with_namespace
    assert body["user_username"] == "root"
    assert body["total_commits_count"] == 1
    [told] = body["commits"]
    assert (told["id"], told["title"], told["author"]["name"]) == (made.id, "Settle faster", made.author_name)
    assert len(told["added"]) == 1
    assert (told["modified"], told["removed"]) == ([], [])


def test_a_tag_is_told_only_to_hooks_for_tags(project: Any, receiver: Receiver) -> None:
    hook(project, receiver, "push_events")
    hook(project, receiver, "tag_push_events")
    project.tags.create({"tag_name": "v1", "ref": "main", "message": "First"})
    headers, body = receiver.wait(lambda body: body["ref"] == "refs/tags/v1")
    assert headers["X-Gitlab-Event"] == "Tag Push Hook"
    assert (body["message"], body["before"], body["commits"]) == ("First", "0" * 40, [])
    last = commit(project)
    receiver.wait(lambda body: body["after"] == last.id)
    assert [body["object_kind"] for _, body in receiver.calls] == ["tag_push", "push"]


def test_the_life_of_a_merge_request_is_told(project: Any, receiver: Receiver) -> None:
    project.branches.create({"branch": "faster", "ref": "main"})
    first = commit(project, "faster")
    hook(project, receiver, "merge_requests_events")
    merge_request = project.mergerequests.create(
        {"source_branch": "faster", "target_branch": "main", "title": "Settle faster"}
    )
    headers, body = receiver.wait(lambda body: body["object_attributes"]["action"] == "open")
    assert headers["X-Gitlab-Event"] == "Merge Request Hook"
    assert body["object_attributes"]["iid"] == merge_request.iid
    assert body["object_attributes"]["last_commit"]["id"] == first.id
    commit(project, "faster")
    _, body = receiver.wait(lambda body: body["object_attributes"]["action"] == "update")
    assert body["object_attributes"]["oldrev"] == first.id
    merge_request.title = "Settle at once"
    merge_request.save()
    _, body = receiver.wait(lambda body: "title" in body["changes"])
    assert body["changes"]["title"] == {"previous": "Settle faster", "current": "Settle at once"}
    merge_request.state_event = "close"
    merge_request.save()
    receiver.wait(lambda body: body["object_attributes"]["action"] == "close")
    merge_request.state_event = "reopen"
    merge_request.save()
    receiver.wait(lambda body: body["object_attributes"]["action"] == "reopen")
    merge_request.merge()
    _, body = receiver.wait(lambda body: body["object_attributes"]["action"] == "merge")
    assert (body["object_attributes"]["state"], body["user"]["username"]) == ("merged", "root")
    actions = [body["object_attributes"]["action"] for _, body in receiver.calls]
    assert sorted(actions) == ["close", "merge", "open", "reopen", "update", "update"]


def test_pipelines_and_jobs_are_told_as_they_change(project: Any, receiver: Receiver) -> None:
    hook(project, receiver, "pipeline_events", "job_events")
    made = commit(project)
    headers, job = receiver.wait(lambda body: body["object_kind"] == "build" and body["build_status"] == "pending")
    assert headers["X-Gitlab-Event"] == "Job Hook"
    assert (job["sha"], job["build_name"], job["build_stage"]) == (made.id, "build", "test")
    assert job["build_failure_reason"] == "unknown_failure"
    headers, body = receiver.wait(
        lambda body: body["object_kind"] == "pipeline" and body["object_attributes"]["status"] == "pending"
    )
    assert headers["X-Gitlab-Event"] == "Pipeline Hook"
    assert body["object_attributes"]["id"] == job["pipeline_id"]
    assert [build["name"] for build in body["builds"]] == ["build"]
    project.jobs.get(job["build_id"]).cancel()
    receiver.wait(lambda body: body["object_kind"] == "build" and body["build_status"] == "canceled")
    receiver.wait(lambda body: body.get("object_attributes", {}).get("status") == "canceled")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        pytest.param({"push_events_branch_filter": "feature/*"}, ["feature/a"], id="wildcard"),
        pytest.param(
            {"push_events_branch_filter": "^(main|x)$", "branch_filter_strategy": "regex"}, ["main"], id="regex"
        ),
        pytest.param(
            {"push_events_branch_filter": "x", "branch_filter_strategy": "all_branches"},
            ["feature/a", "main"],
            id="all",
        ),
    ],
)
def test_pushes_are_told_by_branch(project: Any, receiver: Receiver, more: dict[str, str], told: list[str]) -> None:
    one = hook(project, receiver, "push_events", "tag_push_events", **more)
    commit(project, "feature/a", start_branch="main")
    commit(project)
    project.tags.create({"tag_name": "last", "ref": "main"})
    receiver.wait(lambda body: body["ref"] == "refs/tags/last")
    one.delete()
    refs = sorted(body["ref"] for _, body in receiver.calls if body["object_kind"] == "push")
    assert refs == [f"refs/heads/{name}" for name in told]


def test_only_this_machine_is_called(served: Served, project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = delivery.httpx.Client.post

    def post(self: Any, url: str, **more: Any) -> Any:
        asked.append(url)
        return real(self, url, **more)

    monkeypatch.setattr(delivery.httpx.Client, "post", post)
    one = project.hooks.create({"url": "http://elsewhere.example.com/hook"})
    with pytest.raises(gitlab.GitlabHttpError, match="URL is blocked") as caught:
        served.client().http_post(f"/projects/{project.id}/hooks/{one.id}/test/push_events")
    assert caught.value.response_code == 422
    # What was begun before this test may still be told.
    assert [url for url in asked if "127.0.0.1" not in url] == []


def test_an_administrator_allows_a_host(served: Served, root: gitlab.Gitlab, project: Any) -> None:
    with served.instance.store.read() as session:
        assert not delivery.may_call(session, "https://chat.example.com/hook")
    settings = root.settings.get()
    settings.outbound_local_requests_whitelist = ["chat.example.com"]
    settings.save()
    with served.instance.store.read() as session:
        assert delivery.may_call(session, "https://chat.example.com/hook")
        assert not delivery.may_call(session, "https://chat.example.com.evil.example.org/hook")
        assert delivery.may_call(session, "http://[::1]:8080/hook")
        assert not delivery.may_call(session, "http://10.0.0.1/hook")


def test_a_test_is_answered_with_what_came_of_it(served: Served, project: Any, receiver: Receiver) -> None:
    one = hook(project, receiver)
    api = served.http()
    path = f"/projects/{project.id}/hooks/{one.id}"
    for trigger, kind in (("push_events", "push"), ("tag_push_events", "tag_push"), ("pipeline_events", "pipeline")):
        assert api.post(f"{path}/test/{trigger}").status_code == 201
        assert receiver.calls[-1][1]["object_kind"] == kind
    none = api.post(f"{path}/test/merge_requests_events")
    assert (none.status_code, none.json()["message"]) == (422, "Ensure the project has merge requests.")
    assert api.post(f"{path}/test/note_events").status_code == 501
    receiver.answer = 500
    assert api.post(f"{path}/test/push_events").status_code == 422
    events = api.get(f"{path}/events").json()
    assert [event["response_status"] for event in events] == ["500", "200", "200", "200"]
    assert events[0]["request_headers"]["X-Gitlab-Token"] == "[REDACTED]"
    receiver.answer = 204
    again = api.post(f"{path}/events/{events[0]['id']}/resend")
    assert (again.status_code, again.json()) == (201, {"response_status": "204"})
    assert receiver.calls[-1][1] == events[0]["request_data"]


def test_who_may_not_change_the_project_may_not_call(served: Served, project: Any, receiver: Receiver) -> None:
    one = hook(project, receiver)
    user, client = served.user("hook-developer")
    project.members.create({"user_id": user.id, "access_level": 30})
    for path in (f"/projects/{project.id}/hooks/{one.id}/test/push_events",):
        with pytest.raises(gitlab.GitlabHttpError) as caught:
            client.http_post(path)
        assert caught.value.response_code == 403
    assert receiver.calls == []


def test_a_redirect_is_not_followed(served: Served, project: Any, receiver: Receiver) -> None:
    one = hook(project, receiver)
    receiver.answer = 302
    path = f"/projects/{project.id}/hooks/{one.id}"
    served.http().post(f"{path}/test/push_events")
    [event] = served.http().get(f"{path}/events").json()
    assert event["response_status"] == "302"


def test_one_who_does_not_answer_keeps_nobody_waiting(project: Any, receiver: Receiver) -> None:
    receiver.hold.clear()
    hook(project, receiver, "push_events")
    for _ in range(delivery.SENDERS + 2):
        commit(project)
    assert len(receiver.calls) <= delivery.SENDERS
    receiver.hold.set()


def test_a_call_is_tried_again_and_then_given_up(served: Served, project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    one = project.hooks.create({"url": f"http://127.0.0.1:{port}/", "push_events": False})
    monkeypatch.setattr(delivery, "WAITS", (0.0, 0.0))
    asked: list[str] = []
    real = delivery.httpx.Client.post

    def post(self: Any, url: str, **more: Any) -> Any:
        if url == one.url:
            asked.append(more["headers"]["Idempotency-Key"])
        return real(self, url, **more)

    monkeypatch.setattr(delivery.httpx.Client, "post", post)
    one.push_events = True
    one.save()
    commit(project)
    path = f"/projects/{project.id}/hooks/{one.id}/events"
    deadline = time.monotonic() + 20
    while not (events := served.http().get(path).json()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert events[0]["response_status"] == "internal error"
    assert len(asked) == 3
    assert len(set(asked)) == 1, "the receiver can't know that it is the same event"


def _waiting(served: Served, hook_id: int) -> int:
    with served.instance.store.read() as session:
        return session.scalar(select(func.count(HookCall.id)).where(HookCall.hook_id == hook_id)) or 0


def _push(project: Any) -> Event:
    sha = project.commits.list(get_all=True)[0].id
    return of_push(
        Push(
            id=1, project_id=project.id, ref="refs/heads/main", before="0" * 40, after=sha, user_id=None, options=("x",)
        )
    )


def test_too_many_calls_are_dropped_not_waited_for(served: Served, project: Any, receiver: Receiver) -> None:
    one = hook(project, receiver, "push_events")
    sender = delivery.Delivery(served.instance)
    sender.tell(range(10**9, 10**9 + delivery.BACKLOG))
    with served.instance.store.write() as session:
        assert sender.note(session, [_push(project)]) == []
    assert _waiting(served, one.id) == 0


def test_a_call_that_is_noted_is_made_at_the_next_start(served: Served, project: Any, receiver: Receiver) -> None:
    one = hook(project, receiver, "push_events")
    event = _push(project)
    with served.instance.store.write() as session:
        assert delivery.Delivery(served.instance).note(session, [event])
    assert Event.of(json.loads(json.dumps(event.fields()))) == event
    assert _waiting(served, one.id) == 1
    sender = delivery.Delivery(served.instance)
    sender.start()
    receiver.wait(lambda body: body["object_kind"] == "push")
    deadline = time.monotonic() + 20
    while _waiting(served, one.id) and time.monotonic() < deadline:
        time.sleep(0.02)
    sender.stop()
    assert (_waiting(served, one.id), len(receiver.calls)) == (0, 1)


def test_a_call_that_a_stop_broke_off_waits(served: Served, project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    one = project.hooks.create({"url": f"http://127.0.0.1:{port}/"})
    with served.instance.store.write() as session:
        delivery.Delivery(served.instance).note(session, [_push(project)])
    sender = delivery.Delivery(served.instance)
    tried = Flag()

    def wait(seconds: float) -> bool:
        """Between two attempts the server stops."""
        if seconds:
            tried.set()
        return seconds > 0

    monkeypatch.setattr(sender._stopped, "wait", wait)
    sender.start()
    assert tried.wait(20)
    sender.stop()
    assert _waiting(served, one.id) == 1
    assert served.http().get(f"/projects/{project.id}/hooks/{one.id}/events").json() == []
    one.delete()
    assert _waiting(served, one.id) == 0, "a deleted hook is called no more"


def _undo(served: Served, made: object) -> None:
    with served.instance.store.write() as session:
        session.add(made)
        session.flush()
        raise RuntimeError("undone")


def test_what_is_undone_is_not_told(served: Served, project: Any, receiver: Receiver) -> None:
    one = hook(project, receiver, "merge_requests_events")
    opened = MergeRequest(iid=1, project_id=project.id, title="x", source_branch="a", target_branch="b", head_sha="c")
    with pytest.raises(RuntimeError, match="undone"):
        _undo(served, opened)
    assert _waiting(served, one.id) == 0
    assert receiver.calls == []


@pytest.mark.servers
def test_a_call_under_way_when_the_server_is_killed_is_made_again(tmp_path: Path, receiver: Receiver) -> None:
    data = tmp_path / "data"
    bootstrap(data)
    (port,) = free_ports(1)
    receiver.hold.clear()
    with serving(data, port) as (process, url), gitlab.Gitlab(url, private_token=ROOT_TOKEN) as client:
        project = client.projects.create({"name": "killed"})
        project.hooks.create({"url": receiver.url, "push_events": True})
        made = project.files.create({"file_path": "x", "branch": "main", "content": "x", "commit_message": "Begin"})
        assert made.file_path == "x"
        first, _ = receiver.wait(lambda body: body["object_kind"] == "push")
        process.kill()
    receiver.hold.set()
    with serving(data, port):
        deadline = time.monotonic() + 20
        while len(receiver.calls) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
    [_, (again, body)] = receiver.calls
    assert body["ref"] == "refs/heads/main"
    assert again["Idempotency-Key"] == first["Idempotency-Key"]


def test_the_token_is_shown_and_stored_nowhere(served: Served, project: Any, receiver: Receiver) -> None:
    one = hook(project, receiver)
    assert TOKEN not in json.dumps(served.http().get(f"/projects/{project.id}/hooks/{one.id}").json())
    with sqlite3.connect(served.instance.store.file) as database:
        rows = database.execute("SELECT * FROM hook").fetchall()
    assert rows
    assert TOKEN not in str(rows)
