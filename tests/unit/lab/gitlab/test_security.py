"""Attacks on the stand-in, one test for each guard. (Bombs of YAML: tests/unit/pipelines/language/test_document.py.)"""

from __future__ import annotations

import hmac
import io
import re
import stat
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gitlab
import httpx
import pytest

from infra.lab.gitlab.door import GUESSES, Door
from infra.lab.gitlab.pipelines.artifact_file import EntryNotFoundError, archive_entry, safe_filename
from infra.lab.gitlab.pipelines.token import JobTokens
from tests.unit.lab.gitlab.conftest import ROOT_PASSWORD, ROOT_TOKEN, Git, Served

pytestmark = pytest.mark.servers


@pytest.fixture
def browser(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def project(served: Served) -> Any:
    return served.client().projects.create({"name": "safe", "initialize_with_readme": True})


def sign_in(browser: httpx.Client, password: str, login: str = "root", back: str = "") -> httpx.Response:
    found = re.search(r'name="authenticity_token" value="([0-9a-f]{64})"', browser.get("/users/sign_in").text)
    assert found
    form = {"login": login, "password": password, "authenticity_token": found[1], "back": back}
    return browser.post("/users/sign_in", data=form)


def test_no_script_and_no_other_site_gets_the_cookie(browser: httpx.Client) -> None:
    for answer in (browser.get("/users/sign_in"), sign_in(browser, ROOT_PASSWORD)):
        if "set-cookie" in answer.headers:
            attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}
            assert {"httponly", "samesite=lax", "path=/"} <= attributes
    assert browser.cookies


def test_another_visitors_form_token_is_refused(served: Served, browser: httpx.Client) -> None:
    with httpx.Client(base_url=served.url, timeout=30) as other:
        stolen = re.search(r'name="authenticity_token" value="(\w+)"', other.get("/users/sign_in").text)
    assert stolen
    assert sign_in(browser, ROOT_PASSWORD).status_code == 303
    assert browser.post("/users/sign_out", data={"authenticity_token": stolen[1]}).status_code == 422
    assert "Sign out" in browser.get("/").text


def test_a_cookie_opens_no_api(browser: httpx.Client) -> None:
    """A form of another site can send the cookie to the API, but no form token: the API must not look at it."""
    sign_in(browser, ROOT_PASSWORD)
    assert browser.post("/api/v4/projects", data={"name": "forged"}).status_code == 401


@pytest.mark.parametrize("way", ["browser", "git"])
def test_guesses_are_counted(served: Served, browser: httpx.Client, project: Any, way: str) -> None:
    served.instance.door = Door()
    served.user(f"guessed-{way}")

    def enters(password: str) -> bool:
        if way == "browser":
            return sign_in(browser, password, f"guessed-{way}").status_code == 303
        path = f"/{project.path_with_namespace}.git/info/refs?service=git-upload-pack"
        return browser.get(path, auth=(f"guessed-{way}", password)).status_code != 401

    assert enters("long enough 1")
    browser.cookies.clear()
    for _ in range(GUESSES):
        assert not enters("wrong")
    assert not enters("long enough 1"), "the right password must not open a closed door"


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = JobTokens(key=b"key")
    compared: list[tuple[object, object]] = []

    def compare(left: Any, right: Any) -> bool:
        compared.append((left, right))
        return real(left, right)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    token = tokens.issue(7)
    changed = token[:-1] + ("a" if token[-1] != "a" else "b")
    assert (tokens.job_id(token), tokens.job_id(changed)) == (7, None)
    assert [left for left, _ in compared] == [token, changed]


@pytest.mark.parametrize("back", ["/x\r\nSet-Cookie: a=b", "/x\nX-Evil: 1"])
def test_no_input_writes_a_header(browser: httpx.Client, back: str) -> None:
    answer = sign_in(browser, ROOT_PASSWORD, back=back)
    assert "x-evil" not in answer.headers
    assert "a=b" not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize("branch", ['say-"hi"', "grün-☃"])
def test_odd_branches_can_be_archived(project: Any, branch: str) -> None:
    project.branches.create({"branch": branch, "ref": "main"})
    assert zipfile.is_zipfile(io.BytesIO(project.repository_archive(sha=branch, format="zip")))


@pytest.mark.parametrize("name", ["../../evil", "..\\..\\evil", '/etc/passwd\r\nX-Evil: "1"', ".bashrc", "", ".."])
def test_an_artifacts_name_stays_a_name(name: str) -> None:
    safe = safe_filename(name)
    assert re.fullmatch(r"[A-Za-z0-9_ ()+@-][A-Za-z0-9._ ()+@-]*", safe)


def test_a_link_in_an_archive_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, str(secret))
        archive.writestr("../../outside", "x")
    assert b"".join(archive_entry(path, "link")) == str(secret).encode()
    assert {each.name for each in tmp_path.iterdir()} == {"secret", "a.zip"}


def test_a_file_of_a_bomb_comes_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(64 * 1024 * 1024))
    assert path.stat().st_size < 100_000
    blocks = archive_entry(path, "zeros")
    assert len(next(blocks)) <= 64 * 1024
    blocks.close()  # type: ignore[attr-defined]


def test_an_entry_that_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "locked.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "text")
    content = bytearray(path.read_bytes())
    for header, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flag] |= 1  # "has a password"
    path.write_bytes(content)
    with pytest.raises(EntryNotFoundError):
        archive_entry(path, "x")


OUTSIDE = ["../../secret.key", "/etc/passwd", ".git/config", "a/../../x", "HEAD", "../HEAD"]


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("where", ["repository/files/{path}/raw?ref=main", "repository/archive.zip?path={path}"])
def test_paths_do_not_leave_the_repository(served: Served, project: Any, where: str, path: str) -> None:
    answer = served.http().get(f"/projects/{project.id}/{where.format(path=quote(path, safe=''))}")
    assert answer.status_code in (400, 404)


@pytest.mark.parametrize("path", ["../../outside.yml", "/../../outside.yml", "a/../../../outside.yml"])
def test_includes_do_not_leave_the_repository(served: Served, project: Any, path: str) -> None:
    (served.instance.settings.data / "outside.yml").write_text("stolen: {script: [x]}\n")
    lint = project.ci_lint.create({"content": f"include: [{{local: '{path}'}}]\njob: {{script: [x]}}\n"})
    assert not lint.valid
    assert "stolen" not in str(lint.merged_yaml)


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", ".git\u200c"])
def test_a_pushed_tree_has_no_git_folder(git: Git, project: Any, tmp_path: Path, name: str) -> None:
    """`.git/config` in a tree would run its author's programs in every checkout."""
    git("init", "-q", "-b", "evil", "work")
    work = tmp_path / "work"

    def made(*arguments: str, stdin: bytes) -> str:
        done = subprocess.run(["git", *arguments], cwd=work, input=stdin, capture_output=True, check=True)
        return done.stdout.decode().strip()

    blob = made("hash-object", "-w", "--stdin", stdin=b"[core]\n\tfsmonitor = touch /tmp/ran\n")
    inner = made("mktree", stdin=f"100644 blob {blob}\tconfig\n".encode())
    entry = b"40000 " + name.encode() + b"\0" + bytes.fromhex(inner)
    tree = made("hash-object", "-w", "--literally", "-t", "tree", "--stdin", stdin=entry)
    commit = git("commit-tree", "-m", "x", tree, cwd=work).stdout.strip()
    address = str(project.http_url_to_repo).replace("http://", f"http://root:{ROOT_TOKEN}@")
    done = git("push", address, f"{commit}:refs/heads/evil", cwd=work, check=False)
    assert done.returncode != 0
    with pytest.raises(gitlab.GitlabGetError):
        project.branches.get("evil")


def test_files_are_given_for_keeping_not_for_showing(project: Any, served: Served) -> None:
    """A page among files, shown by this server, could act as whoever looks at it."""
    text = "<script>alert(1)</script>"
    project.files.create({"file_path": "x.html", "branch": "main", "content": text, "commit_message": "x"})
    raw = served.http().get(f"/projects/{project.id}/repository/files/x.html/raw?ref=main")
    assert raw.headers["content-type"].startswith("text/plain")
    assert raw.headers["x-content-type-options"] == "nosniff"
