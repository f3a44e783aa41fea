"""Secrets that were there before Forgeline are read where the profile says, and nowhere else are they seen."""

from pathlib import Path

import pytest

from infra.clients.given import read_given
from infra.core.error import BadInputError
from infra.core.secret import GivenSecret, Keeper


def test_a_variable_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    assert read_given(GivenSecret.parse("env:TOKEN"), {"TOKEN": "s3cret"}).reveal() == "s3cret"
    assert read_given(GivenSecret.parse(f"file:{file}")).reveal() == "s3cret"


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        pytest.param("s3cret", 0o640, "others may read it", id="open"),
        pytest.param("", 0o600, "just one line", id="empty"),
        pytest.param("s3cret\nmore", 0o600, "just one line", id="two-lines"),
        pytest.param(None, 0o600, "can't be read", id="absent"),
    ],
)
def test_a_bad_file_is_named_and_not_shown(tmp_path: Path, content: str | None, mode: int, message: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    with pytest.raises(BadInputError, match=message) as caught:
        read_given(GivenSecret.parse(f"file:{file}"))
    assert caught.value.where == f"file:{file}"
    assert "s3cret" not in str(caught.value)


def test_a_variable_that_is_not_set() -> None:
    with pytest.raises(BadInputError, match="not set") as caught:
        read_given(GivenSecret.parse("env:TOKEN"), {"TOKEN": " "})
    assert caught.value.fix == "export TOKEN"


def test_bytes_that_are_no_text_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xff\xfe")
    file.chmod(0o600)
    with pytest.raises(BadInputError, match="is not text") as caught:
        read_given(GivenSecret.parse(f"file:{file}"))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["env:A_TOKEN", "file:/a/b c", "file:~/token", "vault:secret/team/gitlab#token"])
def test_a_reference_is_what_it_spells(text: str) -> None:
    assert str(GivenSecret.parse(text)) == text


def test_an_entry_of_vault() -> None:
    assert GivenSecret.parse("vault:kv/team/a#b") == GivenSecret(Keeper.VAULT, "kv/team/a", "b")


@pytest.mark.parametrize(
    "text", ["hvs.abc", "env:7", "env:A-B", "file:token", "vault:kv#a", "vault:kv/a", "vault:/kv/a#b"]
)
def test_what_names_no_place_is_refused_unseen(text: str) -> None:
    with pytest.raises(BadInputError) as caught:
        GivenSecret.parse(text)
    assert text not in str(caught.value)
