"""Single facts of the journal: a name and what was last noted under it. The open file is the journal's."""

import sqlite3

SCHEMA = "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"


class FactTable:
    """The table of facts in an open journal."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._database.executescript(SCHEMA)

    def get(self, name: str) -> str | None:
        """What was last noted under a name."""
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row["value"])

    def set(self, name: str, value: str) -> None:
        """Note something under a name."""
        self._database.execute(
            "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )
