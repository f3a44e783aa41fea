"""The pages, as a browser without scripts sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import gitlab
import httpx
import pytest

from infra.lab.gitlab.door import GUESSES, Door
from infra.lab.gitlab.web.visit import BANNER
from tests.unit.lab.gitlab.conftest import ROOT_PASSWORD, Served

pytestmark = pytest.mark.servers


@pytest.fixture
def browser(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, follow_redirects=True, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def project(served: Served) -> Any:
    root = served.client()
    group = root.groups.create({"name": "Web", "path": "web"})
    made = root.projects.create(
        {"name": "<b>bold</b>", "path": "page", "namespace_id": group.id, "initialize_with_readme": True}
    )
    made.files.create(
        {
            "file_path": "docs/<x> y.md",
            "branch": "main",
            "content": "<script>alert(1)</script>",
            "commit_message": "Add <i>",
        }
    )
    return made


def form_token(text: str) -> str:
    found = re.search(r'name="authenticity_token" value="([0-9a-f]{64})"', text)
    assert found
    return found[1]


def sign_in(
    browser: httpx.Client, password: str = ROOT_PASSWORD, login: str = "root", back: str = ""
) -> httpx.Response:
    token = form_token(browser.get("/users/sign_in").text)
    form = {"login": login, "password": password, "authenticity_token": token, "back": back}
    return browser.post("/users/sign_in", data=form)


def test_health(browser: httpx.Client) -> None:
    assert browser.get("/-/health").text == "GitLab OK"
    assert browser.get("/-/liveness").json() == {"status": "ok"}
    assert browser.get("/-/readiness").json()["status"] == "ok"


def test_sign_in_and_out(browser: httpx.Client, project: Any) -> None:
    first = browser.get("/web/page")
    assert first.url.path == "/users/sign_in"
    before = browser.cookies["_forgeline_gitlab_session"]
    assert "Invalid login or password." in sign_in(browser, "wrong").text
    shown = sign_in(browser, back="/web/page")
    assert shown.url.path == "/web/page"
    assert browser.cookies["_forgeline_gitlab_session"] != before, "a session gets a cookie of its own"
    assert "Sign out" in shown.text
    browser.post("/users/sign_out", data={"authenticity_token": form_token(shown.text)})
    assert browser.get("/web/page").url.path == "/users/sign_in"


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_signing_in_never_leads_to_another_site(browser: httpx.Client, back: str) -> None:
    assert sign_in(browser, back=back).url.path == "/"


def test_a_form_without_its_token_is_refused(browser: httpx.Client, served: Served) -> None:
    browser.get("/users/sign_in")
    for token in ("", "0" * 64):
        form = {"login": "root", "password": ROOT_PASSWORD, "authenticity_token": token}
        assert browser.post("/users/sign_in", data=form).status_code == 422
    sign_in(browser)
    assert browser.post("/users/sign_out", data={}).status_code == 422
    assert "Sign out" in browser.get("/").text


def test_each_page_is_marked_and_escapes_what_people_wrote(browser: httpx.Client, project: Any) -> None:
    sign_in(browser)
    sha = project.commits.get("main").id
    pages = [
        "/",
        "/web/page",
        "/web/page/-/tree/main/docs",
        "/web/page/-/blob/main/docs/%3Cx%3E%20y.md",
        f"/web/page/-/commit/{sha}",
    ]
    for path in pages:
        answer = browser.get(path)
        assert answer.status_code == 200, path
        assert BANNER in answer.text, path
        assert "default-src 'none'" in answer.headers["content-security-policy"], path
        assert not re.search(r"<script|<b>bold|<i>|https?://", answer.text), path
    assert "&lt;script&gt;" in browser.get(pages[3]).text
    assert browser.get("/-/forgeline/style.css").headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/nothing/there", id="project"),
        pytest.param("/web/page/-/nothing", id="page"),
        pytest.param("/web/page/-/blob/main/none", id="file"),
        pytest.param("/web/page/-/tree/none", id="revision"),
        pytest.param("/-/forgeline/../../app.py", id="outside"),
        pytest.param("/-/forgeline/%2e%2e%2fvisit.py", id="outside-encoded"),
        pytest.param("/web/page/-/blob/main/..%2f..%2f..%2fsecret.key", id="traversal"),
    ],
)
def test_what_is_not_there_is_404(browser: httpx.Client, project: Any, path: str) -> None:
    sign_in(browser)
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text.replace(path, "")


def test_what_one_may_not_see_is_not_there(browser: httpx.Client, served: Served, project: Any) -> None:
    served.user("stranger")
    sign_in(browser, "long enough 1", "stranger")
    assert browser.get("/web/page").status_code == 404
    assert "web/page" not in browser.get("/").text


def test_guessing_closes_the_door_for_a_while() -> None:
    time = [0.0]
    door = Door(lambda: time[0])
    for _ in range(GUESSES):
        assert not door.closed("Root")
        door.wrong("root")
    assert door.closed("ROOT")
    assert not door.closed("someone else")
    time[0] = 601.0
    assert not door.closed("root")


def test_blocked_people_are_out_at_once(browser: httpx.Client, served: Served, root: gitlab.Gitlab) -> None:
    user, _ = served.user("leaver")
    sign_in(browser, "long enough 1", "leaver")
    assert "Sign out" in browser.get("/").text
    user.block()
    assert "Sign out" not in browser.get("/").text
    assert "Invalid login or password." in sign_in(browser, "long enough 1", "leaver").text
