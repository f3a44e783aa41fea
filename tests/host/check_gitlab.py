"""GitLab is closed to strangers, and the runner is there for its pipelines."""

from __future__ import annotations

from infra.core.settings import Settings
from tests.host.conftest import Ask


def check_gitlab_knows_the_administrator(gitlab: Ask) -> None:
    answer = gitlab("user")
    assert answer.status_code == 200, f"GitLab answers {answer.status_code} to the administrator's token"
    assert answer.json()["is_admin"], f"{answer.json()['username']} is not an administrator"


def check_gitlab_refuses_sign_up(gitlab: Ask) -> None:
    answer = gitlab("application/settings")
    assert answer.status_code == 200, f"GitLab answers {answer.status_code} to the question for its settings"
    assert answer.json()["signup_enabled"] is False, "everybody may sign up"


def check_gitlab_tells_nothing_without_a_token(settings: Settings, anybody: Ask) -> None:
    status = anybody(f"{settings.gitlab_url}/api/v4/user").status_code
    assert status == 401, f"/user answers {status} without a token"


def check_runner_is_online(gitlab: Ask) -> None:
    answer = gitlab("runners/all?status=online")
    assert answer.status_code == 200, f"GitLab answers {answer.status_code} to the question for its runners"
    assert answer.json(), "no runner is online"
