"""Imports point inwards: what design.md draws is what the code does."""

import ast
from pathlib import Path

import pytest

from infra.core.settings import ROOT

INSIDE = {
    "infra.core": set(),
    "infra.toolchain": {"infra.core"},
    "infra.clients": {"infra.core"},
    "infra.lab.gitlab": {"infra.core", "pipelines.language"},
    "infra.lab": {"infra.core"},
    "infra.servers": {"infra.core", "infra.clients"},
    "infra.provider": {"infra.core", "infra.clients"},
    "infra.images": {"infra.core", "infra.toolchain", "pipelines"},
    "infra.components": {"infra.core", "infra.provider"},
    "infra.programs": {
        "infra.core", "infra.toolchain", "infra.clients", "infra.provider", "infra.components", "infra.servers",
    },
    "infra.operations": {
        "infra.core", "infra.toolchain", "infra.clients", "infra.provider", "infra.servers", "infra.programs",
        "infra.images", "pipelines",
    },
    "infra.cli": {"infra.core", "infra.clients", "infra.operations", "infra.programs", "infra.images", "pipelines"},
    "pipelines": {"infra.core", "pipelines.language"},
    "pipelines.language": {"infra.core"},
}  # fmt: skip
"""What each package may import of the project, beside itself."""


def package_of(module: str) -> str | None:
    """The longest package of the table that `module` belongs to."""
    fitting = [name for name in INSIDE if module == name or module.startswith(name + ".")]
    return max(fitting, key=len, default=None)


def violations(module: str, source: str) -> list[str]:
    """The imports in `source` that the table does not allow to `module`."""
    own = package_of(module)
    assert own is not None, f"{module} is in no package of the table"
    imported: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported += [f"{node.module}.{alias.name}" for alias in node.names]
    wrong = []
    for name in imported:
        package = package_of(name)
        if package is not None and package != own and package not in INSIDE[own]:
            wrong.append(f"{module} imports {name}")
    return wrong


def modules() -> list[tuple[str, Path]]:
    """Every module of the project: dotted name and file."""
    files = [*ROOT.glob("infra/**/*.py"), *ROOT.glob("pipelines/**/*.py")]
    names = [(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), file) for file in files]
    return sorted(name for name in names if name[0] != "infra")


def test_imports_point_inwards() -> None:
    found = modules()
    assert len(found) > 20
    assert [line for name, file in found for line in violations(name, file.read_text())] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("infra.core.error", "import infra.clients.nexus", id="core-imports-clients"),
        pytest.param("pipelines.render", "from infra.programs import engine", id="pipelines-import-programs"),
        pytest.param("infra.cli.main", "from infra.lab.gitlab import app", id="cli-imports-the-stand-in"),
        pytest.param("infra.provider.kind", "from infra.lab import gitlab", id="provider-imports-the-stand-in"),
    ],
)
def test_a_wrong_import_is_caught(module: str, source: str) -> None:
    assert violations(module, source)
