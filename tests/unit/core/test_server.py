"""A description goes through JSON unharmed, and can't name a secret wrongly."""

import pytest
from pydantic import ValidationError

from infra.core.error import BadInputError
from infra.core.server import ConfigFile, Probe, Readiness, Server


def description(**changes: object) -> Server:
    return Server.model_validate(
        {
            "name": "web",
            "version": "1",
            "command": ["web", "--serve"],
            "working_folder": "/srv",
            "readiness": Readiness(probe=Probe.HTTP, url="http://127.0.0.1:1/"),
            "log": "/srv/web.log",
            **changes,
        }
    )


def test_a_description_goes_through_json() -> None:
    server = description(
        files=[ConfigFile(path="/srv/x", content="p={{p}}", secrets={"p": "openbao:platform/x#password"})]
    )
    assert Server.model_validate(server.model_dump(mode="json")) == server


def test_the_digest_tells_descriptions_apart() -> None:
    assert description().digest == description().digest
    assert description().digest != description(version="2").digest


@pytest.mark.parametrize(
    ("content", "secrets"),
    [
        pytest.param("p=", {"p": "openbao:a#b"}, id="no-placeholder"),
        pytest.param("p={{p}}", {"p": "hunter2"}, id="a-value-instead-of-a-reference"),
        pytest.param("p={{p}}", {"p": "derived:"}, id="no-purpose"),
    ],
)
def test_a_wrong_secret_is_refused(content: str, secrets: dict[str, str]) -> None:
    with pytest.raises((ValidationError, BadInputError)):
        ConfigFile(path="/srv/x", content=content, secrets=secrets)


@pytest.mark.parametrize("name", ["Web", "-web", "we b", "", "a" * 64])
def test_a_name_that_no_supervisor_takes_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        description(name=name)
