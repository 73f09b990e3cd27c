"""What is held and was gained in each market, reckoned from the exchange's word and our own fills since.

An answer of the exchange may be older than our last fills. So its word counts where it agrees with them in size; where
it does not, both are kept, and who of them is right is decided elsewhere (trading.disputes). The open file, its
transactions and the thread they run in are the journal's.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

SCHEMA = """
CREATE TABLE IF NOT EXISTS realized (market TEXT PRIMARY KEY, pnl_usd TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS holdings (market TEXT PRIMARY KEY, size TEXT NOT NULL, told TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the exchange tells of a market; it tells profit only with a position."""

    size: Decimal = Decimal(0)
    realized_pnl_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position as reckoned: `told` is the exchange's last word that agreed, `size` that and our fills since."""

    size: Decimal
    told: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """All markets, as reckoned."""

    holdings: dict[str, Holding]
    realized: dict[str, Decimal]


class MarketTable:
    """The tables of markets in an open journal."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._database.executescript(SCHEMA)

    def fill(self, market: str, size: Decimal, profit: Decimal) -> None:
        """Add a fill of ours, of signed `size`; until the exchange told of the market there is nothing to add to."""
        held = self._holdings().get(market)
        if held is not None and size:
            self._hold(market, Holding(size=held.size + size, told=held.told))
        self._gain(market, self._realized().get(market, Decimal(0)) + profit)

    def reckon(self, told: Mapping[str, Told]) -> Reckoning:
        """Take the exchange's word where it agrees, or where nothing was known; no write where nothing changes."""
        holdings, realized = self._holdings(), self._realized()
        for market in told.keys() | holdings.keys():
            word = told.get(market, Told())
            held = holdings.setdefault(market, Holding(size=word.size, told=Decimal("NaN")))
            if held.size != word.size:
                continue
            if held.told != word.size:
                holdings[market] = Holding(size=word.size, told=word.size)
                self._hold(market, holdings[market])
            profit = word.realized_pnl_usd
            if profit is not None and realized.get(market) != profit:
                realized[market] = profit
                self._gain(market, profit)
        return Reckoning(holdings=holdings, realized=realized)

    def adopt(self, market: str, size: Decimal) -> None:
        """Take the exchange's word against ours."""
        self._hold(market, Holding(size=size, told=size))

    def _holdings(self) -> dict[str, Holding]:
        rows = self._database.execute("SELECT market, size, told FROM holdings").fetchall()
        return {
            market: Holding(size=Decimal(size), told=Decimal(told)) for market, size, told in rows
        }

    def _realized(self) -> dict[str, Decimal]:
        rows = self._database.execute("SELECT market, pnl_usd FROM realized").fetchall()
        return {market: Decimal(pnl) for market, pnl in rows}

    def _hold(self, market: str, held: Holding) -> None:
        self._database.execute(
            "INSERT INTO holdings VALUES (?, ?, ?)"
            " ON CONFLICT (market) DO UPDATE SET size = excluded.size, told = excluded.told",
            (market, str(held.size), str(held.told)),
        )

    def _gain(self, market: str, profit: Decimal) -> None:
        self._database.execute(
            "INSERT INTO realized VALUES (?, ?)"
            " ON CONFLICT (market) DO UPDATE SET pnl_usd = excluded.pnl_usd",
            (market, str(profit)),
        )
