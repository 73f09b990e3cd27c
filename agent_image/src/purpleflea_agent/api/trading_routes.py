"""Routes that move money: they require a bearer token, are bounded, and can be repeated by Idempotency-Key.

order_routes lists and cancels orders.
"""

import uuid
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path

from purpleflea_agent.api.bodies import EscrowAnswer, EscrowBody, TradeAnswer, TradeBody
from purpleflea_agent.api.problems import Problem, documented
from purpleflea_agent.api.token import token_check
from purpleflea_agent.application import Application
from purpleflea_agent.exchange.port import Escrow, EscrowRequest, Order, OrderRequest, OrderStatus
from purpleflea_agent.trading.market_data import PriceBounds, candles_problem
from purpleflea_contract import quantities

IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", pattern="^[A-Za-z0-9._:-]+$", max_length=128)
]
EscrowId = Annotated[str, Path(pattern="^[A-Za-z0-9._-]+$", max_length=128)]


MAX_REMEMBERED = 1000
FAILED_ESCROW = ("failed", "refused", "rejected")
"""States of an escrow in which no money was moved as requested."""


class RecentAnswers:
    """Further fields of the exchange's answers, by idempotency key, so that a repeated request has the same answer.

    They are not in the journal: after a restart a repeated request has our own fields only.
    """

    def __init__(self) -> None:
        self._extras: OrderedDict[str, Mapping[str, object]] = OrderedDict()

    def complete(self, key: str, extra: Mapping[str, object]) -> Mapping[str, object]:
        """Remember the fields of an answer, or return those of an earlier answer to the same key."""
        if extra:
            self._extras[key] = extra
            while len(self._extras) > MAX_REMEMBERED:
                self._extras.popitem(last=False)
        return self._extras.get(key, {})


def router(agent: Application) -> APIRouter:
    """Create the routes of a running agent."""
    answers = RecentAnswers()

    routes = APIRouter(
        prefix="/v1",
        dependencies=[Depends(token_check(agent))],
        responses=documented(401, 403, 408, 409, 413, 422, 502, 503, 504),
    )

    @routes.post("/trade", status_code=201)
    async def trade(body: TradeBody, idempotency_key: IdempotencyKey = None) -> TradeAnswer:
        """Send an order, within the limits of spec.risk."""
        order = await _trade(agent, body, idempotency_key)
        if order.status is OrderStatus.REJECTED:
            raise Problem(422, "order_rejected", _rejection(order))
        return _trade_answer(order, answers.complete(order.idempotency_key, order.extra))

    @routes.post("/escrow/create", status_code=201)
    async def create(body: EscrowBody, idempotency_key: IdempotencyKey = None) -> EscrowAnswer:
        """Open an escrow."""
        request = EscrowRequest(
            idempotency_key=idempotency_key or str(uuid.uuid4()),
            counterparty_id=body.counterparty_id,
            amount_usd=body.amount_usd,
            description=body.description,
        )
        escrow = await agent.escrows.create(request)
        key = request.idempotency_key
        return _escrow_answer(escrow, answers.complete(key, escrow.extra), key)

    @routes.post("/escrow/{escrow_id}/release", responses=documented(404))
    async def release(escrow_id: EscrowId) -> EscrowAnswer:
        """Pay an escrow out to its counterparty."""
        escrow = await agent.escrows.release(escrow_id)
        return _escrow_answer(escrow, escrow.extra)

    @routes.post("/escrow/{escrow_id}/cancel", responses=documented(404))
    async def cancel(escrow_id: EscrowId) -> EscrowAnswer:
        """Cancel an escrow; its amount returns to the wallet."""
        escrow = await agent.escrows.cancel(escrow_id)
        return _escrow_answer(escrow, escrow.extra)

    return routes


async def _trade(agent: Application, body: TradeBody, idempotency_key: str | None) -> Order:
    # Only the markets of the agent, because its limits and metrics are for these.
    if body.market not in agent.settings.markets:
        known = ", ".join(agent.settings.markets)
        raise Problem(422, "unknown_market", f"{body.market} is not traded here: one of {known}")
    request = OrderRequest(
        idempotency_key=idempotency_key or str(uuid.uuid4()),
        market=body.market,
        side=body.side,
        size=body.size,
        type=body.type,
        price=body.price,
    )
    # Before the price is read, so that a known outcome is returned even if the exchange is not available.
    previous = await agent.orders.find_by_key(request)
    if previous is not None:
        return previous
    trading = agent.settings.trading
    candles = await agent.exchange.candles(body.market, interval=trading.interval, limit=1)
    closes = candles.closes
    if not closes:
        raise Problem(502, "no_price", f"the exchange has no price of {body.market}")
    problem = candles_problem(
        candles,
        PriceBounds.of(trading),
        interval=quantities.duration(trading.interval),
        now=datetime.now(UTC),
    )
    if problem is not None:
        raise Problem(
            502, "no_price", f"the exchange has no usable price of {body.market}: {problem}"
        )
    return await agent.orders.place(request, reference_price=closes[-1])


def _rejection(order: Order) -> str:
    reason = order.reject_reason or "no reason given"
    return (
        f"the exchange rejected the order {order.order_id}: {reason};"
        f" a new attempt needs another Idempotency-Key than {order.idempotency_key}"
    )


def _trade_answer(order: Order, extra: Mapping[str, object]) -> TradeAnswer:
    return TradeAnswer.of(
        extra,
        order_id=order.order_id,
        idempotency_key=order.idempotency_key,
        market=order.market,
        side=order.side,
        size=order.size,
        type=order.type,
        status=order.status.value,
        price=order.price,
        filled_size=order.filled_size,
        fee_usd=order.fee_usd,
        realized_pnl_usd=order.realized_pnl_usd,
        reject_reason=order.reject_reason,
    )


def _escrow_answer(
    escrow: Escrow, extra: Mapping[str, object], idempotency_key: str | None = None
) -> EscrowAnswer:
    if escrow.status in FAILED_ESCROW:
        detail = f"the exchange reports the escrow {escrow.escrow_id} as {escrow.status}"
        raise Problem(422, "escrow_failed", detail)
    return EscrowAnswer.of(
        extra,
        escrow_id=escrow.escrow_id,
        idempotency_key=idempotency_key,
        status=escrow.status,
        counterparty_id=escrow.counterparty_id,
        amount_usd=escrow.amount_usd,
    )
