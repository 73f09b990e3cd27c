"""Fees of all fills by market, so that the profit can be reported net of fees.

The totals are values by name in an existing table, so that an older version of the agent can open the file: it ignores
them. The store owns the open file, its transactions and its thread.
"""

import sqlite3
from collections import defaultdict
from decimal import Decimal

PREFIX = "fees "
"""Beginning of the names of the values; the market follows."""
END = "fees!"
"""First name after all names with PREFIX."""


class FeeTable:
    """The totals of the fees in an open journal."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._of_old_orders: dict[str, Decimal] | None = None

    def add(self, market: str, fee_usd: Decimal) -> None:
        """Add the fee of a fill. Call it before the order is updated."""
        totals = self.totals()
        # Old orders are deleted after a month, and their fees must stay, also in markets without another fill.
        self._database.executemany(
            "INSERT OR IGNORE INTO facts VALUES (?, ?)",
            [(f"{PREFIX}{name}", str(total)) for name, total in totals.items()],
        )
        if not fee_usd:
            return
        total = totals.get(market, Decimal(0)) + fee_usd
        self._database.execute(
            "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (f"{PREFIX}{market}", str(total)),
        )

    def totals(self) -> dict[str, Decimal]:
        """Return the total of each market with fees."""
        if self._of_old_orders is None:
            self._of_old_orders = self._sums_of_orders()
        rows = self._database.execute(
            "SELECT name, value FROM facts WHERE name >= ? AND name < ?", (PREFIX, END)
        ).fetchall()
        written = {row["name"].removeprefix(PREFIX): Decimal(row["value"]) for row in rows}
        return {**self._of_old_orders, **written}

    def _sums_of_orders(self) -> dict[str, Decimal]:
        """Return the fees of the orders that an earlier version wrote, which kept no totals."""
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for row in self._database.execute(
            "SELECT market, fee_usd FROM orders WHERE fee_usd IS NOT NULL AND fee_usd != '0'"
        ):
            sums[row["market"]] += Decimal(row["fee_usd"])
        return dict(sums)
