"""Pages of something that runs, as a person sees them change; and what a person can press."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.pages.conftest import Scene

pytestmark = [pytest.mark.servers, pytest.mark.oracle("Chromium")]


def _text(browser: WebDriver, selector: str) -> str:
    return str(browser.execute_script("return document.querySelector(arguments[0]).textContent", selector))


def _until(browser: WebDriver, holds: Callable[[WebDriver], bool]) -> None:
    WebDriverWait(browser, 60).until(holds)


@pytest.fixture
def watched(browser: WebDriver, scene: Scene) -> Callable[[str], None]:
    """Opens a page of the project, and marks the document: a page that was loaded anew has no mark."""

    def show(path: str) -> None:
        browser.get(f"{scene.url}/{scene.path}/-/{path}")
        browser.execute_script("window.mark = 1")

    return show


def test_a_log_grows_where_the_reader_is(browser: WebDriver, scene: Scene, watched: Callable[[str], None]) -> None:
    log = b"first line\n"
    section = b"section_start:1700000000:get_sources\r\x1b[0Kfetching\nsection_end:1700000001:get_sources\r\x1b[0K"
    scene.runner.trace(scene.running, section, start=len(log))
    watched(f"jobs/{scene.running['id']}")
    summary = browser.find_element(By.CSS_SELECTOR, ".log summary")
    summary.send_keys(Keys.ENTER)
    scene.runner.trace(scene.running, b"\x1b[31msecond <line>\x1b[0m\n", start=len(log + section))
    _until(browser, lambda driver: "second <line>" in _text(driver, ".log"))
    assert browser.execute_script("return window.mark") == 1, "the page was loaded anew"
    assert browser.switch_to.active_element == summary, "the focus was lost"
    assert browser.find_element(By.CSS_SELECTOR, ".log details").get_attribute("open") is None
    assert browser.find_element(By.CSS_SELECTOR, ".log .fg-red").text == "second <line>"


def test_a_pipeline_goes_on_before_the_eyes(browser: WebDriver, scene: Scene, watched: Callable[[str], None]) -> None:
    watched(f"pipelines/{scene.pipelines[-1]}")
    assert "running" in _text(browser, "h1")
    scene.runner.update(scene.running, state="success")
    while (taken := scene.runner.request()).status_code == 201:
        scene.runner.update(taken.json(), state="success")
    _until(browser, lambda driver: "success" in _text(driver, "h1"))
    _until(browser, lambda driver: "success" in _text(driver, "#news"))
    assert browser.execute_script("return window.mark") == 1, "the page was loaded anew"
    button = browser.find_element(By.CSS_SELECTOR, "button[aria-label='Start deploy to production']")
    button.send_keys(Keys.ENTER)
    _until(browser, lambda driver: "deploy to production" in _text(driver, "h1"))
    assert "pending" in _text(browser, "h1")
    taken = scene.runner.take("deploy to production")
    watched("environments")
    assert "running" in _text(browser, "tbody tr:nth-child(2)")
    scene.runner.update(taken, state="success")
    _until(browser, lambda driver: "nothing yet" not in _text(driver, "tbody tr:nth-child(2)"))
    browser.find_element(By.LINK_TEXT, "production").click()
    assert f"deploy to production #{taken['id']}" in _text(browser, "table")


def test_an_address_that_is_no_page_is_no_link(
    browser: WebDriver, scene: Scene, watched: Callable[[str], None]
) -> None:
    made = scene.api.post(f"/projects/{scene.project}/environments", json={"name": "odd"})
    number = made.json()["id"]
    changed = {"external_url": "javascript:alert(1)"}
    scene.api.put(f"/projects/{scene.project}/environments/{number}", json=changed)
    for path in ("environments", f"environments/{number}"):
        watched(path)
        addresses = [link.get_attribute("href") for link in browser.find_elements(By.TAG_NAME, "a")]
        assert not [each for each in addresses if each.startswith("javascript:")]
    scene.api.post(f"/projects/{scene.project}/environments/{number}/stop", json={"force": True})
    scene.api.delete(f"/projects/{scene.project}/environments/{number}")
