"""The trade journal on disk: an SQLite file in WAL mode with synchronous=FULL, so that a write that returned survives
a power cut. Synchronous, for one thread at a time; the event loop's side of it is journal.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from purpleflea_agent import journal_days as days
from purpleflea_agent.exchange.port import Order, OrderRequest, OrderStatus
from purpleflea_agent.journal_escrows import EscrowTable

WRITTEN = "written"
"""The order is on disk and may have been sent; its outcome is unknown."""
FAILED = "failed"
"""The order had no effect: it was refused, or never reached the exchange."""
PEAK_EQUITY = "peak_equity_usd"
ZERO = Decimal(0)
KEPT_S = 31 * 24 * 3600.0
"""Age from which an order that is done may be forgotten: the volume is finite, and the exchange keeps its own books."""
FORGET = """
DELETE FROM orders WHERE idempotency_key IN (
    SELECT idempotency_key FROM orders WHERE written_at < ? AND status NOT IN (?, ?)
    ORDER BY written_at LIMIT 2
)
"""
"""Two for each new one: the journal shrinks to its size in a month, and no write ever takes long."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    idempotency_key TEXT PRIMARY KEY,
    market TEXT NOT NULL,
    side TEXT NOT NULL,
    size TEXT NOT NULL,
    type TEXT NOT NULL,
    price TEXT,
    status TEXT NOT NULL,
    order_id TEXT,
    fill_price TEXT,
    filled_size TEXT,
    fee_usd TEXT,
    realized_pnl_usd TEXT,
    reason TEXT,
    written_at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS orders_by_status ON orders (status);
CREATE INDEX IF NOT EXISTS orders_by_time ON orders (written_at);
CREATE TABLE IF NOT EXISTS realized (market TEXT PRIMARY KEY, pnl_usd TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An order as the journal knows it."""

    request: OrderRequest
    status: str
    written_at: float
    order: Order | None = None
    reason: str | None = None

    @property
    def is_unsettled(self) -> bool:
        """Whether nobody knows yet what came of it."""
        return self.status == WRITTEN


class JournalStore:
    """The open file. Exclusive: a second process fails to open it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not sqlite3.connect, which ddtrace replaces: a span per statement says nothing about trading.
        self._database = sqlite3.Connection(
            path, check_same_thread=False, isolation_level=None, timeout=0.5
        )
        self._database.row_factory = sqlite3.Row
        try:
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._check()
            self._database.executescript(SCHEMA)
            self.escrows = EscrowTable(self._database)
            self.days = days.DayTable(self._database)
        except sqlite3.Error:
            self._database.close()
            raise

    def write(self, request: OrderRequest, now: float) -> None:
        """Put an order on disk, before it is sent."""
        values = (
            request.idempotency_key,
            request.market,
            request.side,
            str(request.size),
            request.type,
            None if request.price is None else str(request.price),
            WRITTEN,
            now,
        )
        with self._transaction():
            self._database.execute(
                "INSERT INTO orders (idempotency_key, market, side, size, type, price, status, written_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            self.days.add(now, {days.ORDERS: 1})
            self._database.execute(FORGET, (now - KEPT_S, WRITTEN, OrderStatus.OPEN.value))

    def settle(self, order: Order, now: float) -> None:
        """Note what the exchange says of an order, and add its profit to that of its market and of the day."""
        with self._transaction():
            before = self.entry(order.idempotency_key)
            known = before.order if before else None
            profit = order.realized_pnl_usd - (known.realized_pnl_usd if known else ZERO)
            total = self.realized_pnl({}).get(order.market, ZERO)
            self._set_realized(order.market, total + profit)
            is_news = before is not None and before.status != order.status.value
            self.days.add(
                now,
                {
                    days.FILLED: int(is_news and order.status is OrderStatus.FILLED),
                    days.FAILED: int(is_news and order.status is OrderStatus.REJECTED),
                    days.FEES: order.fee_usd - (known.fee_usd if known else ZERO),
                    days.REALIZED: profit,
                },
            )
            self._database.execute(
                "UPDATE orders SET status = ?, order_id = ?, fill_price = ?, filled_size = ?,"
                " fee_usd = ?, realized_pnl_usd = ?, reason = ? WHERE idempotency_key = ?",
                (
                    order.status.value,
                    order.order_id,
                    None if order.price is None else str(order.price),
                    str(order.filled_size),
                    str(order.fee_usd),
                    str(order.realized_pnl_usd),
                    order.reject_reason,
                    order.idempotency_key,
                ),
            )

    def fail(self, idempotency_key: str, reason: str, now: float) -> None:
        """Note that an order had no effect."""
        with self._transaction():
            self._database.execute(
                "UPDATE orders SET status = ?, reason = ? WHERE idempotency_key = ?",
                (FAILED, reason, idempotency_key),
            )
            self.days.add(now, {days.FAILED: 1})

    def entry(self, idempotency_key: str) -> Entry | None:
        """The order of a key."""
        rows = self._rows("SELECT * FROM orders WHERE idempotency_key = ?", idempotency_key)
        return _entry(rows[0]) if rows else None

    def unfinished(self) -> list[Entry]:
        """Orders whose outcome is unknown, and those that rest at the exchange; oldest first."""
        rows = self._rows(
            "SELECT * FROM orders WHERE status IN (?, ?) ORDER BY written_at",
            WRITTEN,
            OrderStatus.OPEN.value,
        )
        return [_entry(row) for row in rows]

    def orders_between(self, after: float, until: float) -> int:
        """How many orders were written in a span of time (seconds since the epoch)."""
        # With an end: after a clock stepped back, a whole day of orders would count as just written.
        rows = self._rows(
            "SELECT count(*) AS n FROM orders WHERE written_at > ? AND written_at <= ?",
            after,
            until,
        )
        return int(rows[0]["n"])

    def counts(self) -> dict[str, int]:
        """How many orders there are of each status."""
        rows = self._rows("SELECT status, count(*) AS n FROM orders GROUP BY status")
        return {row["status"]: int(row["n"]) for row in rows}

    def raise_peak(self, equity_usd: Decimal) -> Decimal:
        """The highest equity ever, this one included."""
        known = self.fact(PEAK_EQUITY)
        peak = Decimal(known) if known else ZERO
        if equity_usd <= peak:
            return peak
        self.set_fact(PEAK_EQUITY, str(equity_usd))
        return equity_usd

    def fact(self, name: str) -> str | None:
        """What was last noted under a name."""
        rows = self._rows("SELECT value FROM facts WHERE name = ?", name)
        return rows[0]["value"] if rows else None

    def set_fact(self, name: str, value: str) -> None:
        """Note something under a name."""
        self._database.execute(
            "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def realized_pnl(self, told: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Realized profit of every market: as the exchange tells, else as last told plus the fills since."""
        rows = self._rows("SELECT market, pnl_usd FROM realized")
        known = {row["market"]: Decimal(row["pnl_usd"]) for row in rows}
        for market, value in told.items():
            if known.get(market) != value:
                self._set_realized(market, value)
        return {**known, **told}

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _check(self) -> None:
        # Damage found at an order's turn would be found between its sending and its noting.
        ((verdict, *_), *_) = self._rows("PRAGMA quick_check(1)")
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)

    def _set_realized(self, market: str, value: Decimal) -> None:
        self._database.execute(
            "INSERT INTO realized VALUES (?, ?)"
            " ON CONFLICT (market) DO UPDATE SET pnl_usd = excluded.pnl_usd",
            (market, str(value)),
        )

    def _rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        return self._database.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _entry(row: sqlite3.Row) -> Entry:
    request = OrderRequest(
        idempotency_key=row["idempotency_key"],
        market=row["market"],
        side=row["side"],
        size=Decimal(row["size"]),
        type=row["type"],
        price=_decimal(row["price"]),
    )
    return Entry(
        request=request,
        status=row["status"],
        written_at=row["written_at"],
        order=_order(row, request),
        reason=row["reason"],
    )


def _order(row: sqlite3.Row, request: OrderRequest) -> Order | None:
    if row["order_id"] is None:
        return None
    return Order(
        order_id=row["order_id"],
        idempotency_key=request.idempotency_key,
        market=request.market,
        side=request.side,
        size=request.size,
        type=request.type,
        status=OrderStatus(row["status"]),
        price=_decimal(row["fill_price"]),
        filled_size=_decimal(row["filled_size"]) or ZERO,
        fee_usd=_decimal(row["fee_usd"]) or ZERO,
        realized_pnl_usd=_decimal(row["realized_pnl_usd"]) or ZERO,
        reject_reason=row["reason"],
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
