"""Single values of the journal by name: those of the agent itself, and those of strategies and own agents.

Both are in one table, and the values of own agents keep their plain names, so that earlier and later versions of the
agent read them. A name that the agent itself uses gets a prefix. The store owns the open file, its transactions and its
thread.
"""

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


AGENT_NAMES = frozenset(
    {
        "faucet_not_before",
        "flows_usd",
        "order_times",
        "peak_equity_usd",
        "peak_reset_at",
        "positions_confirmed",
        "proof",
    }
)
"""Names of the values of the agent itself. A new one begins with AGENT_PREFIX, because a name without it may be in use
by own agents; a test compares the list with the journal."""
AGENT_PREFIX = "agent:"
OWN_PREFIX = "own:"
RESERVED_PREFIXES = (AGENT_PREFIX, OWN_PREFIX, f"{UNSENT} ", f"{GIVEN_UP} ", "fees ")
MAX_NAME_CHARS, MAX_VALUE_CHARS = 256, 1_000_000


class OwnValues:
    """The values of strategies and own agents. No name of theirs reads or changes a value of the agent itself."""

    def __init__(self, key_values: KeyValueTable) -> None:
        self._key_values = key_values

    def get(self, name: str) -> str | None:
        """Return the value of a name, or None if it was never set."""
        return self._key_values.get(_stored_name(name))

    def set(self, name: str, value: str) -> None:
        """Set the value of a name."""
        self._key_values.set(_stored_name(name), value)


def check_own_value(name: str, value: str = "") -> None:
    """Raise ValueError if a name or a value of an own agent cannot be stored."""
    for what, text, limit in (("name", name, MAX_NAME_CHARS), ("value", value, MAX_VALUE_CHARS)):
        if not isinstance(text, str) or len(text) > limit or not _is_unicode(text):
            raise ValueError(
                f"the {what} of a journal value must be a text of at most {limit} characters"
            )
    if not name:
        raise ValueError("the name of a journal value must not be empty")


def is_reserved(name: str) -> bool:
    """Return whether the agent itself uses a name."""
    return name in AGENT_NAMES or name.startswith(RESERVED_PREFIXES)


def _stored_name(name: str) -> str:
    return f"{OWN_PREFIX}{name}" if is_reserved(name) else name


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
