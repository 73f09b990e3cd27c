"""Single values of the journal by name. The store owns the open file, its transactions and its thread."""

import sqlite3

UNSENT = "unsent"
"""Never left, or was refused before any effect. The key may be used again."""
GIVEN_UP = "given_up"
"""Not found for so long that it counts as never received. The key is still looked up."""


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

    def delete(self, name: str) -> None:
        """Remove the value of a name."""
        self._database.execute("DELETE FROM facts WHERE name = ?", (name,))


class Marks:
    """Marks of failed orders or escrows, as names in the same table: an old agent ignores them.

    `unsent` means that the key may be used again, `given_up` that the key is still looked up.
    """

    def __init__(self, database: sqlite3.Connection, kind: str) -> None:
        self._database = database
        self._kind = kind

    def set(self, mark: str, idempotency_key: str) -> None:
        """Mark a key."""
        self._database.execute(
            "INSERT OR IGNORE INTO facts VALUES (?, '')",
            (f"{self._prefix(mark)}{idempotency_key}",),
        )

    def has(self, mark: str, idempotency_key: str) -> bool:
        """Return whether a key has a mark."""
        row = self._database.execute(
            "SELECT 1 FROM facts WHERE name = ?", (f"{self._prefix(mark)}{idempotency_key}",)
        ).fetchone()
        return row is not None

    def clear(self, idempotency_key: str) -> None:
        """Remove the marks of a key."""
        for mark in (UNSENT, GIVEN_UP):
            self._database.execute(
                "DELETE FROM facts WHERE name = ?", (f"{self._prefix(mark)}{idempotency_key}",)
            )

    def keys(self, mark: str) -> list[str]:
        """Return the keys with a mark."""
        prefix = self._prefix(mark)
        # A range of the primary key, so that the cost depends only on the number of marks.
        rows = self._database.execute(
            "SELECT name FROM facts WHERE name >= ? AND name < ?", (prefix, prefix[:-1] + "!")
        ).fetchall()
        return [row["name"].removeprefix(prefix) for row in rows]

    def _prefix(self, mark: str) -> str:
        return f"{mark} {self._kind} "
