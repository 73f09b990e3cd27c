"""Cash flows outside of trading (escrows, the faucet), and the peak of the equity without them.

An escrow that was paid is not a loss, and money of the faucet is not a gain, so drawdown is measured on the equity
less all such flows. An answer of the exchange may be older than a recorded flow, or contain a flow that is not
recorded yet. So the equity is taken to contain the sum of flows that brings it closest to the previous equity.
The store owns the open file, its transactions and its thread.
"""

import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate

from purpleflea_agent.journal.key_values import KeyValueTable

PEAK_EQUITY = "peak_equity_usd"
"""Highest equity so far, less the flows at the time."""
PEAK_RESET_AT = "peak_reset_at"
"""The last request to forget the peak that was carried out."""
FLOWS = "flows_usd"
"""Sum of all flows."""
UNCERTAIN_S = 30.0
"""Age up to which an answer may not contain a flow; the same as for an order that the exchange does not show yet."""
ABSURD_FACTOR = 3
"""Fall between the first two answers about the equity from which the first counts as absurd, and not as a peak."""
RETENTION_S = 31 * 24 * 3600.0


class CashFlowTable:
    """The table of cash flows in an open journal."""

    def __init__(self, database: sqlite3.Connection, key_values: KeyValueTable) -> None:
        self._database = database
        self._key_values = key_values
        self._last_trading_equity: Decimal | None = None
        self._unconfirmed_peak: Decimal | None = None
        self._first_equity: Decimal | None = None
        self.awaited = 0
        """Number of payments of unknown amount that may arrive at any moment; meanwhile the peak does not rise."""

    def add(self, source: str, amount_usd: Decimal, now: float) -> None:
        """Record a flow; money received is positive. A known source is not added again."""
        added = self._database.execute(
            "INSERT OR IGNORE INTO flows VALUES (?, ?, ?)", (source, str(amount_usd), now)
        )
        if added.rowcount > 0:
            self._key_values.set(FLOWS, str(self._sum() + amount_usd))
            self._database.execute("DELETE FROM flows WHERE noted_at < ?", (now - RETENTION_S,))

    def update_peak_equity(
        self, equity_usd: Decimal, uncertain: Sequence[Decimal], now: float
    ) -> Decimal:
        """Return the highest equity so far, this one included, plus the flows that this equity contains.

        `uncertain` are flows that may have happened and are not recorded.
        """
        contained = self._contained(equity_usd, uncertain, now)
        trading_equity = self._last_trading_equity = equity_usd - contained
        known = self._key_values.get(PEAK_EQUITY)
        peak = Decimal(known) if known else None
        new_peak = self._new_peak(trading_equity, peak)
        if new_peak != peak:
            self._key_values.set(PEAK_EQUITY, str(new_peak))
        return new_peak + contained

    def reset_peak(self, requested_at: str) -> Decimal | None:
        """Forget the peak, unless that was done for this request or a later one; return the former peak.

        The next equity becomes the peak, as in a new journal. Requests are compared as text, in the form of
        spec.risk.peakResetAt.
        """
        if requested_at <= (self._key_values.get(PEAK_RESET_AT) or ""):
            return None
        former = Decimal(self._key_values.get(PEAK_EQUITY) or 0) + self._sum()
        self._key_values.set(PEAK_RESET_AT, requested_at)
        self._key_values.delete(PEAK_EQUITY)
        self._first_equity = self._unconfirmed_peak = None
        return former

    def _new_peak(self, equity: Decimal, peak: Decimal | None) -> Decimal:
        """Return the peak after this equity.

        A peak stays for good, so an equity above it counts only if the next answer is above it too; the lower of both
        is the peak. The very first equity counts at once, until a second answer shows that it was absurd.
        """
        first, self._first_equity = self._first_equity, None
        if peak is None:
            self._first_equity = equity
            return equity
        if first is not None and equity * ABSURD_FACTOR < first:
            self._first_equity = equity
            return equity
        if equity <= peak:
            self._unconfirmed_peak = None
        elif not self.awaited:
            unconfirmed, self._unconfirmed_peak = self._unconfirmed_peak, equity
            if unconfirmed is not None:
                return min(unconfirmed, equity)
        return peak

    def _contained(self, equity_usd: Decimal, uncertain: Sequence[Decimal], now: float) -> Decimal:
        """Return the sum of the flows that this equity contains."""
        total = self._sum()
        if self._last_trading_equity is None:
            return total
        last = self._last_trading_equity
        candidates = (
            total,
            *(total - amount for amount in accumulate(self._recent(now))),
            *(total + amount for amount in uncertain),
        )
        return min(candidates, key=lambda flows: abs(equity_usd - flows - last))

    def _recent(self, now: float) -> list[Decimal]:
        """Return flows that an answer may not contain yet, newest first."""
        rows = self._database.execute(
            "SELECT amount_usd FROM flows WHERE noted_at > ? ORDER BY noted_at DESC, rowid DESC",
            (now - UNCERTAIN_S,),
        )
        return [Decimal(row["amount_usd"]) for row in rows]

    def _sum(self) -> Decimal:
        return Decimal(self._key_values.get(FLOWS) or 0)
