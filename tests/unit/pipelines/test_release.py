"""A release as data: what is in it, what differs, and what is wrong with one that was altered."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version as installed
from pathlib import Path

import pytest

from infra.core.error import BadInputError
from infra.core.settings import ROOT, load_settings
from pipelines.catalogue import load_catalogue
from pipelines.release import (
    Effect,
    altered,
    compare,
    meaning,
    named_version,
    newest,
    origin,
    same_or_new,
    unpublished_pins,
)
from pipelines.render import LOCK
from pipelines.source import Source

CATALOGUE = load_catalogue()
SOURCE = Source.of(load_settings({}), CATALOGUE)
FILES = SOURCE.files()


def test_a_release_is_what_its_lock_says() -> None:
    assert altered(FILES, SOURCE.version) == {}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"settlement.yml": "x"}, {"settlement.yml": "is not what release.lock.json says"}, id="edited"),
        pytest.param({"settlement.yml": None}, {"settlement.yml": "is not there"}, id="removed"),
        pytest.param({"other.yml": "x"}, {"other.yml": "is not in release.lock.json"}, id="added"),
        pytest.param({LOCK: None}, {LOCK: "is not there"}, id="no-lock"),
        pytest.param({LOCK: "[]"}, {LOCK: "is not a lock"}, id="no-lock-at-all"),
    ],
)
def test_an_altered_release_is_told(change: dict[str, str | None], told: dict[str, str]) -> None:
    files = {path: text for path, text in {**FILES, **change}.items() if text is not None}
    assert altered(files, SOURCE.version) == told


def test_a_tag_that_was_moved_to_another_release_is_told() -> None:
    assert altered(SOURCE.files("v9.0.0"), "v1.0.0") == {LOCK: "is the lock of v9.0.0"}


def test_two_sets_of_files_are_compared_by_what_is_below_the_header() -> None:
    before = {"a.yml": "# one\nx: 1\n", "b.yml": "# one\nx: 1\n", "c.yml": "x\n", "d.yml": "x\n", LOCK: "1"}
    after = {"a.yml": "# two\nx: 1\n", "b.yml": "# one\nx: 2\ny: 3\n", "d.yml": "x\n", "e.yml": "x\n", LOCK: "2"}
    changes = compare(before, after)
    assert [(change.path, change.effect) for change in changes] == [
        ("a.yml", Effect.HEADER),
        ("b.yml", Effect.CHANGED),
        ("c.yml", Effect.REMOVED),
        ("e.yml", Effect.ADDED),
    ]
    assert [str(change) for change in changes] == [
        "changed: the header of a.yml",
        "changed: b.yml (+2 -1 lines)",
        "removed: c.yml",
        "added: e.yml",
    ]


def test_the_same_pipelines_under_another_version_differ_in_nothing() -> None:
    assert compare(SOURCE.files("v2.0.0"), SOURCE.files("v2.0.0")) == ()
    assert all(SOURCE.files("v2.0.0")[path] != text for path, text in FILES.items())


def test_a_comment_inside_is_not_the_header() -> None:
    assert meaning("# a\nx: 1\n# b\n") != meaning("# a\nx: 1\n# c\n")


def test_the_header_says_what_made_a_file() -> None:
    other = replace(SOURCE, context=replace(SOURCE.context, address="127.0.0.2"))
    first, second = origin(FILES["settlement.yml"]), origin(other.files()["settlement.yml"])
    assert first
    assert second
    assert (first.templates, first.inputs != second.inputs) == (second.templates, True)
    assert origin("x: 1\n# templates sha256 " + "0" * 64) is None


def test_a_pin_changes_nothing_in_what_is_rendered() -> None:
    service = CATALOGUE.service("settlement")
    moved = service.model_copy(update={"pipeline": "v7.0.0", "canary": True, "hold": {"reason": "x"}})
    catalogue = replace(CATALOGUE, services={**CATALOGUE.services, "settlement": moved})
    assert replace(SOURCE, catalogue=catalogue).files() == FILES


def test_headers_alone_take_no_new_version() -> None:
    """A description that changes leaves what is published as it is; a port does not, nor does another version."""
    service = CATALOGUE.service("settlement")

    def files(version: str | None = None, **fields: object) -> dict[str, str]:
        changed = {**CATALOGUE.services, "settlement": service.model_copy(update=fields)}
        return replace(SOURCE, catalogue=replace(CATALOGUE, services=changed)).files(version)

    described = files(description="Something else")
    assert described != FILES
    assert same_or_new(FILES, described) == FILES
    for other in (files(port=8117), files("v2.0.0")):
        assert same_or_new(FILES, other) == other
    assert same_or_new({}, FILES) == FILES
    assert same_or_new({**FILES, LOCK: "?"}, FILES) == FILES


def test_versions_are_ordered_as_numbers() -> None:
    assert newest(["v1.9.0", "v1.10.0", "v1.2.30"]) == "v1.10.0"
    assert newest([]) is None


def test_a_pin_to_a_release_that_is_nowhere_is_found_at_its_line() -> None:
    assert list(unpublished_pins(CATALOGUE, {"v1.0.0"})) == []
    found = list(unpublished_pins(CATALOGUE, {"v2.0.0"}))
    assert [Path(finding.file).stem for finding in found] == list(CATALOGUE.services)
    for finding in found:
        assert Path(finding.file).read_text().splitlines()[finding.line - 1] == "pipeline: v1.0.0"
        assert "no pipeline release v1.0.0" in finding.message
        assert "pin v1.0.0, which this checkout makes" in finding.fix


@pytest.mark.parametrize(
    ("wanted", "told"), [("v1", "not a version"), ("v1.0.0\n", "not a version"), ("v2.0.0", "makes v1.0.0, not v2.0.0")]
)
def test_the_version_that_is_asked_for_is_the_one_that_is_made(wanted: str, told: str) -> None:
    assert named_version(CATALOGUE, None, "release.yaml") == "v1.0.0"
    with pytest.raises(BadInputError, match=told):
        named_version(CATALOGUE, wanted, "release.yaml")


LOCK_OF_A_RELEASE = """
import sys
from pathlib import Path
from infra.core.settings import load_settings
from pipelines.catalogue import Catalogue
from pipelines.source import Source
settings = load_settings({"FORGELINE_PIPELINES": sys.argv[1]})
files = Source.of(settings, Catalogue.of(settings)).files()
sys.stdout.write(files["release.lock.json"])
"""


def copied(folder: Path) -> Path:
    """Catalogue, release file and templates in another folder."""
    shutil.copytree(ROOT / "pipelines" / "catalog", folder / "catalog")
    shutil.copy(ROOT / "pipelines" / "release.yaml", folder)
    shutil.copytree(ROOT / "templates" / "pipelines", folder / "templates")
    return folder


def lock_made_by(python: str, folder: Path, **environment: str) -> str:
    """What another process, in another folder, with another environment, makes of a copy of the sources."""
    command = [python, "-c", LOCK_OF_A_RELEASE, str(copied(folder / "elsewhere"))]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"PYTHONHASHSEED": "4711"}, id="hash-seed"),
        pytest.param({"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}, id="locale"),
        pytest.param({"TZ": "Asia/Tokyo"}, id="time-zone"),
        pytest.param({"PYTHONOPTIMIZE": "2"}, id="optimized"),
    ],
)
def test_the_same_bytes_anywhere(tmp_path: Path, environment: dict[str, str]) -> None:
    assert lock_made_by(sys.executable, tmp_path, **environment) == FILES[LOCK]


def test_another_input_makes_another_lock(tmp_path: Path) -> None:
    """The proof above would see a difference."""
    folder = copied(tmp_path / "changed")
    file = folder / "catalog" / "settlement.yaml"
    file.write_text(file.read_text().replace("tier: important", "tier: core"))
    settings = load_settings({"FORGELINE_PIPELINES": str(folder)})
    changed = Source.of(settings, load_catalogue(settings.catalog, release=settings.release_file)).files()
    before, after = (json.loads(text)["sha256"] for text in (FILES[LOCK], changed[LOCK]))
    assert {path for path in before if before[path] != after[path]} == {"settlement.yml"}


def interpreter_of(python: str) -> str | None:
    """A Python of this version that runs: on the PATH, or one of pyenv's."""
    on_path = shutil.which(f"python{python}")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for found in [*([on_path] if on_path else []), *map(str, sorted(pyenv.glob(f"{python}.*/bin/python")))]:
        if subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    return None


@pytest.mark.servers
@pytest.mark.parametrize("python", ["3.12", "3.13"])
def test_the_same_bytes_with_another_python(tmp_path: Path, python: str) -> None:
    """In an environment that uv makes; where it can't (no such Python, no packages) the test says so and is skipped."""
    interpreter = interpreter_of(python)
    if interpreter is None:
        pytest.skip(f"there is no Python {python} on this machine")
    uv = str(Path(sys.executable).with_name("uv"))
    environment = tmp_path / "venv"
    names = ("jinja2", "pydantic", "ruamel.yaml", "pyyaml")
    wanted = [f"{name}=={installed(name)}" for name in names if _has(name)]
    commands = (
        [uv, "venv", "--quiet", "--python", interpreter, str(environment)],
        [uv, "pip", "install", "--quiet", "--python", str(environment / "bin" / "python"), *wanted],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            pytest.skip(f"our packages can't be had for Python {python}: {done.stderr.strip()}")
    assert lock_made_by(str(environment / "bin" / "python"), tmp_path) == FILES[LOCK]


def _has(name: str) -> bool:
    try:
        return bool(installed(name))
    except ModuleNotFoundError:
        return False
