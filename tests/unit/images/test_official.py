"""The pins of the vendors' images: one a server, each by its digest, in a file that people can write too."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.core.document import InvalidDocumentError, parse
from infra.core.error import BadInputError
from infra.core.settings import IMAGE_PINS
from infra.images.official import SERVERS, OfficialImages, chosen

SHIPPED = OfficialImages.of(IMAGE_PINS)
DIGEST = "sha256:" + "0" * 64


def test_every_digest_that_is_shipped_names_who_told_it() -> None:
    assert {server for server, image in SHIPPED.images.items() if image.digest and not image.source} == set()
    assert {server for server, image in SHIPPED.images.items() if image.source and not image.digest} == set()


def test_no_image_is_named_with_a_registry() -> None:
    # A host has a dot, a colon or is "localhost" (the reference grammar of distribution).
    first = [image.name.partition("/")[0] for image in SHIPPED.images.values() if "/" in image.name]
    assert not [part for part in first if "." in part or ":" in part or part == "localhost"]


@pytest.mark.parametrize("version", ["1.10", "3.96.3", 'odd"name'.replace('"', "_")])
def test_what_is_written_is_read_again(version: str) -> None:
    image = SHIPPED.images["nexus"].at(version=version, digest=DIGEST, source='a "registry"')
    pins = OfficialImages(images={**SHIPPED.images, "nexus": image})
    again = parse(pins.text(), "pins.yaml", OfficialImages)
    assert again == pins
    assert again.text() == pins.text()


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("images: {}\n", 1, "proxy is missing"),
        (SHIPPED.text().replace("sha256:9b33", "sha256:xy"), 0, "digest"),
        (SHIPPED.text().replace("name: caddy", "name: Caddy"), 0, "name"),
        (SHIPPED.text() + "  vault:\n    name: vault\n    version: 1\n", 0, "version"),
        (SHIPPED.text() + '  vault:\n    name: vault\n    version: "1"\n', 0, "vault is no server"),
    ],
    ids=["a server left out", "no digest", "no name of an image", "a version that is a number", "an unknown server"],
)
def test_a_file_that_is_wrong_is_told_with_its_place(text: str, line: int, says: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        parse(text, "pins.yaml", OfficialImages)
    assert says in str(caught.value)
    assert "pins.yaml" in str(caught.value)
    assert caught.value.findings[0].line >= line


def test_an_image_without_a_digest_is_not_run_and_the_command_is_told(tmp_path: Path) -> None:
    unknown = SHIPPED.images["runner"].model_copy(update={"digest": None})
    pins = OfficialImages(images={**dict.fromkeys(SERVERS, SHIPPED.images["proxy"]), "runner": unknown})
    pins.check(tmp_path, {"proxy", "openbao"})
    with pytest.raises(BadInputError) as caught:
        pins.check(tmp_path, SERVERS)
    assert "runner" in caught.value.what
    assert "`forgeline images pin --only runner`" in caught.value.fix


def test_a_server_is_chosen_by_its_name() -> None:
    assert chosen(()) == SERVERS
    assert chosen(("runner", "gitlab")) == ("gitlab", "runner")
    with pytest.raises(BadInputError) as caught:
        chosen(("nexsu",))
    assert "nexus" in caught.value.fix
