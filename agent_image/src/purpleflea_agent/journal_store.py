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
from purpleflea_agent.exchange.port import Claim, Escrow, Order, OrderRequest, OrderStatus
from purpleflea_agent.journal_escrows import CANCELLED, EscrowTable
from purpleflea_agent.journal_facts import FactTable
from purpleflea_agent.journal_flows import FlowTable
from purpleflea_agent.journal_markets import MarketTable, Reckoning, Told

WRITTEN = "written"
"""The order is on disk and may have been sent; its outcome is unknown."""
FAILED = "failed"
"""The order had no effect: it was refused, or never reached the exchange."""
ZERO = Decimal(0)
PROOF = "0" * 65_536
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

    @property
    def is_resting(self) -> bool:
        """Whether it waits at the exchange for its price."""
        return self.status == OrderStatus.OPEN.value


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
            self.facts = FactTable(self._database)
            self.markets = MarketTable(self._database)
            self.escrows = EscrowTable(self._database)
            self.flows = FlowTable(self._database, self.facts)
            self.days = days.DayTable(self._database)
        except sqlite3.Error:
            self._database.close()
            raise

    def write(self, request: OrderRequest, now: float) -> None:
        """Put an order on disk, before it is sent."""
        price = None if request.price is None else str(request.price)
        what = (request.market, request.side, str(request.size), request.type, price)
        with self._transaction():
            self._database.execute(
                "INSERT INTO orders (idempotency_key, market, side, size, type, price, status, written_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (request.idempotency_key, *what, WRITTEN, now),
            )
            self.days.add(now, {days.ORDERS: 1})
            self._database.execute(FORGET, (now - KEPT_S, WRITTEN, OrderStatus.OPEN.value))

    def settle(self, order: Order, now: float) -> None:
        """Note what the exchange says of an order, and add what is new of it to its market and the day."""
        with self._transaction():
            before = self.entry(order.idempotency_key)
            known = before.order if before else None
            profit = order.realized_pnl_usd - (known.realized_pnl_usd if known else ZERO)
            filled = order.filled_size - (known.filled_size if known else ZERO)
            self.markets.fill(order.market, filled if order.side == "buy" else -filled, profit)
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

    def reckon(self, told: Mapping[str, Told]) -> Reckoning:
        """What is held and was gained in all markets, now that the exchange told this of them."""
        with self._transaction():
            return self.markets.reckon(told)

    def adopt(self, market: str, size: Decimal) -> bool:
        """Take the exchange's word on a position; False while an order of the market is open and may explain it."""
        with self._transaction():
            if any(entry.request.market == market for entry in self.unfinished()):
                return False
            self.markets.adopt(market, size)
            return True

    def raise_peak(self, equity_usd: Decimal, now: float) -> Decimal:
        """The highest equity ever, this one included; see journal_flows."""
        with self._transaction():
            return self.flows.raise_peak(equity_usd, self.escrows.unknown_flows(), now)

    def open_escrow(self, escrow: Escrow, idempotency_key: str, now: float) -> bool:
        """Note that an escrow was opened, and that its amount left; False where that was known."""
        with self._transaction():
            opened = self.escrows.open(escrow, idempotency_key)
            if opened and escrow.status != CANCELLED:
                self.flows.add(f"escrow {escrow.escrow_id}", -escrow.amount_usd, now)
            return opened

    def move_escrow(self, escrow: Escrow, now: float) -> bool:
        """Note the end of an escrow; False where that was known. One that was not opened here is news, but no flow."""
        with self._transaction():
            if not self.escrows.is_known(escrow.escrow_id):
                return True
            moved = self.escrows.move(escrow)
            if moved and escrow.status == CANCELLED:
                self.flows.add(f"escrow {escrow.escrow_id} back", escrow.amount_usd, now)
            return moved

    def credit(self, claim: Claim, now: float) -> None:
        """Note a payment of the faucet."""
        with self._transaction():
            self.flows.add(f"claim {claim.claim_id}", claim.credited_usd, now)

    def prove(self) -> None:
        """Write more than an order takes: raises where there is no room for one."""
        with self._transaction():
            self.facts.set("proof", PROOF)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _check(self) -> None:
        # Damage found at an order's turn would be found between its sending and its noting.
        ((verdict, *_), *_) = self._rows("PRAGMA quick_check(1)")
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)

    def _rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        return self._database.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._database.in_transaction:  # a full disk rolls back by itself
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
