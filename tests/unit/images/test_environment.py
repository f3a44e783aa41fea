from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from infra.core.error import ToolError
from infra.images import environment as module
from infra.images.environment import LOCK, CheckoutPart, environment, launcher, runtime_lock

BIN = "opt/forgeline/.venv/bin"


def names(lock: str) -> set[str]:
    return {line.partition("==")[0] for line in lock.splitlines() if line[:1].isalnum()}


def test_what_only_developers_need_is_left_out() -> None:
    found = names(runtime_lock(LOCK.read_text()))
    assert {"click", "pulumi", "ansible-core", "pydantic-core", "starlette", "h11"} <= found
    assert not {"mypy", "selenium", "ruff", "pytest-xdist", "hypothesis"} & found


def test_every_line_is_the_lock_files_own() -> None:
    made = runtime_lock(LOCK.read_text()).splitlines()
    assert set(made) <= set(LOCK.read_text().splitlines())
    assert all("--hash=sha256:" in after for line, after in pairwise(made) if line[0] != " ")


def test_a_package_that_is_not_locked_is_told() -> None:
    with pytest.raises(ToolError, match="click isn't locked") as caught:
        runtime_lock(LOCK.read_text().replace("\nclick==", "\nclack=="))
    assert "make lock" in str(caught.value)


def installed(folder: Path) -> Path:
    """What pip leaves of a package with a command, a module's byte code and a program."""
    told = folder / "one-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: one\nVersion: 1.0\n")
    (told / "RECORD").write_text("../../bin/one,sha256=x,1\n")
    (told / "entry_points.txt").write_text("[console_scripts]\none = one.main:run\n")
    (folder / "one" / "__pycache__").mkdir(parents=True)
    (folder / "one" / "__pycache__" / "main.pyc").write_text("")
    (folder / "one" / "main.py").write_text("")
    (folder / "bin").mkdir()
    (folder / "bin" / "one").write_text("#!/home/somebody/python\nfrom one.main import run\n")
    (folder / "bin" / "script").write_text("#!/home/somebody/python\nprint()\n")
    (folder / "bin" / "program").write_bytes(b"\x7fELF")
    (folder / "bin" / "program").chmod(0o755)
    return folder


def test_an_environment_has_nothing_of_the_machine_that_made_it(tmp_path: Path) -> None:
    found = {entry.path: entry for entry in environment(installed(tmp_path))}
    packages = "opt/forgeline/.venv/lib/python3.11/site-packages"
    assert f"{packages}/one/main.py" in found
    assert f"{packages}/one-1.0.dist-info/METADATA" in found
    assert not [path for path in found if "pycache" in path or "RECORD" in path or f"{packages}/bin" in path]
    assert not [path for path, entry in found.items() if b"somebody" in entry.content]
    assert found[f"{BIN}/one"].content.decode() == launcher("one.main:run")
    assert found[f"{BIN}/script"].content == b"#!/opt/forgeline/.venv/bin/python\nprint()\n"
    assert found[f"{BIN}/program"].read() == b"\x7fELF"
    assert found[f"{BIN}/program"].mode == 0o755
    assert found[f"{BIN}/python"].target == "/usr/bin/python3.11"


def test_the_checkout_has_the_command_and_no_byte_code() -> None:
    entries, made = CheckoutPart().fill(None, None)  # type: ignore[arg-type]
    found = {entry.path: entry for entry in entries}
    assert "opt/forgeline/infra/lab/gitlab/__main__.py" in found
    assert "opt/forgeline/templates/pipelines/base.yml.j2" in found
    assert found[f"{BIN}/forgeline"].mode == 0o755
    assert not [path for path in found if "__pycache__" in path or path.startswith("opt/forgeline/tests")]
    assert [one["name"] for one in made.components] == ["forgeline"]


def test_a_changed_file_is_another_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in module.FOLDERS:
        (tmp_path / name).mkdir()
    for name in module.FILES:
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    before = CheckoutPart().key(None)  # type: ignore[arg-type]
    assert CheckoutPart().key(None) == before  # type: ignore[arg-type]
    (tmp_path / "infra" / "x.py").write_text("")
    assert CheckoutPart().key(None) != before  # type: ignore[arg-type]
