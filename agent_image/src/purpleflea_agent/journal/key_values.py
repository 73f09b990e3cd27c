"""Single values of the journal by name. The store owns the open file, its transactions and its thread."""

import sqlite3


class KeyValueTable:
    """The table of values in an open journal."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def get(self, name: str) -> str | None:
        """Return the value of a name, or None if it was never set."""
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row["value"])

    def set(self, name: str, value: str) -> None:
        """Set the value of a name."""
        self._database.execute(
            "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )
