"""Answers about an order that are odd, late or out of order: a fill is booked once, in full, and never undone."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from purpleflea_agent.exchange.seed import wire
from support.agent_parts import PRICE

FILLED: Mapping[str, Any] = {
    "order_id": "ord_1",
    "idempotency_key": "k1",
    "market": "BTC-USD",
    "side": "buy",
    "size": "0.01",
    "type": "market",
    "status": "filled",
    "price": str(PRICE),
    "filled_size": "0.01",
    "fee_usd": "0.1",
    "realized_pnl_usd": "0",
}
OPEN = {**FILLED, "status": "open", "filled_size": "0", "price": None}
PART = {**FILLED, "status": "cancelled", "filled_size": "0.004"}
REJECTED = {**OPEN, "status": "rejected", "reject_reason": "insufficient_margin"}
READABLE = {
    "filled": FILLED,
    "open": OPEN,
    "open, filled in part": {**PART, "status": "open"},
    "cancelled": {**OPEN, "status": "cancelled"},
    "cancelled, filled in part": PART,
    "rejected": REJECTED,
    "rejected, without amounts": {
        name: value for name, value in REJECTED.items() if name not in ("fee_usd", "filled_size")
    },
}
ODD = {
    "filled without a size": {n: v for n, v in FILLED.items() if n != "filled_size"},
    "filled without a fee": {n: v for n, v in FILLED.items() if n != "fee_usd"},
    "filled without a profit": {n: v for n, v in FILLED.items() if n != "realized_pnl_usd"},
    "filled without a price": {n: v for n, v in FILLED.items() if n != "price"},
    "filled at price zero": {**FILLED, "price": "0"},
    "filled at a negative price": {**FILLED, "price": "-5"},
    "filled with size zero": {**FILLED, "filled_size": "0"},
    "filled in part only": {**FILLED, "filled_size": "0.004"},
    "filled with a null": {**FILLED, "filled_size": None},
    "open and filled": {**FILLED, "status": "open"},
    "rejected with a fill": {**PART, "status": "rejected"},
    "cancelled and filled": {**FILLED, "status": "cancelled"},
    "of size zero": {**FILLED, "size": "0", "filled_size": "0"},
    "a fee that is not a number": {**FILLED, "fee_usd": "NaN"},
    "a profit that is not a number": {**FILLED, "realized_pnl_usd": "Infinity"},
}


@pytest.mark.parametrize("row", READABLE.values(), ids=READABLE)
def test_a_consistent_order_is_read(row: dict[str, Any]) -> None:
    (order,) = wire.Orders.model_validate({"orders": [row]}).orders
    assert order is not None
    assert order.order().status == row["status"]


@pytest.mark.parametrize("row", ODD.values(), ids=ODD)
def test_an_order_of_which_a_part_contradicts_another_is_unknown(row: dict[str, Any]) -> None:
    assert wire.Orders.model_validate({"orders": [row]}).orders == [None]


def position(market: str, size: str, **more: str) -> dict[str, str]:
    values = ("mark_price", "notional_usd", "unrealized_pnl_usd", "realized_pnl_usd")
    return {"market": market, "size": size, **dict.fromkeys(values, "1"), **more}


ROWS = {
    "one row": ([position("BTC-USD", "0.1")], Decimal("0.1"), set()),
    "twice the same": ([position("BTC-USD", "0.1")] * 2, Decimal("0.1"), set()),
    "three times the same": ([position("BTC-USD", "0.1")] * 3, Decimal("0.1"), set()),
    "two sizes": ([position("BTC-USD", "0.1"), position("BTC-USD", "0.2")], 0, {"BTC-USD"}),
    "two sizes, then the first": (
        [position("BTC-USD", size) for size in ("0.1", "0.2", "0.1")],
        0,
        {"BTC-USD"},
    ),
    "two marks": (
        [position("BTC-USD", "0.1"), position("BTC-USD", "0.1", mark_price="2")],
        Decimal("0.1"),
        set(),
    ),
    "one of them odd": (
        [position("BTC-USD", "0.1"), position("BTC-USD", "0.1", notional_usd="n/a")],
        Decimal("0.1"),
        set(),
    ),
    "one of them without a size": (
        [position("BTC-USD", "0.1"), position("BTC-USD", "many")],
        0,
        {"BTC-USD"},
    ),
}


@pytest.mark.parametrize(("rows", "size", "unreadable"), ROWS.values(), ids=ROWS)
def test_a_repeated_row_is_one_position_and_contradicting_rows_are_unknown(
    rows: list[dict[str, str]], size: Decimal, unreadable: set[str]
) -> None:
    others = [position("ETH-USD", "-1")]
    answer = wire.Positions.model_validate({"positions": rows + others, "equity_usd": "5"})
    portfolio = answer.portfolio()
    assert portfolio.size_of("BTC-USD") == size
    assert portfolio.unreadable == unreadable
    assert portfolio.size_of("ETH-USD") == -1


ESCROW = {
    "escrow_id": "esc_1",
    "idempotency_key": "k1",
    "status": "created",
    "counterparty_id": "agent_x",
    "amount_usd": "25",
}
ODD_ESCROWS = {
    "an unknown status": {**ESCROW, "status": "moon"},
    "no status": {name: value for name, value in ESCROW.items() if name != "status"},
    "amount zero": {**ESCROW, "amount_usd": "0"},
    "a negative amount": {**ESCROW, "amount_usd": "-25"},
    "an amount that is not a number": {**ESCROW, "amount_usd": "NaN"},
    "no counterparty": {**ESCROW, "counterparty_id": None},
}


@pytest.mark.parametrize("row", ODD_ESCROWS.values(), ids=ODD_ESCROWS)
def test_an_escrow_that_cannot_be_read_is_unknown(row: dict[str, Any]) -> None:
    assert wire.Escrows.model_validate({"escrows": [row]}).escrows == [None]


@pytest.mark.parametrize("status", ["created", "released", "cancelled"])
def test_each_state_of_an_escrow_is_read(status: str) -> None:
    (escrow,) = wire.Escrows.model_validate({"escrows": [{**ESCROW, "status": status}]}).escrows
    assert escrow is not None
    assert escrow.escrow().status == status
