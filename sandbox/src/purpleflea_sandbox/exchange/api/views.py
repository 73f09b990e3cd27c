"""Converts values to the JSON of the Seed dialect; contains no decisions."""

from collections.abc import Iterable
from decimal import Decimal

from purpleflea_sandbox.exchange.api.decimals import text
from purpleflea_sandbox.exchange.api.models import (
    AmountView,
    BalanceView,
    CandleView,
    EscrowView,
    OrdersView,
    OrderView,
    PositionsView,
    PositionView,
)
from purpleflea_sandbox.exchange.core.escrows import Escrow
from purpleflea_sandbox.exchange.core.margin import Holdings
from purpleflea_sandbox.exchange.core.orders import Order
from purpleflea_sandbox.exchange.core.positions import Position
from purpleflea_sandbox.exchange.core.prices import Candle
from purpleflea_sandbox.exchange.times import iso


def order_view(order: Order) -> OrderView:
    request = order.request
    return OrderView(
        order_id=order.order_id,
        idempotency_key=request.idempotency_key,
        market=request.market.name,
        side=request.side,
        size=text(request.size),
        type=request.type,
        status=order.status,
        price=_optional(order.fill_price),
        limit_price=_optional(request.price),
        filled_size=text(order.filled_size),
        fee_usd=text(order.fee_usd),
        realized_pnl_usd=text(order.realized_pnl_usd),
        created_at=iso(order.created_ms),
        reject_reason=order.reject_reason,
    )


def orders_view(orders: Iterable[Order]) -> OrdersView:
    return OrdersView(orders=[order_view(order) for order in orders])


def candle_view(candle: Candle) -> CandleView:
    return CandleView(
        time=iso(candle.start_ms),
        open=text(candle.open),
        high=text(candle.high),
        low=text(candle.low),
        close=text(candle.close),
        volume=text(candle.volume),
    )


def positions_view(holdings: Holdings) -> PositionsView:
    """Return only open positions; a position of size 0 is omitted."""
    open_positions = [p for p in holdings.positions.values() if p.size]
    return PositionsView(
        positions=[_position_view(p, holdings.marks[p.market]) for p in open_positions],
        equity_usd=text(holdings.equity_usd),
    )


def balance_view(holdings: Holdings) -> BalanceView:
    cash = text(holdings.cash_usd)
    return BalanceView(
        balances={"USDC": AmountView(amount=cash, usd_value=cash)},
        equity_usd=text(holdings.equity_usd),
    )


def escrow_view(escrow: Escrow) -> EscrowView:
    return EscrowView(
        escrow_id=escrow.escrow_id,
        idempotency_key=escrow.request.idempotency_key,
        status=escrow.status,
        counterparty_id=escrow.request.counterparty_id,
        amount_usd=text(escrow.request.amount_usd),
        description=escrow.request.description,
        created_at=iso(escrow.created_ms),
        updated_at=iso(escrow.updated_ms),
    )


def _position_view(position: Position, mark: Decimal) -> PositionView:
    return PositionView(
        market=position.market,
        size=text(position.size),
        entry_price=text(position.entry_price),
        mark_price=text(mark),
        notional_usd=text(position.notional_usd(mark)),
        unrealized_pnl_usd=text(position.unrealized_pnl_usd(mark)),
        realized_pnl_usd=text(position.realized_pnl_usd),
    )


def _optional(value: Decimal | None) -> str | None:
    return None if value is None else text(value)
