"""The database file: made, and made again by a newer version."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from infra.lab.gitlab.store.base import Store
from infra.lab.gitlab.store.pipeline import Pipeline


def test_tables_of_an_older_version_get_the_new_columns(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    store.create()
    with sqlite3.connect(store.file) as raw:
        raw.execute("ALTER TABLE pipeline DROP COLUMN name")
    raw.close()
    store.create()
    with store.read() as session:
        assert session.query(Pipeline).all() == []
    store.close()
