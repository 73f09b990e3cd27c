"""Money that came or went beside trading (escrows, the faucet), and the peak of the equity without it.

An escrow paid is no loss, and money of the faucet no gain: drawdown is measured on the equity less all such flows. An
answer of the exchange may be older than a flow that we know, or already contain one that we do not; which it is, is
told by what comes nearest to the answer before. The open file, its transactions and its thread are the journal's.
"""

import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate

from purpleflea_agent.journal_facts import FactTable

PEAK_EQUITY = "peak_equity_usd"
"""Highest equity ever, less the flows at the time."""
FLOWS = "flows_usd"
"""Sum of all flows."""
ZERO = Decimal(0)
UNCERTAIN_S = 30.0
"""Age up to which an answer may be older than a flow: that of an order that the exchange does not show yet."""
KEPT_S = 31 * 24 * 3600.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS flows (source TEXT PRIMARY KEY, amount_usd TEXT NOT NULL, noted_at REAL NOT NULL) STRICT;
"""


class FlowTable:
    """The table of flows in an open journal."""

    def __init__(self, database: sqlite3.Connection, facts: FactTable) -> None:
        self._database = database
        self._facts = facts
        self._last: Decimal | None = None
        self.awaited = 0
        """Payments of unknown amount that may arrive at any moment: until they are noted no peak is believed."""
        self._database.executescript(SCHEMA)

    def add(self, source: str, amount_usd: Decimal, now: float) -> None:
        """Note a flow: what came is positive. A source that is known adds nothing."""
        added = self._database.execute(
            "INSERT OR IGNORE INTO flows VALUES (?, ?, ?)", (source, str(amount_usd), now)
        )
        if added.rowcount > 0:
            self._facts.set(FLOWS, str(self._sum() + amount_usd))
            self._database.execute("DELETE FROM flows WHERE noted_at < ?", (now - KEPT_S,))

    def raise_peak(self, equity_usd: Decimal, unknown: Sequence[Decimal], now: float) -> Decimal:
        """The highest equity ever, this one included, as if all flows that this one contains had always been there.

        `unknown` are flows that may have happened, and of which nobody told us yet.
        """
        contained = self._contained(equity_usd, unknown, now)
        earned = self._last = equity_usd - contained
        known = self._facts.get(PEAK_EQUITY)
        peak = Decimal(known) if known else None
        if peak is None or (earned > peak and not self.awaited):
            self._facts.set(PEAK_EQUITY, str(earned))
            peak = earned
        return peak + contained

    def _contained(self, equity_usd: Decimal, unknown: Sequence[Decimal], now: float) -> Decimal:
        """The sum of the flows that this equity contains."""
        total = self._sum()
        if self._last is None:
            return total
        last = self._last
        candidates = (
            total,
            *(total - amount for amount in accumulate(self._recent(now))),
            *(total + amount for amount in unknown),
        )
        return min(candidates, key=lambda flows: abs(equity_usd - flows - last))

    def _recent(self, now: float) -> list[Decimal]:
        """Flows that an answer may not contain yet, the newest first."""
        rows = self._database.execute(
            "SELECT amount_usd FROM flows WHERE noted_at > ? ORDER BY noted_at DESC, rowid DESC",
            (now - UNCERTAIN_S,),
        )
        return [Decimal(row["amount_usd"]) for row in rows]

    def _sum(self) -> Decimal:
        return Decimal(self._facts.get(FLOWS) or 0)
