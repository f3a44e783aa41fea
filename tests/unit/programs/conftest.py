"""The servers that these tests use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.provider.lab_fixture import Lab, running_lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab for the tests of this folder."""
    with running_lab(tmp_path_factory.mktemp("lab"), nexus_too=False) as it:
        yield it
