from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from infra.core.error import BadInputError
from infra.images.entry import text
from infra.images.image import Image, put_together
from infra.images.layer import Layer, Layers, Made
from infra.images.recipe import BASE, HomePart, Recipe, chosen, recipes

DAY = 1_795_433_157
RECIPE = Recipe(
    name="x",
    title="An X",
    version="1.2",
    server="x",
    parts=(HomePart(server="other"),),
    environment={"JAVA_HOME": "/opt/java"},
    stand_in=True,
)


@pytest.fixture
def layers(tmp_path: Path) -> tuple[Layer, ...]:
    kept = Layers(tmp_path)

    def make(name: str) -> Layer:
        component = {
            "type": "library",
            "name": name,
            "version": "1",
            "purl": f"pkg:x/{name}",
            "bom-ref": f"pkg:x/{name}",
        }
        made = Made(time=DAY, components=[component])
        return kept.make(
            name, "k" * 16, anew=False, waiting=lambda: None, fill=lambda _: ([text(f"opt/{name}", name)], made)
        )

    return tuple(make(name) for name in ("base", "part", "home"))


def configuration(image: Image) -> dict[str, object]:
    read: dict[str, object] = json.loads(image.configuration)
    return read


def test_an_image_runs_nothing_as_root_and_says_what_it_is(layers: tuple[Layer, ...]) -> None:
    image = put_together(RECIPE, layers)
    assert image.reference == "forgeline/x:1.2"
    made = json.loads(image.configuration)
    assert made["config"]["User"] == "10001:10001"
    assert "Cmd" not in made["config"]
    assert "Entrypoint" not in made["config"]
    assert {"HOME=/srv/x", "JAVA_HOME=/opt/java", "PATH=/usr/local/bin:/usr/bin:/bin"} < set(made["config"]["Env"])
    labels = made["config"]["Labels"]
    assert labels["forgeline.stand-in"] == "true"
    assert labels["forgeline.sbom"] == f"sha256:{hashlib.sha256(image.bill.encode()).hexdigest()}"
    assert labels["org.opencontainers.image.base.name"] == "forgeline/base:bookworm-20261123"
    assert len(made["history"]) == len(made["rootfs"]["diff_ids"]) == 3
    assert [one["name"] for one in json.loads(image.bill)["components"]] == ["base", "home", "part"]


def test_the_same_layers_make_the_same_image_and_others_another(layers: tuple[Layer, ...]) -> None:
    image = put_together(RECIPE, layers)
    assert put_together(RECIPE, layers).identifier == image.identifier
    for other in (replace(RECIPE, title="Another"), replace(RECIPE, environment={}), replace(RECIPE, stand_in=False)):
        assert put_together(other, layers).content != image.content
    assert put_together(RECIPE, (layers[0], layers[2], layers[1])).content != image.content


def test_the_archive_is_what_docker_load_reads(layers: tuple[Layer, ...]) -> None:
    image = put_together(RECIPE, layers)
    with tarfile.open(fileobj=io.BytesIO(b"".join(image.archive()))) as archive:

        def content(name: str) -> bytes:
            file = archive.extractfile(name)
            assert file is not None
            return file.read()

        [manifest] = json.loads(content("manifest.json"))
        assert manifest["RepoTags"] == ["forgeline/x:1.2"]
        assert f"sha256:{hashlib.sha256(content(manifest['Config'])).hexdigest()}" == image.identifier
        sums = [f"sha256:{hashlib.sha256(content(name)).hexdigest()}" for name in manifest["Layers"]]
        assert sums == json.loads(image.configuration)["rootfs"]["diff_ids"]


def test_the_recipes_are_those_of_the_contract() -> None:
    found = {recipe.name: recipe for recipe in recipes()}
    assert {"base", "openbao", "nexus", "runner", "gitlab-standin", "proxy"} <= set(found)
    assert [name for name, recipe in found.items() if recipe.stand_in] == ["gitlab-standin"]
    assert "not GitLab" in found["gitlab-standin"].title
    assert all(recipe.layers[0] == BASE for recipe in found.values())
    for recipe in found.values():
        names = [part.name for part in recipe.layers]
        assert len(set(names)) == len(names)
    assert found["base"].reference("bookworm-1") == "forgeline/base:bookworm-1"


def test_images_are_chosen_by_name_in_the_order_of_building() -> None:
    assert [recipe.name for recipe in chosen(("runner", "base"))] == ["base", "runner"]
    assert chosen(()) == recipes()
    with pytest.raises(BadInputError, match="no image 'openboa'") as caught:
        chosen(("openboa",))
    assert "openbao" in str(caught.value)
