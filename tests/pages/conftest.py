"""Chromium, and a stand-in with something on every page. Screenshots are kept in the folder that SCREENSHOTS names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from tests.embedded import HEADERS, ROOT_PASSWORD, bootstrap, serving
from tests.unit.lab.gitlab.pipelines.conftest import FakeRunner

BROWSER, DRIVER = "chromium", "chromedriver"
LOG = (
    b"Running with gitlab-runner 19.4.0\n"
    b"\x1b[0Ksection_start:1700000000:prepare_script[collapsed=true]\r\x1b[0K\x1b[36;1mPreparing environment\x1b[0;m\n"
    b"Running on lab...\n"
    b"\x1b[0Ksection_end:1700000002:prepare_script\r\x1b[0K"
    b'\x1b[0Ksection_start:1700000002:step_script\r\x1b[0K\x1b[36;1mExecuting "step_script"\x1b[0;m\n'
    b"\x1b[32;1m$ make test\x1b[0;m\n"
    b"test_limits \x1b[32mpassed\x1b[0m, test_prices \x1b[33mslow\x1b[0m\n"
    b"test_risk \x1b[31;1mFAILED\x1b[0m <b>not bold</b>\n"
    b"\x1b[44m 2 of 3 \x1b[0m\n"
    b"\x1b[0Ksection_end:1700000065:step_script\r\x1b[0K"
    b"\x1b[31;1mERROR: Job failed: exit status 1\x1b[0;m\n"
)
CONFIGURATION = """
stages: [build, test, deploy]
compile: {stage: build, script: [make]}
unit: {stage: test, script: [make test], allow_failure: true}
lint: {stage: test, script: [make lint]}
deploy to dev:
  stage: deploy
  script: [make deploy]
  environment: {name: dev, url: "http://127.0.0.1:9999/dev"}
deploy to production:
  stage: deploy
  script: [make deploy]
  when: manual
  environment: {name: production}
"""


@dataclass(frozen=True)
class Scene:
    """A project in which something of everything has happened, and a runner that is in the middle of a job."""

    url: str
    api: httpx.Client
    project: int
    path: str
    pipelines: tuple[int, ...]
    """A finished one, and one that is going on."""
    failed_job: int
    running: dict[str, Any]
    runner: FakeRunner

    def job(self, name: str) -> int:
        """The job of the pipeline that is going on."""
        found = self.api.get(f"/projects/{self.project}/pipelines/{self.pipelines[-1]}/jobs").json()
        return next(int(job["id"]) for job in found if job["name"] == name)


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One for all tests, which leave it as it is but for what they say."""
    data = tmp_path_factory.mktemp("pages") / "data"
    bootstrap(data)
    with (
        serving(data) as (_, url),
        httpx.Client(base_url=f"{url}/api/v4", headers=HEADERS, timeout=60) as api,
        httpx.Client(base_url=f"{url}/api/v4", timeout=60) as plain,
    ):
        yield _play(url, api, plain)


def _play(url: str, api: httpx.Client, plain: httpx.Client) -> Scene:
    def post(path: str, /, **body: Any) -> Any:
        answer = api.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    group = post("/groups", name="Trading", path="trading")
    project = post("/projects", name="Order gateway", path="order-gateway", namespace_id=group["id"])
    post("/projects", name="Empty", path="empty", namespace_id=group["id"])
    number = project["id"]
    token = post("/user/runners", runner_type="project_type", project_id=number, description="lab runner")["token"]
    runner = FakeRunner(http=plain, token=token)
    files = {".gitlab-ci.yml": CONFIGURATION, "README.md": "# Order gateway\n", "src/main.go": "package main\n"}
    actions = [{"action": "create", "file_path": path, "content": text} for path, text in files.items()]
    base = f"/projects/{number}/repository/commits"
    post(base, branch="main", commit_message="Take orders by FIX", actions=actions)
    failed = 0
    for _ in range(4):
        job = runner.take()
        if job["job_info"]["name"] == "unit":
            failed = job["id"]
            runner.finish(job, "failed", log=LOG, failure_reason="script_failure", exit_code=1)
        else:
            runner.finish(job, log=b"done\n")
    change = {"action": "update", "file_path": "README.md", "content": "# Order gateway\n\nTakes orders.\n"}
    post(base, branch="limits", start_branch="main", commit_message="Check limits [skip ci]", actions=[change])
    post(f"/projects/{number}/merge_requests", source_branch="limits", target_branch="main", title="Check limits first")
    post(base, branch="main", commit_message="Say what it does", actions=[change])
    running = runner.take("compile")
    runner.trace(running, b"first line\n")
    newest = [each["id"] for each in api.get(f"/projects/{number}/pipelines?ref=main").json()]
    return Scene(
        url=url,
        api=api,
        project=number,
        path=project["path_with_namespace"],
        pipelines=tuple(sorted(newest)),
        failed_job=failed,
        running=running,
        runner=runner,
    )


@pytest.fixture(scope="session")
def chromium() -> Iterator[WebDriver]:
    """A browser without a window."""
    missing = [name for name in (BROWSER, DRIVER) if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not found: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = str(shutil.which(BROWSER))
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--disable-gpu"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which(DRIVER)))
    driver.set_page_load_timeout(120)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: WebDriver, scene: Scene) -> WebDriver:
    """Signed in as the administrator, at the list of projects."""
    chromium.set_window_size(1280, 900)
    chromium.get(scene.url)
    chromium.delete_all_cookies()
    chromium.get(f"{scene.url}/users/sign_in")
    chromium.find_element(By.ID, "login").send_keys("root")
    chromium.find_element(By.ID, "password").send_keys(ROOT_PASSWORD)
    chromium.find_element(By.ID, "password").submit()
    return chromium


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[WebDriver, str], None]:
    """Keeps a screenshot of the whole page."""
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)

    def shoot(driver: WebDriver, name: str) -> None:
        height = driver.execute_script("return document.documentElement.scrollHeight")
        width = driver.get_window_size()["width"]
        driver.set_window_size(width, max(600, min(int(height) + 150, 4000)))
        assert driver.save_screenshot(str(folder / f"{name}.png"))

    return shoot
