"""The orders of the journal: each is written before it is sent, and gets its outcome later.

The store owns the open file, its transactions and its thread.
"""

import sqlite3
from dataclasses import dataclass, replace
from decimal import Decimal

from purpleflea_agent.exchange.port import Order, OrderRequest, OrderStatus
from purpleflea_agent.journal.key_values import GIVEN_UP, UNSENT, Marks

WRITTEN = "written"
"""The order is on disk and may have been sent; its outcome is unknown."""
FAILED = "failed"
"""The order had no effect: it was refused, or never reached the exchange. The marks UNSENT and GIVEN_UP say more."""
RETENTION_S = 31 * 24 * 3600.0
"""Age from which a completed order may be deleted. The volume is finite, and the exchange keeps its own records."""
DELETE_OLD = """
DELETE FROM orders WHERE idempotency_key IN (
    SELECT idempotency_key FROM orders WHERE written_at < ? AND status NOT IN (?, ?)
    ORDER BY written_at LIMIT 2
) RETURNING idempotency_key
"""
"""Delete two orders for each new order, so that the journal shrinks to its size in a month and no write takes long."""
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEntry:
    """An order in the journal."""

    request: OrderRequest
    status: str
    """`written` (outcome unknown), `failed` (no effect), or the value of OrderStatus at the exchange."""
    written_at: float
    """Seconds since the epoch."""
    order: Order | None = None
    """The order at the exchange as last read; None if the exchange never reported it."""
    reason: str | None = None
    """Why the order failed or was rejected."""
    mark: str | None = None
    """UNSENT or GIVEN_UP, for an order without effect."""

    @property
    def is_unsettled(self) -> bool:
        """True if its outcome is unknown."""
        return self.status == WRITTEN

    @property
    def is_resting(self) -> bool:
        """True if it is an open limit order at the exchange."""
        return self.status == OrderStatus.OPEN.value

    @property
    def may_be_sent_again(self) -> bool:
        """True if the order never had an effect, so that it may be sent again under its key."""
        return self.status == FAILED and self.mark == UNSENT

    @property
    def is_given_up(self) -> bool:
        """True if its outcome is unknown for so long that it counts as never received."""
        return self.status == FAILED and self.mark == GIVEN_UP


class OrderTable:
    """The table of orders in an open journal."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._marks = Marks(database, "order")

    def write(self, request: OrderRequest, now: float) -> None:
        """Add an order before it is sent, and delete orders past the retention."""
        price = None if request.price is None else str(request.price)
        if self._marks.has(UNSENT, request.idempotency_key):
            self._database.execute(
                "DELETE FROM orders WHERE idempotency_key = ? AND status = ?",
                (request.idempotency_key, FAILED),
            )
            self._marks.clear(request.idempotency_key)
        self._database.execute(
            "INSERT INTO orders (idempotency_key, market, side, size, type, price, status, written_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                request.idempotency_key,
                request.market,
                request.side,
                str(request.size),
                request.type,
                price,
                WRITTEN,
                now,
            ),
        )
        for row in self._rows(DELETE_OLD, now - RETENTION_S, WRITTEN, OrderStatus.OPEN.value):
            self._marks.clear(row["idempotency_key"])

    def settle(self, order: Order) -> None:
        """Record the state of an order at the exchange."""
        self._marks.clear(order.idempotency_key)
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

    def fail(self, idempotency_key: str, reason: str, mark: str | None = None) -> None:
        """Record that an order had no effect, with the mark UNSENT or GIVEN_UP."""
        if mark is not None:
            self._marks.set(mark, idempotency_key)
        self._database.execute(
            "UPDATE orders SET status = ?, reason = ? WHERE idempotency_key = ?",
            (FAILED, reason, idempotency_key),
        )

    def withdraw(self, idempotency_key: str) -> bool:
        """Remove an order whose outcome is unknown; False if there is none."""
        removed = self._database.execute(
            "DELETE FROM orders WHERE idempotency_key = ? AND status = ?",
            (idempotency_key, WRITTEN),
        )
        return removed.rowcount > 0

    def entry(self, idempotency_key: str) -> OrderEntry | None:
        """Return the order of a key."""
        rows = self._rows("SELECT * FROM orders WHERE idempotency_key = ?", idempotency_key)
        if not rows:
            return None
        marks = (m for m in (UNSENT, GIVEN_UP) if self._marks.has(m, idempotency_key))
        return replace(_entry(rows[0]), mark=next(marks, None))

    def by_order_id(self, order_id: str) -> OrderEntry | None:
        """Return the order with an id of the exchange."""
        # Open orders first, by the index of the status. Any other order needs a scan, which only people request.
        is_open = next(
            (e for e in self.unfinished() if e.order and e.order.order_id == order_id), None
        )
        if is_open is not None:
            return is_open
        rows = self._rows("SELECT * FROM orders WHERE order_id = ? LIMIT 1", order_id)
        return _entry(rows[0]) if rows else None

    def recent(self, limit: int) -> list[OrderEntry]:
        """Return the newest orders, newest first."""
        rows = self._rows("SELECT * FROM orders ORDER BY written_at DESC LIMIT ?", limit)
        return [_entry(row) for row in rows]

    def unfinished(self) -> list[OrderEntry]:
        """Return orders of unknown outcome and resting orders, oldest first."""
        rows = self._rows(
            "SELECT * FROM orders WHERE status IN (?, ?) ORDER BY written_at",
            WRITTEN,
            OrderStatus.OPEN.value,
        )
        return [_entry(row) for row in rows]

    def given_up(self, after: float) -> list[OrderEntry]:
        """Return the orders that were given up and were written later than a moment."""
        entries = [self.entry(key) for key in self._marks.keys(GIVEN_UP)]
        return [
            entry for entry in entries if entry and entry.is_given_up and entry.written_at > after
        ]

    def count_between(self, after: float, until: float) -> int:
        """Return the number of orders written in a span of time (seconds since the epoch)."""
        # The end matters: after a clock stepped back, the orders of a whole day would count as new.
        rows = self._rows(
            "SELECT count(*) AS n FROM orders WHERE written_at > ? AND written_at <= ?",
            after,
            until,
        )
        return int(rows[0]["n"])

    def counts(self) -> dict[str, int]:
        """Return the number of orders of each status."""
        rows = self._rows("SELECT status, count(*) AS n FROM orders GROUP BY status")
        return {row["status"]: int(row["n"]) for row in rows}

    def _rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        return self._database.execute(statement, values).fetchall()


def _entry(row: sqlite3.Row) -> OrderEntry:
    request = OrderRequest(
        idempotency_key=row["idempotency_key"],
        market=row["market"],
        side=row["side"],
        size=Decimal(row["size"]),
        type=row["type"],
        price=_decimal(row["price"]),
    )
    return OrderEntry(
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
