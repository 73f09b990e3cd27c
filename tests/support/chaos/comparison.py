"""The comparison of the journals and metrics of agents with the books of the exchange, at the end of a run."""

from decimal import Decimal

from purpleflea_contract import metrics as contract
from support.chaos.books import Books
from support.chaos.plan import MARKETS
from support.chaos.process import ChaosAgent
from support.chaos.result import Result


def compare(agent: ChaosAgent, books: Books, result: Result, now: float) -> None:
    """Compare the journal and the metrics of an agent with the books of the exchange, when nothing is unknown."""
    placed = {order.request.idempotency_key: order for order in books.orders(agent)}
    result.orders += len(placed)
    result.fills += sum(bool(order.filled_size) for order in placed.values())
    rows = {row["idempotency_key"]: row for row in agent.rows("SELECT * FROM orders")}
    if not agent.is_ephemeral:
        for key in sorted(placed.keys() | {k for k, r in rows.items() if r["status"] != "failed"}):
            ours, theirs = rows.get(key), placed.get(key)
            own = ours and (ours["status"], Decimal(ours["filled_size"] or 0))
            book = theirs and (theirs.status.value, theirs.filled_size)
            books.check(
                "journal = exchange",
                agent.name,
                now,
                holds=own == book,
                detail=f"{key}: journal {own}, exchange {book}",
            )
    _compare_escrows(agent, books, result, now)
    if not agent.is_ephemeral:
        left = [order.order_id for order in books.open_orders(agent)]
        books.check("a halt cancels resting orders", agent.name, now, holds=not left, detail=left)
    held = {market: size for market, size in books.positions(agent).items() if size}
    own_held = {
        row["market"]: Decimal(row["size"])
        for row in agent.rows("SELECT * FROM holdings")
        if Decimal(row["size"])
    }
    books.check(
        "positions = exchange",
        agent.name,
        now,
        holds=own_held == held,
        detail=f"journal {own_held}, exchange {held}",
    )
    if not agent.is_ephemeral:
        _compare_profit(agent, books, now)


def _compare_escrows(agent: ChaosAgent, books: Books, result: Result, now: float) -> None:
    opened = {item.request.idempotency_key: item for item in books.escrows(agent)}
    result.escrows += len(opened)
    if agent.is_ephemeral:
        return
    rows = {row["idempotency_key"]: row for row in agent.rows("SELECT * FROM escrows")}
    for key in sorted(opened.keys() | {k for k, r in rows.items() if r["status"] != "failed"}):
        own = rows[key]["status"] if key in rows else None
        book = opened[key].status.value if key in opened else None
        books.check(
            "journal = exchange",
            agent.name,
            now,
            holds=own == book,
            detail=f"escrow {key}: journal {own}, exchange {book}",
        )


def _compare_profit(agent: ChaosAgent, books: Books, now: float) -> None:
    """Compare the metric of the realized profit, net of fees, with the books."""
    if agent.process is None:
        return
    for market in MARKETS:
        booked = sum(
            (
                order.realized_pnl_usd - order.fee_usd
                for order in books.orders(agent)
                if order.request.market.name == market
            ),
            Decimal(0),
        )
        key = (contract.PNL.name, f"market:{market}", "realized:true")
        shown = agent.process.metrics.get(key, Decimal(0))
        books.check(
            "P&L metric = books",
            agent.name,
            now,
            holds=abs(shown - booked) < Decimal("0.005"),
            detail=f"{market}: metric {shown:.4f}, books {booked:.4f}",
        )


def is_unfinished(agent: ChaosAgent) -> bool:
    """Return whether the outcome of an order or escrow is unknown, or an order is open."""
    if agent.process is None or agent.process.is_dead:
        return False
    orders = agent.rows("SELECT 1 FROM orders WHERE status IN ('written', 'open') LIMIT 1")
    return bool(orders or agent.rows("SELECT 1 FROM escrows WHERE status = 'written' LIMIT 1"))
