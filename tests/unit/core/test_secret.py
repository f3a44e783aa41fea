"""References travel, values do not show."""

import pytest

from infra.core.error import BadInputError
from infra.core.secret import SecretRef, SecretValue


def test_reference_round_trip() -> None:
    assert str(SecretRef.parse("openbao:platform/nexus-admin#password")) == "openbao:platform/nexus-admin#password"


@pytest.mark.parametrize("text", ["", "openbao:", "openbao:a", "vault:a#b", "openbao:../x#y", "openbao:a#b c"])
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(BadInputError):
        SecretRef.parse(text)


def test_value_never_shows() -> None:
    value = SecretValue("hunter2-hunter2")
    shown = f"{value} {value!r} {value!s} {[value]}"
    assert "hunter2" not in shown
    assert value.reveal() == "hunter2-hunter2"
