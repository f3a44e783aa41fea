"""Git over HTTP, with the real git: clone, push, force-push, and what protection refuses."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import gitlab
import httpx
import pytest
from sqlalchemy import select

from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.git_http import broken_off
from infra.lab.gitlab.instance import Instance, Push
from infra.lab.gitlab.push import reconcile
from infra.lab.gitlab.store.push import KnownRef, PendingPush
from tests.unit.lab.gitlab.conftest import ROOT_PASSWORD, ROOT_TOKEN, Git, Served

pytestmark = pytest.mark.servers


@pytest.fixture
def pushes(served: Served) -> list[Push]:
    """What subscribers were told since the test began."""
    told: list[Push] = []
    served.instance.hooks.on_push[:] = [lambda _instance, push: told.append(push)]
    return told


@pytest.fixture
def project(root: gitlab.Gitlab, request: pytest.FixtureRequest) -> Any:
    name = f"git-{abs(hash(request.node.nodeid)) % 10**9}"
    return root.projects.create({"name": name, "initialize_with_readme": True})


def address(project: Any, user: str = "root", secret: str = ROOT_TOKEN) -> str:
    return str(project.http_url_to_repo).replace("http://", f"http://{user}:{secret}@")


def clone(git: Git, project: Any, tmp_path: Path, user: str = "root", secret: str = ROOT_TOKEN) -> Path:
    git("clone", "-q", address(project, user, secret), "work")
    return tmp_path / "work"


def commit(git: Git, work: Path, name: str, text: str = "text\n") -> str:
    (work / name).write_text(text)
    git("add", "-A", cwd=work)
    git("commit", "-qm", f"Add {name}", cwd=work)
    return str(git("rev-parse", "HEAD", cwd=work).stdout.strip())


def test_clone_and_push(git: Git, project: Any, tmp_path: Path, pushes: list[Push]) -> None:
    work = clone(git, project, tmp_path)
    before = git("rev-parse", "HEAD", cwd=work).stdout.strip()
    sha = commit(git, work, "new")
    git("push", "-q", "-o", "ci.skip", "origin", "main", cwd=work)
    assert project.commits.get("main").id == sha
    assert [(push.ref, push.before, push.after, push.user_id, push.options) for push in pushes] == [
        ("refs/heads/main", before, sha, 1, ("ci.skip",))
    ]


def test_an_empty_project_takes_its_first_push(git: Git, root: gitlab.Gitlab, tmp_path: Path) -> None:
    project = root.projects.create({"name": "first-push"})
    work = clone(git, project, tmp_path)
    commit(git, work, "a")
    git("push", "-q", "origin", "HEAD:trunk", "HEAD:other", cwd=work)
    again = root.projects.get(project.id)
    assert (again.empty_repo, again.default_branch) == (False, "other")
    assert again.branches.get("other").protected is True
    git("clone", "-q", address(project), "again")
    assert git("branch", "--show-current", cwd=tmp_path / "again").stdout.strip() == "other"


def test_many_refs_deletion_and_tags(git: Git, project: Any, tmp_path: Path, pushes: list[Push]) -> None:
    work = clone(git, project, tmp_path)
    for number in range(30):
        git("branch", f"b{number}", cwd=work)
    git("tag", "-m", "annotated", "v1", cwd=work)
    git("push", "-q", "--all", cwd=work)
    git("push", "-q", "--tags", cwd=work)
    assert len(pushes) == 31
    git("push", "-q", "origin", ":b1", cwd=work)
    assert (pushes[-1].ref, pushes[-1].after) == ("refs/heads/b1", NO_OBJECT)
    assert project.tags.get("v1").message == "annotated"


def test_a_large_push_comes_in_pieces(git: Git, project: Any, tmp_path: Path) -> None:
    work = clone(git, project, tmp_path)
    sha = commit(git, work, "big", "".join(f"{number * 7919 % 1000003}\n" for number in range(700_000)))
    git("-c", "core.compression=0", "push", "-q", "origin", "main", cwd=work)
    assert project.commits.get("main").id == sha


def test_forced_pushes_need_leave_on_protected_branches(
    git: Git, project: Any, tmp_path: Path, pushes: list[Push]
) -> None:
    work = clone(git, project, tmp_path)
    commit(git, work, "one")
    git("push", "-q", "origin", "main", "main:topic", cwd=work)
    head = project.commits.get("main").id
    git("reset", "-q", "--hard", "HEAD~1", cwd=work)
    commit(git, work, "two")
    pushes.clear()
    refused = git("push", "-f", "origin", "main", check=False, cwd=work)
    assert refused.returncode != 0
    assert "GitLab: You are not allowed to force push code to a protected branch on this project." in refused.stderr
    assert project.commits.get("main").id == head
    assert pushes == []
    git("push", "-q", "-f", "origin", "main:topic", cwd=work)
    rule = project.protectedbranches.get("main")
    rule.allow_force_push = True
    rule.save()
    git("push", "-q", "-f", "origin", "main", cwd=work)
    assert [push.ref for push in pushes] == ["refs/heads/topic", "refs/heads/main"]


def test_protection_is_enforced(served: Served, git: Git, project: Any, tmp_path: Path, pushes: list[Push]) -> None:
    user, client = served.user(f"dev{project.id}")
    token = str(client.private_token)
    project.members.create({"user_id": user.id, "access_level": 30})
    project.protectedtags.create({"name": "v*"})
    work = clone(git, project, tmp_path, "anything", token)
    commit(git, work, "x")
    pushes.clear()
    cases = {
        "HEAD:main": "GitLab: You are not allowed to push code to protected branches on this project.",
        "HEAD:refs/tags/v1": "GitLab: You are not allowed to create this tag as it is protected.",
        ":main": "GitLab: The default branch of a project cannot be deleted.",
        "HEAD:refs/notes/x": "GitLab: You can only push branches and tags.",
        "HEAD:refs/forgeline/x": "hidden ref",
    }
    for refspec, text in cases.items():
        refused = git("push", "origin", refspec, "HEAD:refs/heads/beside", check=False, cwd=work)
        assert refused.returncode != 0, refspec
        assert text in refused.stderr, refspec
    assert pushes == [], "a push is taken as a whole or not at all"
    git("push", "-q", "origin", "HEAD:topic", cwd=work)
    assert [push.user_id for push in pushes] == [user.id]


@pytest.mark.parametrize("level", [pytest.param(10, id="guest"), pytest.param(20, id="reporter")])
def test_roles_below_developer_do_not_push(served: Served, git: Git, project: Any, tmp_path: Path, level: int) -> None:
    user, client = served.user(f"low{level}-{project.id}")
    project.members.create({"user_id": user.id, "access_level": level})
    git("init", "-q", "-b", "main", "work")
    work = tmp_path / "work"
    remote = address(project, "x", str(client.private_token))
    fetched = git("fetch", "-q", remote, "main", check=False, cwd=work)
    assert (fetched.returncode == 0) == (level >= 20)
    commit(git, work, "x")
    refused = git("push", remote, "HEAD:refs/heads/x", check=False, cwd=work)
    assert refused.returncode != 0
    assert "not allowed to" in refused.stderr or "403" in refused.stderr


def test_credentials(served: Served, git: Git, project: Any, tmp_path: Path) -> None:
    deploy = project.deploytokens.create({"name": "d", "scopes": ["read_repository"]})
    reading = project.access_tokens.create({"name": "r", "scopes": ["read_repository"], "access_level": 40})
    other = served.client().projects.create({"name": f"other-{project.id}", "initialize_with_readme": True})
    for user, secret in (
        ("root", ROOT_PASSWORD.replace(" ", "%20")),
        ("x", ROOT_TOKEN),
        (deploy.username.replace("+", "%2B"), deploy.token),
        ("x", reading.token),
    ):
        git("ls-remote", address(project, user, secret))
    for user, secret in (("root", "wrong"), ("x", "glpat-wrong"), ("x", deploy.token), ("gitlab-ci-token", "x")):
        denied = git("ls-remote", address(project, user, secret), check=False)
        assert "Authentication failed" in denied.stderr, user
    assert git("ls-remote", address(other, deploy.username.replace("+", "%2B"), deploy.token), check=False).returncode
    work = clone(git, project, tmp_path, "x", reading.token)
    commit(git, work, "x")
    assert git("push", "origin", "HEAD:y", check=False, cwd=work).returncode != 0
    answer = httpx.get(f"{project.http_url_to_repo}/info/refs?service=git-upload-pack")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="GitLab"')


def test_public_projects_can_be_cloned_by_anybody(root: gitlab.Gitlab, git: Git, project: Any) -> None:
    assert git("ls-remote", project.http_url_to_repo, check=False).returncode != 0
    project.visibility = "public"
    project.save()
    assert "refs/heads/main" in git("ls-remote", project.http_url_to_repo).stdout
    missing = git("ls-remote", str(project.http_url_to_repo).replace("git-", "no-"), check=False)
    assert missing.returncode != 0


def packet(text: str) -> bytes:
    return f"{len(text) + 4:04x}{text}".encode()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"zzzz", id="no-length"),
        pytest.param(b"0003", id="too-small"),
        pytest.param(packet("hello"), id="no-command"),
        pytest.param(packet(f"{NO_OBJECT} {'a' * 40} refs/heads/x") * 2 + b"0000", id="twice"),
        pytest.param(packet(f"{NO_OBJECT} {'a' * 40} refs/heads/x"), id="no-end"),
    ],
)
@pytest.mark.parametrize("packed", [pytest.param(False, id="plain"), pytest.param(True, id="gzip")])
def test_a_push_that_is_not_gits_is_400(project: Any, body: bytes, packed: bool) -> None:
    headers = {"Content-Encoding": "gzip"} if packed else {}
    answer = httpx.post(
        f"{project.http_url_to_repo}/git-receive-pack",
        content=gzip.compress(body) if packed else body,
        headers={"Content-Type": "application/x-git-receive-pack-request", **headers},
        auth=("x", ROOT_TOKEN),
    )
    assert answer.status_code == 400


def test_hooks_in_a_repository_never_run(served: Served, git: Git, project: Any, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    hooks = served.instance.repository(project.id).path / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("pre-receive", "update", "post-receive", "post-update", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {trace}\n")
        (hooks / name).chmod(0o755)
    work = clone(git, project, tmp_path)
    commit(git, work, "x")
    git("push", "-q", "origin", "main", cwd=work)
    project.branches.create({"branch": "x", "ref": "main"})
    assert not trace.exists()


def test_git_without_a_decision_takes_nothing(served: Served, git: Git, project: Any, tmp_path: Path) -> None:
    work = clone(git, project, tmp_path)
    commit(git, work, "x")
    path = served.instance.repository(project.id).path
    hooks = served.instance.settings.data / "hooks"
    refused = git(
        "push",
        "--receive-pack",
        f"git -c core.hooksPath={hooks} receive-pack",
        str(path),
        "main",
        check=False,
        cwd=work,
    )
    assert "no decision was made" in refused.stderr


def test_a_ref_that_moved_behind_the_database_is_found_at_the_next_start(
    served: Served, project: Any, pushes: list[Push]
) -> None:
    instance: Instance = served.instance
    repository = instance.repository(project.id)
    before = project.commits.get("main").id
    project.files.create(
        {"file_path": "a", "branch": "topic", "start_branch": "main", "content": "", "commit_message": "x"}
    )
    after = project.commits.get("topic").id
    pushes.clear()
    repository.move_ref("refs/heads/main", after, before)
    repository.move_ref("refs/heads/topic", NO_OBJECT, after)
    reconcile(instance)
    assert {(push.ref, push.before, push.after) for push in pushes} == {
        ("refs/heads/main", before, after),
        ("refs/heads/topic", after, NO_OBJECT),
    }
    pushes.clear()
    reconcile(instance)
    assert pushes == []
    with instance.store.read() as session:
        known = session.scalars(select(KnownRef).where(KnownRef.project_id == project.id)).all()
        assert {ref.ref: ref.sha for ref in known} == {"refs/heads/main": after}


def test_a_push_that_a_killed_server_had_in_hand_is_told_as_its_pushers(
    served: Served, project: Any, pushes: list[Push]
) -> None:
    instance: Instance = served.instance
    before = project.commits.get("main").id
    body = {"file_path": "a", "branch": "topic", "start_branch": "main", "content": "", "commit_message": "x"}
    project.files.create(body)
    after = project.commits.get("topic").id
    pushes.clear()
    folder = instance.settings.data / "pushes" / "broken"
    folder.mkdir()
    (folder / "commands").write_text(f"{before} {after} refs/heads/main\n")
    (folder / "pusher").write_text(f'[{project.id}, 1, ["ci.skip"]]')
    half = folder.with_name("half")
    half.mkdir()
    (half / "pusher").write_text(f"[{project.id}, 1")
    instance.repository(project.id).move_ref("refs/heads/main", after, before)
    reconcile(instance, broken_off(instance))
    [push] = pushes
    assert (push.ref, push.after, push.user_id, push.options) == ("refs/heads/main", after, 1, ("ci.skip",))
    assert broken_off(instance) == []


def test_a_subscriber_that_fails_is_told_again_at_the_next_start(
    served: Served, project: Any, pushes: list[Push]
) -> None:
    instance = served.instance

    def fail(_instance: Instance, _push: Push) -> None:
        raise RuntimeError("not today")

    instance.hooks.on_push.insert(0, fail)
    project.branches.create({"branch": "x", "ref": "main"})
    assert pushes == []
    instance.hooks.on_push.remove(fail)
    reconcile(instance)
    assert [push.ref for push in pushes] == ["refs/heads/x"]
    with instance.store.read() as session:
        assert session.scalars(select(PendingPush)).all() == []


def test_repositories_of_deleted_projects_are_swept_at_the_next_start(served: Served, project: Any) -> None:
    kept = served.instance.repository(project.id).path
    left_over = [kept.with_name(name) for name in ("99999.git", "7.git.123.new", "8.git.gone")]
    for folder in left_over:
        folder.mkdir()
    reconcile(served.instance)
    assert kept.exists()
    assert [folder for folder in left_over if folder.exists()] == []
