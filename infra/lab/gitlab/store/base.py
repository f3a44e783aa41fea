"""The database: SQLite in WAL mode, one file, safe over kill -9.

Reads see a snapshot and wait for nobody. Writes take SQLite's one write lock at their start (`BEGIN IMMEDIATE`), so
that a transaction which has begun cannot fail half-way for want of the lock; inside this process they queue on a Python
lock first, which hands over at once where SQLite's busy handler sleeps. Keep writing transactions short: no git, no
network.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, Dialect, String, TypeDecorator, create_engine, event, inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

BUSY_TIMEOUT = 15_000
"""Milliseconds that a connection waits for another process's write."""

CONNECTIONS = 24


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime | None) -> str | None:
    """A moment as GitLab writes it: `2026-01-31T08:05:09.123Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class UtcTime(TypeDecorator[datetime]):
    """A moment, stored as the text of `stamp` with microseconds, which sorts as the moments do."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy calls it so
        """The text to store."""
        return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """The moment that was stored."""
        return None if value is None else datetime.fromisoformat(value)


class Base(DeclarativeBase):
    """All tables. JSON columns are replaced, never changed in place: SQLAlchemy does not see a change inside."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it off the class
        datetime: UtcTime,
        dict[str, Any]: JSON,
        list[str]: JSON,
        list[Any]: JSON,
    }


class Identified:
    """A number that is never given out twice, as GitLab's ids."""

    __table_args__: Any = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads it off the class
    id: Mapped[int] = mapped_column(primary_key=True)


class Store:
    """Opens transactions on the database file `file`; its folder must exist."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._engine = create_engine(f"sqlite:///{file}", pool_size=CONNECTIONS, max_overflow=CONNECTIONS)
        self._writer = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        self.writing = sessionmaker(self._writer, expire_on_commit=False)
        """What makes writing sessions: whoever wants to see what they change listens there."""
        self._turn = threading.RLock()
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin)

    def create(self) -> None:
        """Make the tables that are not there yet. Two processes may do it at once."""
        import infra.lab.gitlab.store  # noqa: F401 - names every module with tables

        with self._turn, self._writer.begin() as connection:
            Base.metadata.create_all(connection)
            _add_new_columns(connection)
        self.file.chmod(0o600)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session on a snapshot. What is changed in it is thrown away."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that holds the write lock from its first statement; committed at the end, undone on an error."""
        with self._turn, self.writing() as session, session.begin():
            yield session

    def close(self) -> None:
        """Close the pooled connections."""
        self._engine.dispose()


def _add_new_columns(connection: Connection) -> None:
    """Give tables of an older version the columns that came since, which may all be empty, and their indexes."""
    known = inspect(connection)
    for table in Base.metadata.sorted_tables:
        there = {column["name"] for column in known.get_columns(table.name)}
        new = [column for column in table.columns if column.name not in there]
        for column in new:
            kind = column.type.compile(connection.dialect)
            connection.exec_driver_sql(f'ALTER TABLE "{table.name}" ADD COLUMN "{column.name}" {kind}')
        for index in table.indexes:
            if not set(new).isdisjoint(index.columns):
                index.create(connection)


def _prepare(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: `_begin` chooses how.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
