"""A profile says where servers are; the environment moves state and caches."""

from pathlib import Path

import pytest

from infra.core.document import InvalidDocumentError
from infra.core.error import BadInputError
from infra.core.settings import ROOT, Night, load_settings

PROFILE = """\
name: trial
ports: {gitlab: 2001, openbao: 2002, openbao_cluster: 2003, nexus: 2004}
environment_port_offsets: {dev: 10000}
"""


def write(tmp_path: Path, text: str) -> str:
    file = tmp_path / "trial.yaml"
    file.write_text(text)
    return str(file)


def test_lab_is_the_default() -> None:
    settings = load_settings({"HOME": "/home/somebody"})
    assert settings.profile.name == "lab"
    assert settings.state == ROOT / ".forgeline" / "lab"
    assert settings.cache == Path("/home/somebody/.cache/forgeline")
    assert settings.catalog == ROOT / "pipelines" / "catalog"
    assert settings.templates == ROOT / "templates" / "pipelines"


def test_environment_moves_profile_state_and_cache(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "FORGELINE_PROFILE": write(tmp_path, PROFILE),
            "FORGELINE_STATE": str(tmp_path / "state"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
    )
    assert settings.gitlab_url == "http://127.0.0.1:2001"
    assert settings.state == tmp_path / "state"
    assert settings.cache == tmp_path / "cache" / "forgeline"
    assert settings.service_port(8101, "dev") == 18101


def test_a_team_keeps_its_catalogue_and_templates_where_it_likes(tmp_path: Path) -> None:
    environ = {"FORGELINE_PROFILE": "lab", "FORGELINE_PIPELINES": str(tmp_path)}
    settings = load_settings(environ)
    assert settings.catalog == tmp_path / "catalog"
    assert settings.release_file == tmp_path / "release.yaml"
    assert settings.templates == ROOT / "templates" / "pipelines"
    assert settings.policy == ROOT / "pipelines" / "policy.yaml"
    (tmp_path / "templates").mkdir()
    (tmp_path / "policy.yaml").touch()
    settings = load_settings(environ)
    assert (settings.templates, settings.policy) == (tmp_path / "templates", tmp_path / "policy.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(("2004", "2001"), "share a port", id="same-port-twice"),
        pytest.param(("2004", "80"), "greater than or equal to 1024", id="privileged-port"),
        pytest.param(("nexus", "nexsus"), "is not a known key", id="misspelt-server"),
        pytest.param(("dev:", "test:"), "must have an entry 'dev'", id="no-dev"),
    ],
)
def test_bad_profile(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    profile = write(tmp_path, PROFILE.replace(*change))
    with pytest.raises(InvalidDocumentError) as caught:
        load_settings({}, profile=profile)
    assert any(message in finding.message for finding in caught.value.findings)
    assert all(finding.line for finding in caught.value.findings)


def test_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(BadInputError, match="did you mean 'lab'"):
        load_settings({}, profile="lap")


def test_each_service_has_its_minute_of_the_night() -> None:
    night = Night(begins=22, hours=4)
    crons = {name: night.cron(name) for name in ("settlement", "market-data", "order-gateway", "fund-valuation")}
    assert len(set(crons.values())) == len(crons)
    for name, cron in crons.items():
        minute, hour, *rest = cron.split()
        assert (int(minute) in range(60), int(hour) in {22, 23, 0, 1}, rest) == (True, True, ["*"] * 3)
        assert night.cron(name) == cron
