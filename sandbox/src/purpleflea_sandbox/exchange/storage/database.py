"""The single database connection: opening, exclusive access, transactions, and a snapshot for stale
reads.

WAL with synchronous=NORMAL: a killed process loses no acknowledged change; only a power failure
can.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Self

from purpleflea_sandbox.exchange.errors import SettingsError

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    # A read-only root file system has no folder for temporary files.
    "PRAGMA temp_store = MEMORY",
)

# Columns that a file of an earlier version does not have.
_ADDED_TO_ORDERS = {
    "filled_size": "TEXT",
    "slices": "INTEGER NOT NULL DEFAULT 1",
    "pause_ms": "INTEGER",
    "due_ms": "INTEGER",
}


class Database:
    """A SQLite connection in autocommit mode; changes use transaction()."""

    def __init__(self, connection: sqlite3.Connection, lock: int | None = None) -> None:
        self._connection = connection
        self._lock = lock
        self._connection.row_factory = sqlite3.Row

    @classmethod
    def in_memory(cls) -> Self:
        database = cls(sqlite3.connect(":memory:", isolation_level=None))
        database._prepare()
        return database

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """Open or create the database in `folder`.

        Raises SettingsError if another process uses it or it is not usable.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = _locked(folder / "exchange.lock")
            database = cls(sqlite3.connect(folder / "exchange.db", isolation_level=None), lock)
        except BlockingIOError as error:
            raise SettingsError(
                f"EXCHANGE_DATA_DIR: another exchange is using {folder}; stop it or choose another folder"
            ) from error
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"EXCHANGE_DATA_DIR: cannot use {folder}: {error}") from error
        try:
            database._prepare()
        except sqlite3.Error as error:
            database.close()
            raise SettingsError(
                f"EXCHANGE_DATA_DIR: {folder / 'exchange.db'} is not usable ({error}); move it away"
            ) from error
        return database

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(sql, parameters).fetchone()
        return row

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one changing statement; return the row id of an insert."""
        return self._connection.execute(sql, parameters).lastrowid or 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run a transaction. Handlers never await inside, so at most one transaction is active."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # After some errors, such as a full disk, SQLite has already ended the transaction.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def snapshot(self) -> "Database":
        """Return a copy in memory of the current content."""
        copy = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.backup(copy)
        return Database(copy)

    def close(self) -> None:
        self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _prepare(self) -> None:
        for pragma in _PRAGMAS:
            self._connection.execute(pragma)
        schema = resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
        self._connection.executescript(schema)
        known = {row["name"] for row in self.rows("PRAGMA table_info(orders)")}
        for name, kind in _ADDED_TO_ORDERS.items():
            if name not in known:
                self.execute(f"ALTER TABLE orders ADD COLUMN {name} {kind}")


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
