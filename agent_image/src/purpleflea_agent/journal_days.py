"""What happened on each day, counted in the journal so that a restart loses none of it. Days are UTC.

The open file, its transactions and the thread they run in are the journal's.
"""

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

ORDERS, FILLED, FAILED = "orders", "filled", "failed"
FEES, REALIZED = "fees_usd", "realized_pnl_usd"
NAMES = (ORDERS, FILLED, FAILED, FEES, REALIZED)
KEPT = timedelta(days=31)

SCHEMA = """
CREATE TABLE IF NOT EXISTS days (
    day TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (day, name)
) STRICT, WITHOUT ROWID;
"""


class DayTable:
    """The counters of days in an open journal."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._database.executescript(SCHEMA)

    def add(self, now: float, amounts: Mapping[str, Decimal | int]) -> None:
        """Add to the counters of the day of `now` (seconds since the epoch)."""
        day, known = day_of(now), self.of(now)
        if not any(known.values()):
            oldest = day_of(now - KEPT.total_seconds())
            self._database.execute("DELETE FROM days WHERE day < ?", (oldest,))
        self._database.executemany(
            "INSERT INTO days VALUES (?, ?, ?)"
            " ON CONFLICT (day, name) DO UPDATE SET value = excluded.value",
            [(day, name, str(known[name] + amount)) for name, amount in amounts.items() if amount],
        )

    def of(self, now: float) -> dict[str, Decimal]:
        """All counters of the day of `now`."""
        rows = self._database.execute(
            "SELECT name, value FROM days WHERE day = ?", (day_of(now),)
        ).fetchall()
        return dict.fromkeys(NAMES, Decimal(0)) | {name: Decimal(value) for name, value in rows}


def day_of(now: float) -> str:
    """The day of a moment, as 2026-01-31."""
    return datetime.fromtimestamp(now, UTC).date().isoformat()
