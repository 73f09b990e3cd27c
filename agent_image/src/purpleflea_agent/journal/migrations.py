"""The schema of the journal: an ordered list of migrations, and the version of a file (PRAGMA user_version).

A new column is a new entry at the end of the list. An entry that was released is never changed, because journals
that have its version do not run it again. Each migration and its version number are one transaction, so a process
that is killed leaves the former version. The tables read and write the rows.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from purpleflea_agent.journal.errors import JournalTooNew

logger = logging.getLogger("purpleflea.journal")

Migration = Iterable[str]
"""SQL statements that lead from one version to the next."""

# Agents of version 0.1 created tables as they needed them and set no version. So any subset of them may exist.
TABLES_OF_0_1: Migration = (
    """CREATE TABLE IF NOT EXISTS orders (
    idempotency_key TEXT PRIMARY KEY,
    market TEXT NOT NULL,
    side TEXT NOT NULL,
    size TEXT NOT NULL,
    type TEXT NOT NULL,
    price TEXT,
    status TEXT NOT NULL,
    order_id TEXT,
    fill_price TEXT,
    filled_size TEXT,
    fee_usd TEXT,
    realized_pnl_usd TEXT,
    reason TEXT,
    written_at REAL NOT NULL
) STRICT""",
    "CREATE INDEX IF NOT EXISTS orders_by_status ON orders (status)",
    "CREATE INDEX IF NOT EXISTS orders_by_time ON orders (written_at)",
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS realized (market TEXT PRIMARY KEY, pnl_usd TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS holdings (market TEXT PRIMARY KEY, size TEXT NOT NULL, told TEXT NOT NULL) STRICT",
    """CREATE TABLE IF NOT EXISTS escrows (
    idempotency_key TEXT PRIMARY KEY,
    counterparty_id TEXT NOT NULL,
    amount_usd TEXT NOT NULL,
    status TEXT NOT NULL,
    escrow_id TEXT UNIQUE,
    written_at REAL NOT NULL
) STRICT""",
    "CREATE INDEX IF NOT EXISTS escrows_by_status ON escrows (status)",
    """CREATE TABLE IF NOT EXISTS flows (
    source TEXT PRIMARY KEY,
    amount_usd TEXT NOT NULL,
    noted_at REAL NOT NULL
) STRICT""",
    """CREATE TABLE IF NOT EXISTS days (
    day TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (day, name)
) STRICT, WITHOUT ROWID""",
)

PRIMARY_CODE = 0xFF
"""Mask of the primary result code in an extended one (SQLite, "Result and Error Codes")."""

MIGRATIONS: tuple[Migration, ...] = (TABLES_OF_0_1,)
"""The first leads from version 0 to version 1, and so on."""


def check_version(path: Path) -> None:
    """Raise JournalTooNew if no migration leads from the version of the file.

    The file is opened read-only, so nothing in it changes. No agent writes a negative version.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    if not path.with_name(f"{path.name}-wal").exists():
        # Without a write-ahead log the file is complete. SQLite then creates no files beside it.
        uri += "&immutable=1"
    with contextlib.closing(sqlite3.Connection(uri, uri=True, timeout=0.5)) as database:
        found = version(database)
    if not 0 <= found <= len(MIGRATIONS):
        raise JournalTooNew(path, found=found, supported=len(MIGRATIONS))


def migrate(database: sqlite3.Connection) -> None:
    """Run the migrations that the file lacks; write nothing if it has the current version.

    If the disk is full and the file already has all tables of the current version, only the version number is missing.
    The journal then opens without it, because an agent on a full disk must start: it reports the full disk and
    acknowledges a halt. The number is written at a later start.
    """
    try:
        _run_missing(database)
    except sqlite3.OperationalError as error:
        cannot_write = error.sqlite_errorcode & PRIMARY_CODE in (
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_IOERR,
        )
        if not cannot_write or not _is_complete(database):
            raise
        logger.warning("The disk is full; the version of the journal is written at a later start")


def _is_complete(database: sqlite3.Connection) -> bool:
    """Return whether the file has the schema to which all migrations lead."""
    with contextlib.closing(sqlite3.Connection(":memory:", isolation_level=None)) as reference:
        _run_missing(reference)
        return _schema(reference) <= _schema(database)


def _schema(database: sqlite3.Connection) -> set[tuple[str, ...]]:
    """Return the columns of every table."""
    rows = database.execute(
        "SELECT tables.name, columns.name FROM sqlite_master AS tables"
        " JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
    )
    return {tuple(row) for row in rows}


def _run_missing(database: sqlite3.Connection) -> None:
    for number, migration in enumerate(MIGRATIONS[version(database) :], version(database) + 1):
        database.execute("BEGIN IMMEDIATE")
        try:
            for statement in migration:
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {number}")
        except BaseException:
            if database.in_transaction:  # SQLite rolls back by itself if the disk is full
                database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")


def version(database: sqlite3.Connection) -> int:
    """Return the version of an open journal; 0 if it has no tables, or an agent of version 0.1 wrote it."""
    ((number, *_), *_) = database.execute("PRAGMA user_version").fetchall()
    return int(number)
