"""Every page in Chromium: marked, nothing from elsewhere, for keyboards and screen readers, in both colour schemes."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver

from infra.lab.gitlab.web.visit import BANNER
from tests.pages.audit import problems
from tests.pages.conftest import Scene

pytestmark = [pytest.mark.servers, pytest.mark.oracle("Chromium")]

PAGES = {
    "projects": "/",
    "project": "/{path}",
    "folder": "/{path}/-/tree/main/src",
    "file": "/{path}/-/blob/main/README.md",
    "pipelines": "/{path}/-/pipelines",
    "pipeline": "/{path}/-/pipelines/{finished}",
    "pipeline-running": "/{path}/-/pipelines/{running}",
    "job-failed": "/{path}/-/jobs/{failed_job}",
    "merge-requests": "/{path}/-/merge_requests",
    "merge-request": "/{path}/-/merge_requests/1",
    "environments": "/{path}/-/environments",
    "environment": "/{path}/-/environments/1",
    "not-there": "/{path}/-/jobs/999999",
}


def _open(browser: WebDriver, scene: Scene, name: str) -> None:
    first, last = scene.pipelines
    path = PAGES[name].format(path=scene.path, finished=first, running=last, failed_job=scene.failed_job)
    browser.get(scene.url + quote(path))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page(browser: WebDriver, scene: Scene, keep: Callable[[WebDriver, str], None], name: str, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get_log("browser")
    _open(browser, scene, name)
    assert BANNER in browser.find_element("css selector", ".banner").text
    assert problems(browser, scene.url) == []
    keep(browser, f"{name}-{scheme}")
    said = [entry["message"] for entry in browser.get_log("browser") if "404" not in entry["message"]]
    assert said == []


def test_sign_in(chromium: WebDriver, scene: Scene, keep: Callable[[WebDriver, str], None]) -> None:
    chromium.set_window_size(1280, 900)
    chromium.get(scene.url)
    chromium.delete_all_cookies()
    chromium.get(f"{scene.url}/users/sign_in")
    assert problems(chromium, scene.url) == []
    keep(chromium, "sign-in")


@pytest.mark.parametrize("name", PAGES)
def test_narrow(browser: WebDriver, scene: Scene, keep: Callable[[WebDriver, str], None], name: str) -> None:
    """At 320 CSS pixels (WCAG 1.4.10) only tables and logs scroll sideways, never the page."""
    size = {"width": 320, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        _open(browser, scene, name)
        script = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        wanted, there = browser.execute_script(script)
        keep(browser, f"{name}-narrow")
        assert wanted <= there
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_first_tab_skips_to_the_content(browser: WebDriver, scene: Scene) -> None:
    _open(browser, scene, "pipelines")
    body = browser.find_element("tag name", "body")
    body.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to content"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "content"
