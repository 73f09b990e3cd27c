"""Orders as rows. They are looked up by id, idempotency key, account, or the price that fills them.

Open orders have partial indexes, so only the crossed part of a book is read, independent of its
length.
"""

import sqlite3
from dataclasses import dataclass
from decimal import Decimal

from purpleflea_sandbox.exchange.core.markets import MARKETS, Market
from purpleflea_sandbox.exchange.core.orders import (
    FillPlan,
    NewOrder,
    Order,
    OrderStatus,
    OrderType,
    Side,
)
from purpleflea_sandbox.exchange.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCounts:
    """Number of orders of one account by status."""

    account_id: int
    by_status: dict[OrderStatus, int]

    @property
    def orders(self) -> int:
        return sum(self.by_status.values())


def add(database: Database, order: Order) -> None:
    request = order.request
    ticks = None if request.price is None else request.market.in_ticks(request.price)
    database.execute(
        "INSERT INTO orders (order_id, account_id, idempotency_key, market, side, type, size,"
        " limit_price, limit_ticks, status, fill_price, fee_usd, realized_pnl_usd, reject_reason,"
        " created_ms, updated_ms, filled_size, slices, pause_ms, due_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            order.order_id,
            order.account_id,
            request.idempotency_key,
            request.market.name,
            request.side,
            request.type,
            str(request.size),
            _text(request.price),
            ticks,
            order.status,
            _text(order.fill_price),
            str(order.fee_usd),
            str(order.realized_pnl_usd),
            order.reject_reason,
            order.created_ms,
            order.updated_ms,
            str(order.filled_size),
            order.plan.slices,
            order.plan.pause_ms,
            order.plan.due_ms,
        ),
    )


def update(database: Database, order: Order) -> None:
    """Write the outcome of an order; the request never changes."""
    database.execute(
        "UPDATE orders SET status = ?, fill_price = ?, fee_usd = ?, realized_pnl_usd = ?,"
        " reject_reason = ?, updated_ms = ?, filled_size = ?, slices = ?, due_ms = ? WHERE order_id = ?",
        (
            order.status,
            _text(order.fill_price),
            str(order.fee_usd),
            str(order.realized_pnl_usd),
            order.reject_reason,
            order.updated_ms,
            str(order.filled_size),
            order.plan.slices,
            order.plan.due_ms,
            order.order_id,
        ),
    )


def find(database: Database, account_id: int, order_id: str) -> Order | None:
    row = database.row(
        "SELECT * FROM orders WHERE order_id = ? AND account_id = ?", (order_id, account_id)
    )
    return _order(row) if row else None


def find_by_idempotency_key(database: Database, account_id: int, key: str) -> Order | None:
    row = database.row(
        "SELECT * FROM orders WHERE account_id = ? AND idempotency_key = ?", (account_id, key)
    )
    return _order(row) if row else None


def newest(
    database: Database, account_id: int, *, status: OrderStatus | None, limit: int
) -> list[Order]:
    """Return the account's orders, newest first."""
    # A separate statement, because SQLite uses the partial index only for a literal status.
    open_only = "SELECT * FROM orders WHERE status = 'open' AND account_id = ?1 ORDER BY sequence DESC LIMIT ?3"
    any_status = (
        "SELECT * FROM orders WHERE account_id = ?1 AND (?2 IS NULL OR status = ?2)"
        " ORDER BY sequence DESC LIMIT ?3"
    )
    statement = open_only if status is OrderStatus.OPEN else any_status
    rows = database.rows(statement, (account_id, status, limit))
    return [_order(row) for row in rows]


def count_open(database: Database, account_id: int) -> int:
    row = database.row(
        "SELECT count(*) AS number FROM orders WHERE account_id = ? AND status = 'open'",
        (account_id,),
    )
    return int(row["number"]) if row else 0


def due(database: Database, market: Market, price: Decimal, now_ms: int) -> list[Order]:
    """Return the open orders whose limit the price has reached, and market orders that a fault has
    delayed, oldest first.
    """
    ticks = market.in_ticks(price)
    rows = database.rows(
        "SELECT * FROM orders WHERE status = 'open' AND market = ?1 AND side = 'buy'"
        " AND limit_ticks >= ?2 AND ifnull(due_ms, 0) <= ?3"
        " UNION ALL "
        "SELECT * FROM orders WHERE status = 'open' AND market = ?1 AND side = 'sell'"
        " AND limit_ticks <= ?2 AND ifnull(due_ms, 0) <= ?3"
        " UNION ALL "
        "SELECT * FROM orders WHERE status = 'open' AND market = ?1 AND side IN ('buy', 'sell')"
        " AND limit_ticks IS NULL AND ifnull(due_ms, 0) <= ?3",
        (market.name, ticks, now_ms),
    )
    return [_order(row) for row in sorted(rows, key=lambda row: int(row["sequence"]))]


def newest_of_agent(
    database: Database, agent_id: str | None, limit: int
) -> list[tuple[str, Order]]:
    """Return orders with their agent, across all owners, newest first."""
    rows = database.rows(
        "SELECT orders.*, accounts.agent_id FROM orders JOIN accounts USING (account_id)"
        " WHERE ?1 IS NULL OR agent_id = ?1 ORDER BY sequence DESC LIMIT ?2",
        (agent_id, limit),
    )
    return [(row["agent_id"], _order(row)) for row in rows]


def count_of_agent(database: Database, agent_id: str | None) -> int:
    row = database.row(
        "SELECT count(*) AS number FROM orders JOIN accounts USING (account_id)"
        " WHERE ?1 IS NULL OR agent_id = ?1",
        (agent_id,),
    )
    return int(row["number"]) if row else 0


def order_counts(database: Database) -> dict[int, OrderCounts]:
    rows = database.rows(
        "SELECT account_id, status, count(*) AS number FROM orders GROUP BY account_id, status"
    )
    counts: dict[int, dict[OrderStatus, int]] = {}
    for row in rows:
        counts.setdefault(row["account_id"], {})[OrderStatus(row["status"])] = row["number"]
    return {
        number: OrderCounts(account_id=number, by_status=by_status)
        for number, by_status in counts.items()
    }


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _order(row: sqlite3.Row) -> Order:
    request = NewOrder(
        idempotency_key=row["idempotency_key"],
        market=MARKETS[row["market"]],
        side=Side(row["side"]),
        size=Decimal(row["size"]),
        type=OrderType(row["type"]),
        price=_decimal(row["limit_price"]),
    )
    status = OrderStatus(row["status"])
    filled = _decimal(row["filled_size"])
    if filled is None:  # a row of an earlier version, which had no partial fills
        filled = request.size if status is OrderStatus.FILLED else Decimal(0)
    return Order(
        order_id=row["order_id"],
        account_id=row["account_id"],
        request=request,
        status=status,
        created_ms=row["created_ms"],
        updated_ms=row["updated_ms"],
        fill_price=_decimal(row["fill_price"]),
        fee_usd=Decimal(row["fee_usd"]),
        realized_pnl_usd=Decimal(row["realized_pnl_usd"]),
        filled_size=filled,
        reject_reason=row["reject_reason"],
        plan=FillPlan(slices=row["slices"], pause_ms=row["pause_ms"], due_ms=row["due_ms"]),
    )
