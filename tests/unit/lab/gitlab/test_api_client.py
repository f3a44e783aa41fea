"""The API as python-gitlab, the client that most people use, sees it."""

from __future__ import annotations

from typing import Any

import gitlab
import pytest
from gitlab.exceptions import (
    GitlabAuthenticationError,
    GitlabCreateError,
    GitlabDeleteError,
    GitlabGetError,
    GitlabHttpError,
    GitlabUpdateError,
)

from tests.unit.lab.gitlab.conftest import ROOT_TOKEN, Served

pytestmark = pytest.mark.servers


@pytest.fixture
def group(root: gitlab.Gitlab, request: pytest.FixtureRequest) -> Any:
    name = f"group-{abs(hash(request.node.nodeid)) % 10**9}"
    return root.groups.create({"name": name, "path": name})


@pytest.fixture
def project(root: gitlab.Gitlab, group: Any) -> Any:
    return root.projects.create({"name": "demo", "namespace_id": group.id, "initialize_with_readme": True})


def test_signs_in_and_names_itself(root: gitlab.Gitlab, served: Served) -> None:
    root.auth()
    assert root.user is not None
    assert (root.user.username, root.user.is_admin) == ("root", True)
    assert "stand-in" in root.version()[1]
    with pytest.raises(GitlabAuthenticationError):
        served.client("glpat-wrong").auth()


def test_an_unknown_endpoint_names_itself_with_501(served: Served) -> None:
    answer = served.http().get("/projects/1/milestones")
    assert answer.status_code == 501
    expected = "501 Not Implemented: GET /api/v4/projects/1/milestones is not part of the embedded GitLab"
    assert answer.json() == {"message": expected}


def test_groups_are_made_changed_found_and_deleted(root: gitlab.Gitlab, group: Any) -> None:
    child = root.groups.create({"name": "Child", "path": "child", "parent_id": group.id})
    assert child.full_path == f"{group.path}/child"
    assert [each.id for each in group.subgroups.list(get_all=True)] == [child.id]
    child.description = "words"
    child.path = "renamed"
    child.save()
    again = root.groups.get(f"{group.path}/renamed")
    assert again.description == "words"
    group.path += "-moved"
    group.save()
    assert root.groups.get(child.id).full_path == f"{group.path}/renamed"
    group.delete()
    with pytest.raises(GitlabGetError, match="404 Group Not Found"):
        root.groups.get(child.id)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"name": "x"}, "path is missing", id="missing"),
        pytest.param({"name": "x", "path": "-x"}, "can contain only", id="bad-path"),
        pytest.param({"name": "x", "path": "x", "visibility": "open"}, "does not have a valid value", id="enum"),
        pytest.param({"name": "x", "path": "root"}, "has already been taken", id="taken"),
    ],
)
def test_a_group_that_cannot_be_is_400(root: gitlab.Gitlab, given: dict[str, str], message: str) -> None:
    # python-gitlab's own methods check for missing names themselves, so the request goes out by hand.
    with pytest.raises(GitlabHttpError, match=message) as error:
        root.http_post("/groups", post_data=given)
    assert error.value.response_code == 400


def test_projects_keep_their_settings(root: gitlab.Gitlab, group: Any) -> None:
    project = root.projects.create({"name": "Order gateway", "namespace_id": group.id, "visibility": "private"})
    assert project.path == "order-gateway"
    assert project.empty_repo is True
    wanted = {
        "ci_config_path": "order-gateway.yml@platform/pipelines:v1.0.0",
        "ci_pipeline_variables_minimum_override_role": "no_one_allowed",
        "only_allow_merge_if_pipeline_succeeds": True,
        "merge_method": "ff",
        "squash_option": "always",
        "public_jobs": False,
        "shared_runners_enabled": False,
        "build_timeout": 600,
        "wiki_access_level": "disabled",
    }
    for name, value in wanted.items():
        setattr(project, name, value)
    project.save()
    again = root.projects.get(f"{group.path}/order-gateway")
    assert {name: getattr(again, name) for name in wanted} == wanted
    assert again.wiki_enabled is False
    with pytest.raises(GitlabCreateError, match="has already been taken") as error:
        root.projects.create({"name": "Order gateway", "namespace_id": group.id})
    assert error.value.error_message == {
        "name": ["has already been taken"],
        "path": ["has already been taken"],
        "project_namespace.name": ["has already been taken"],
    }
    again.merge_method = "sideways"
    with pytest.raises(GitlabUpdateError, match="merge_method does not have a valid value"):
        again.save()
    again.archive()
    assert root.projects.get(again.id).archived is True
    again.delete()
    with pytest.raises(GitlabGetError, match="404 Project Not Found"):
        root.projects.get(again.id)


def test_members_and_what_they_may(served: Served, project: Any, group: Any) -> None:
    user, client = served.user(f"dev{project.id}")
    with pytest.raises(GitlabGetError) as unseen:
        client.projects.get(project.id)
    assert unseen.value.response_code == 404
    group.members.create({"user_id": user.id, "access_level": gitlab.const.AccessLevel.DEVELOPER})
    seen = client.projects.get(project.id)
    assert seen.permissions["group_access"]["access_level"] == 30
    with pytest.raises(GitlabCreateError) as forbidden:
        seen.variables.create({"key": "A", "value": "b"})
    assert forbidden.value.response_code == 403
    with pytest.raises(GitlabCreateError, match="Member already exists") as twice:
        group.members.create({"user_id": user.id, "access_level": 30})
    assert twice.value.response_code == 409
    assert [each.id for each in project.members.list(get_all=True)] == []
    assert user.id in [each.id for each in project.members_all.list(get_all=True)]
    with pytest.raises(GitlabCreateError, match="inherited membership"):
        project.members.create({"user_id": user.id, "access_level": 20})
    project.members.create({"user_id": user.id, "access_level": 40})
    seen.variables.create({"key": "A", "value": "b"})
    with pytest.raises(GitlabCreateError) as above:
        seen.members.create({"user_id": 1, "access_level": 50})
    assert above.value.response_code == 403
    with pytest.raises(GitlabDeleteError):
        group.members.delete(1)


def test_a_shared_project_is_open_to_the_other_groups_members(
    served: Served, root: gitlab.Gitlab, project: Any
) -> None:
    user, client = served.user(f"guest{project.id}")
    other = root.groups.create({"name": f"other{project.id}", "path": f"other{project.id}"})
    other.members.create({"user_id": user.id, "access_level": 40})
    project.share(other.id, 20)
    assert client.projects.get(project.id).files.get("README.md", "main")
    with pytest.raises(GitlabCreateError):
        client.projects.get(project.id).branches.create({"branch": "x", "ref": "main"})
    project.unshare(other.id)
    with pytest.raises(GitlabGetError):
        client.projects.get(project.id)


def test_variables(root: gitlab.Gitlab, project: Any, group: Any) -> None:
    project.variables.create({"key": "HOST", "value": "a", "environment_scope": "dev"})
    project.variables.create({"key": "HOST", "value": "b", "environment_scope": "test", "protected": True})
    with pytest.raises(GitlabHttpError) as ambiguous:
        root.http_get(f"/projects/{project.id}/variables/HOST")
    assert ambiguous.value.response_code == 409
    chosen = project.variables.get("HOST", filter={"environment_scope": "test"})
    assert (chosen.value, chosen.protected) == ("b", True)
    with pytest.raises(GitlabCreateError, match="has already been taken"):
        project.variables.create({"key": "HOST", "value": "c", "environment_scope": "dev"})
    with pytest.raises(GitlabCreateError, match="is invalid"):
        project.variables.create({"key": "SHORT", "value": "abc", "masked": True})
    hidden = group.variables.create({"key": "SECRET", "value": "abcdefgh", "masked_and_hidden": True})
    assert (hidden.hidden, hidden.masked) == (True, True)
    assert group.variables.get("SECRET").value is None
    file = group.variables.create({"key": "F", "value": "x", "variable_type": "file", "raw": True})
    file.value = "y"
    file.save()
    assert (group.variables.get("F").value, group.variables.get("F").variable_type) == ("y", "file")
    file.delete()
    with pytest.raises(GitlabGetError, match="404 Variable Not Found"):
        group.variables.get("F")
    root.variables.create({"key": "EVERYWHERE", "value": "1"})
    assert "environment_scope" not in root.variables.get("EVERYWHERE").attributes


def test_files_commits_and_history(project: Any) -> None:
    project.files.create(
        {"file_path": "docs/a b.md", "branch": "main", "content": "one\n", "commit_message": "Add docs"}
    )
    file = project.files.get("docs/a b.md", "main")
    assert file.decode() == b"one\n"
    with pytest.raises(GitlabCreateError, match="already exists"):
        project.files.create({"file_path": "docs/a b.md", "branch": "main", "content": "", "commit_message": "x"})
    file.content = "two\n"
    file.save(branch="main", commit_message="Change docs")
    assert project.files.raw("docs/a b.md", ref="main") == b"two\n"
    with pytest.raises(GitlabGetError, match="404 File Not Found"):
        project.files.get("nothing", "main")
    commit = project.commits.create(
        {
            "branch": "topic",
            "start_branch": "main",
            "commit_message": "Many\n\nat once",
            "author_name": "Someone",
            "author_email": "someone@example.org",
            "actions": [
                {"action": "create", "file_path": "run.sh", "content": "IyE=", "encoding": "base64"},
                {"action": "chmod", "file_path": "run.sh", "execute_filemode": True},
                {"action": "move", "file_path": "docs/b.md", "previous_path": "docs/a b.md"},
                {"action": "update", "file_path": "README.md", "content": "new\n"},
            ],
        }
    )
    assert (commit.title, commit.author_name, commit.stats["total"] > 0) == ("Many", "Someone", True)
    tree = {item["path"]: item["mode"] for item in project.repository_tree(ref="topic", recursive=True, get_all=True)}
    assert tree == {"README.md": "100644", "docs": "040000", "docs/b.md": "100644", "run.sh": "100755"}
    compared = project.repository_compare("main", "topic")
    assert [each["title"] for each in compared["commits"]] == ["Many"]
    assert {diff["new_path"]: diff["renamed_file"] for diff in compared["diffs"]}["docs/b.md"] is True
    assert project.repository_merge_base(["main", "topic"])["title"] == "Change docs"
    titles = [each.title for each in project.commits.list(ref_name="topic", get_all=True, per_page=2)]
    assert titles == ["Many", "Change docs", "Add docs", "Initial commit"]
    assert project.repository_archive(sha="topic", format="zip")[:2] == b"PK"
    assert project.commits.get("topic").diff(get_all=True)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        pytest.param({"action": "update", "file_path": "no", "content": ""}, "doesn't exist", id="not-there"),
        pytest.param({"action": "create", "file_path": "../x", "content": ""}, "traversal", id="traversal"),
        pytest.param({"action": "create", "file_path": ".git/config", "content": ""}, "traversal", id="dot-git"),
        pytest.param({"action": "burn", "file_path": "x"}, "does not have a valid value", id="action"),
        pytest.param({"action": "create"}, r"actions\[0\]\[file_path\] is missing", id="path-missing"),
        pytest.param(
            {"action": "create", "file_path": "x", "content": "%%", "encoding": "base64"}, "base64", id="base64"
        ),
    ],
)
def test_a_commit_that_cannot_be_made_changes_nothing(project: Any, action: dict[str, Any], message: str) -> None:
    before = project.branches.get("main").commit["id"]
    with pytest.raises(GitlabCreateError, match=message) as error:
        project.commits.create({"branch": "main", "commit_message": "x", "actions": [action]})
    assert error.value.response_code == 400
    assert project.branches.get("main").commit["id"] == before


def test_branches_and_tags(project: Any) -> None:
    branch = project.branches.create({"branch": "release/1.0", "ref": "main"})
    assert (branch.protected, branch.default) == (False, False)
    assert project.branches.get("main").protected is True
    with pytest.raises(GitlabCreateError, match="Branch already exists"):
        project.branches.create({"branch": "release/1.0", "ref": "main"})
    with pytest.raises(GitlabCreateError, match="Invalid reference name"):
        project.branches.create({"branch": "x", "ref": "nowhere"})
    tag = project.tags.create({"tag_name": "v1.0.0", "ref": "main", "message": "First"})
    assert (tag.message, tag.target != tag.commit["id"]) == ("First", True)
    with pytest.raises(GitlabCreateError, match=r"Tag v1\.0\.0 already exists"):
        project.tags.create({"tag_name": "v1.0.0", "ref": "main"})
    branch.delete()
    with pytest.raises(GitlabGetError, match="404 Branch Not Found"):
        project.branches.get("release/1.0")
    with pytest.raises(GitlabDeleteError, match="default branch"):
        project.branches.delete("main")
    tag.delete()
    assert project.tags.list(get_all=True) == []


def test_protected_branches_and_tags(served: Served, project: Any) -> None:
    with pytest.raises(GitlabCreateError, match="Protected branch 'main' already exists") as twice:
        project.protectedbranches.create({"name": "main"})
    assert twice.value.response_code == 409
    rule = project.protectedbranches.create({"name": "*-stable", "push_access_level": 0, "merge_access_level": 30})
    assert rule.push_access_levels[0]["access_level_description"] == "No one"
    rule.allow_force_push = True
    rule.save()
    assert project.protectedbranches.get("*-stable").allow_force_push is True
    project.protectedtags.create({"name": "v*", "create_access_level": 40})
    user, client = served.user(f"writer{project.id}")
    project.members.create({"user_id": user.id, "access_level": 30})
    mine = client.projects.get(project.id)
    with pytest.raises(GitlabCreateError, match="not allowed to create this tag"):
        mine.tags.create({"tag_name": "v1", "ref": "main"})
    mine.tags.create({"tag_name": "other", "ref": "main"})
    change = {"branch": "main", "content": "x", "commit_message": "x", "file_path": "x"}
    with pytest.raises(GitlabCreateError, match="not allowed to push into this branch"):
        mine.files.create(change)
    commit = {"branch": "main", "commit_message": "x", "actions": [{"action": "create", "file_path": "x"}]}
    with pytest.raises(GitlabCreateError) as refused:
        mine.commits.create(commit)
    assert refused.value.response_code == 403
    mine.files.create({**change, "branch": "topic", "start_branch": "main"})
    with pytest.raises(GitlabCreateError):
        project.branches.create({"branch": "1-stable", "ref": "main"})
    project.protectedbranches.delete("*-stable")
    project.branches.create({"branch": "1-stable", "ref": "main"})


def test_access_tokens(served: Served, root: gitlab.Gitlab, project: Any) -> None:
    made = project.access_tokens.create({"name": "bot", "scopes": ["read_api"], "access_level": 30})
    bot = served.client(made.token)
    assert bot.projects.get(project.id).id == project.id
    with pytest.raises(GitlabCreateError) as scope:
        bot.projects.get(project.id).branches.create({"branch": "x", "ref": "main"})
    assert scope.value.response_code == 403
    with pytest.raises(AttributeError):
        _ = project.access_tokens.get(made.id).token
    rotated = made.rotate()
    with pytest.raises(GitlabAuthenticationError, match="invalid_token"):
        bot.projects.get(project.id)
    assert served.client(rotated["token"]).projects.get(project.id)
    project.access_tokens.delete(rotated["id"])
    with pytest.raises(GitlabAuthenticationError):
        served.client(rotated["token"]).projects.get(project.id)
    with pytest.raises(GitlabCreateError, match="scopes does not have a valid value"):
        project.access_tokens.create({"name": "bot", "scopes": ["everything"]})
    assert root.personal_access_tokens.get("self").name == "forgeline"
    assert ROOT_TOKEN not in str(root.personal_access_tokens.list(get_all=True))


def test_tokens_are_kept_as_hashes_only(served: Served, project: Any) -> None:
    token = project.access_tokens.create({"name": "x", "scopes": ["api"]}).token
    deploy = project.deploytokens.create({"name": "x", "scopes": ["read_repository"]}).token
    data = b"".join(path.read_bytes() for path in served.instance.settings.data.glob("gitlab.sqlite3*"))
    assert (token[:6], deploy[:5]) == ("glpat-", "gldt-")
    assert token.encode() not in data
    assert deploy.encode() not in data
    assert f"project_{project.id}_bot".encode() in data


def test_users(served: Served, root: gitlab.Gitlab) -> None:
    user, client = served.user("carol")
    client.auth()
    with pytest.raises(GitlabCreateError, match="Username has already been taken") as taken:
        root.users.create({"username": "carol", "name": "x", "email": "x@example.org", "password": "long enough 1"})
    assert taken.value.response_code == 409
    with pytest.raises(GitlabCreateError) as forbidden:
        client.users.create({"username": "dave", "name": "x", "email": "d@example.org", "password": "long enough 1"})
    assert forbidden.value.response_code == 403
    user.block()
    with pytest.raises(GitlabHttpError, match="blocked"):
        client.http_get("/user")
    user.unblock()
    assert client.http_get("/user")["id"] == user.id
    assert "is_admin" not in client.http_get("/user")
    assert served.client().http_get("/user", sudo="carol")["username"] == "carol"
    with pytest.raises(GitlabHttpError, match="Must be admin to use sudo"):
        client.http_get("/user", sudo="root")
    user.delete()
    with pytest.raises(GitlabGetError):
        root.users.get(user.id)


def test_settings(root: gitlab.Gitlab, served: Served) -> None:
    settings = root.settings.get()
    assert settings.signup_enabled is False
    settings.default_branch_protection = 1
    settings.save()
    assert root.settings.get().default_branch_protection == 1
    _, client = served.user("erin")
    with pytest.raises(GitlabGetError) as forbidden:
        client.settings.get()
    assert forbidden.value.response_code == 403


def test_lists_come_in_pages(root: gitlab.Gitlab, served: Served, group: Any) -> None:
    for number in range(5):
        root.projects.create({"name": f"p{number}", "namespace_id": group.id})
    listed = group.projects.list(iterator=True, per_page=2, order_by="id", sort="asc")
    assert [each.name for each in listed] == [f"p{number}" for number in range(5)]
    assert (listed.total, listed.total_pages) == (5, 3)
    page = served.http().get("/projects", params={"pagination": "keyset", "order_by": "id", "per_page": 2})
    assert "id_before" in page.headers["link"]
    assert "x-page" not in page.headers
    names = [each.name for each in root.projects.list(iterator=True, pagination="keyset", order_by="id", per_page=2)]
    assert len(names) == len(set(names)) + (len(names) - len(set(names)))
    assert served.http().get("/projects", params={"page": "x"}).json() == {"error": "page is invalid"}


def test_job_token_scope(root: gitlab.Gitlab, project: Any, group: Any) -> None:
    scope = project.job_token_scope.get()
    assert scope.inbound_enabled is True
    other = root.projects.create({"name": "other", "namespace_id": group.id})
    scope.allowlist.create({"target_project_id": other.id})
    assert [each.id for each in scope.allowlist.list(get_all=True)] == [project.id, other.id]
    scope.groups_allowlist.create({"target_group_id": group.id})
    scope.groups_allowlist.delete(group.id)
    scope.allowlist.delete(other.id)
    with pytest.raises(GitlabDeleteError):
        scope.allowlist.delete(other.id)
    scope.enabled = False
    scope.save()
    assert project.job_token_scope.get().inbound_enabled is True, "the instance wants a list of every project"
    settings = root.settings.get()
    settings.enforce_ci_inbound_job_token_scope_enabled = False
    settings.save()
    assert project.job_token_scope.get().inbound_enabled is False


def test_a_groups_protected_branches_guard_its_projects(root: gitlab.Gitlab) -> None:
    group = root.groups.create({"name": "guarding", "path": "guarding"})
    group.protectedbranches.create({"name": "*-stable", "push_access_level": 0, "merge_access_level": 40})
    project = root.projects.create({"name": "p", "namespace_id": group.id, "initialize_with_readme": True})
    project.branches.create({"branch": "side", "ref": "main"})
    with pytest.raises(GitlabCreateError, match="403"):
        project.branches.create({"branch": "1-stable", "ref": "main"})
    rule = group.protectedbranches.get("*-stable")
    assert rule.push_access_levels[0]["access_level"] == 0
    rule.delete()
    assert project.branches.create({"branch": "1-stable", "ref": "main"}).protected is False


def test_keys_addresses_and_status_of_a_user(served: Served, root: gitlab.Gitlab) -> None:
    user, client = served.user("keeper")
    client.auth()
    assert client.user is not None
    mail = client.user.emails.create({"email": "keeper-too@example.org"})
    for wrong in ("no address", "keeper-too@example.org", "keeper@example.org"):
        with pytest.raises(GitlabCreateError, match="400"):
            client.user.emails.create({"email": wrong})
    with pytest.raises(GitlabCreateError, match="is invalid"):
        client.user.keys.create({"title": "x", "key": "ssh-rsa AAAA"})
    with pytest.raises(GitlabCreateError, match="is invalid"):
        client.user.gpgkeys.create({"key": "nothing"})
    assert [each.email for each in root.users.get(user.id).emails.list(get_all=True)] == ["keeper-too@example.org"]
    with pytest.raises(GitlabHttpError, match="403"):
        client.http_list("/users/1/emails", get_all=True)
    with pytest.raises(GitlabHttpError, match="404 Email Not Found"):
        root.http_delete(f"/user/emails/{mail.id}")
    mail.delete()
    client.http_put("/user/status", post_data={"message": "away", "availability": "busy"})
    assert root.users.get(user.id).status.get().availability == "busy"
