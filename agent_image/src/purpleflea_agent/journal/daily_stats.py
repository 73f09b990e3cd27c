"""Counters of each day (UTC), kept in the journal so that they survive a restart.

The store owns the open file, its transactions and its thread.
"""

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

ORDERS, FILLED, FAILED = "orders", "filled", "failed"
FEES, REALIZED = "fees_usd", "realized_pnl_usd"
NAMES = (ORDERS, FILLED, FAILED, FEES, REALIZED)
RETENTION = timedelta(days=31)


class DailyStatsTable:
    """The counters of days in an open journal."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def add(self, now: float, amounts: Mapping[str, Decimal | int]) -> None:
        """Add amounts to the counters of the day of `now` (seconds since the epoch)."""
        day, known = day_of(now), self.of(now)
        if not any(known.values()):
            oldest = day_of(now - RETENTION.total_seconds())
            self._database.execute("DELETE FROM days WHERE day < ?", (oldest,))
        self._database.executemany(
            "INSERT INTO days VALUES (?, ?, ?)"
            " ON CONFLICT (day, name) DO UPDATE SET value = excluded.value",
            [(day, name, str(known[name] + amount)) for name, amount in amounts.items() if amount],
        )

    def of(self, now: float) -> dict[str, Decimal]:
        """Return all counters of the day of `now`."""
        rows = self._database.execute(
            "SELECT name, value FROM days WHERE day = ?", (day_of(now),)
        ).fetchall()
        return dict.fromkeys(NAMES, Decimal(0)) | {name: Decimal(value) for name, value in rows}


def day_of(now: float) -> str:
    """Return the day of a moment, such as 2026-01-31."""
    return datetime.fromtimestamp(now, UTC).date().isoformat()
