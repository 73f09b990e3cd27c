"""Positions and realized profit of each market, from the reports of the exchange and our own fills since.

A report of the exchange may be older than our last fills, so it is used only if it agrees with them in size.
Otherwise both sizes are kept, and trading.position_discrepancies decides. The store owns the open file, its
transactions and its thread.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedPosition:
    """A position as the exchange reports it; the report has a profit only if there is a position."""

    size: Decimal = Decimal(0)
    realized_pnl_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedPosition:
    """A position by our own records: `reported` is the last report that agreed, `size` adds our fills since."""

    size: Decimal
    reported: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """Positions and realized profit of all markets."""

    positions: dict[str, TrackedPosition]
    realized: dict[str, Decimal]
    unknown: frozenset[str] = frozenset()
    """Markets whose reported size is unknown; their positions are by our own fills."""
    fees: Mapping[str, Decimal] = field(default_factory=dict)
    """Fees of all fills, by market."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRows:
    """Rows of a report that could not be read."""

    markets: frozenset[str] = frozenset()
    """Markets of the rows whose size could not be read."""
    unreported: frozenset[str] | None = None
    """If a row has no market: our markets without a row. The row may belong to any of them."""


ALL_READABLE = UnreadableRows()


class PositionTable:
    """The tables of positions and profit in an open journal."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def add_fill(self, market: str, size: Decimal, profit: Decimal) -> None:
        """Add a fill of signed `size`. The size is ignored before the first report, which contains the fill."""
        tracked = self._positions().get(market)
        if tracked is not None and size:
            self._set_position(
                market, TrackedPosition(size=tracked.size + size, reported=tracked.reported)
            )
        self._set_realized(market, self._realized().get(market, Decimal(0)) + profit)

    def reconcile(
        self, reported: Mapping[str, ReportedPosition], unreadable: UnreadableRows = ALL_READABLE
    ) -> Reconciliation:
        """Use the reports that agree with our fills or are the first of a market; write only changes."""
        positions, realized = self._positions(), self._realized()
        unknown = _unknown(reported, positions, unreadable)
        for market in (reported.keys() | positions.keys()) - unknown:
            report = reported.get(market, ReportedPosition())
            first = TrackedPosition(size=report.size, reported=Decimal("NaN"))
            tracked = positions.setdefault(market, first)
            if tracked.size != report.size:
                continue
            if tracked.reported != report.size:
                positions[market] = TrackedPosition(size=report.size, reported=report.size)
                self._set_position(market, positions[market])
            profit = report.realized_pnl_usd
            if profit is not None and realized.get(market) != profit:
                realized[market] = profit
                self._set_realized(market, profit)
        return Reconciliation(positions=positions, realized=realized, unknown=unknown)

    def accept_reported(self, market: str, size: Decimal) -> None:
        """Replace our size by the size that the exchange reports."""
        self._set_position(market, TrackedPosition(size=size, reported=size))

    def any(self) -> bool:
        """Return whether there is a position, also one of size zero."""
        return self._database.execute("SELECT 1 FROM holdings LIMIT 1").fetchone() is not None

    def _positions(self) -> dict[str, TrackedPosition]:
        rows = self._database.execute("SELECT market, size, told FROM holdings").fetchall()
        return {
            market: TrackedPosition(size=Decimal(size), reported=Decimal(reported))
            for market, size, reported in rows
        }

    def _realized(self) -> dict[str, Decimal]:
        rows = self._database.execute("SELECT market, pnl_usd FROM realized").fetchall()
        return {market: Decimal(pnl) for market, pnl in rows}

    def _set_position(self, market: str, tracked: TrackedPosition) -> None:
        self._database.execute(
            "INSERT INTO holdings VALUES (?, ?, ?)"
            " ON CONFLICT (market) DO UPDATE SET size = excluded.size, told = excluded.told",
            (market, str(tracked.size), str(tracked.reported)),
        )

    def _set_realized(self, market: str, profit: Decimal) -> None:
        self._database.execute(
            "INSERT INTO realized VALUES (?, ?)"
            " ON CONFLICT (market) DO UPDATE SET pnl_usd = excluded.pnl_usd",
            (market, str(profit)),
        )


def _unknown(
    reported: Mapping[str, ReportedPosition],
    positions: Mapping[str, TrackedPosition],
    unreadable: UnreadableRows,
) -> frozenset[str]:
    """Return the markets whose size is unknown.

    A row without a market may belong to every market without a row, unless our own fills say that it has no position.
    """
    if unreadable.unreported is None:
        return unreadable.markets
    possible = (unreadable.unreported | positions.keys()) - reported.keys()
    empty = {market for market in possible if market in positions and not positions[market].size}
    return unreadable.markets | (possible - empty)
