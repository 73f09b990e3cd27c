"""Routes that list orders and cancel a resting order. They require the bearer token, and work in every trading mode.

Answers come from the journal, which contains every order that this agent sent in the last 31 days. An order is found by
its id at the exchange, or by its idempotency key, because an order of unknown outcome has no id yet. A client chooses
keys, so a key can be the id of another order. Such a name is refused unless the request says which of the two it is.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query

from purpleflea_agent.api.bodies import OrderAnswer, OrdersAnswer
from purpleflea_agent.api.problems import Problem, documented
from purpleflea_agent.api.token import token_check
from purpleflea_agent.application import Application
from purpleflea_agent.journal.orders import OrderEntry

ZERO = Decimal(0)
OrderId = Annotated[str, Path(pattern="^[A-Za-z0-9._:-]+$", max_length=128)]
Limit = Annotated[int, Query(ge=1, le=200, description="Largest number of orders.")]
State = Annotated[
    Literal["all", "open"],
    Query(description="`open`: resting orders and orders of unknown outcome; `all`: every order."),
]
By = Annotated[
    Literal["id", "key"] | None,
    Query(
        description="Meaning of the name in the path, if one order has it as id and another as idempotency key."
    ),
]


def router(agent: Application) -> APIRouter:
    """Create the routes of a running agent."""
    routes = APIRouter(
        prefix="/v1/orders",
        dependencies=[Depends(token_check(agent))],
        responses=documented(401, 403, 408, 422, 503),
    )

    @routes.get("")
    async def orders(state: State = "all", limit: Limit = 50) -> OrdersAnswer:
        """List the open orders, and then the newest other orders."""
        found = list(reversed(await agent.journal.unfinished()))
        if state == "all":
            found += [e for e in await agent.journal.recent(limit) if not _is_open(e)]
        return OrdersAnswer(orders=tuple(order_answer(entry) for entry in found[:limit]))

    @routes.get("/{order_id}", responses=documented(404, 409))
    async def order(order_id: OrderId, by: By = None) -> OrderAnswer:
        """Return an order."""
        return order_answer(await _found(agent, order_id, by))

    @routes.delete("/{order_id}", responses=documented(404, 409, 502, 504))
    async def cancel(order_id: OrderId, by: By = None) -> OrderAnswer:
        """Cancel a resting order; a part that was filled before stays filled. It may be repeated."""
        entry = await _found(agent, order_id, by)
        if entry.is_resting:
            entry = await agent.orders.cancel(entry.request.idempotency_key) or entry
            if not _is_open(entry):
                return order_answer(entry)
        raise _not_canceled(entry)

    return routes


def order_answer(entry: OrderEntry) -> OrderAnswer:
    """Convert an order of the journal to a body."""
    order, request = entry.order, entry.request
    return OrderAnswer(
        order_id=order.order_id if order else None,
        idempotency_key=request.idempotency_key,
        market=request.market,
        side=request.side,
        size=request.size,
        type=request.type,
        limit_price=request.price,
        status="unknown" if entry.is_unsettled else entry.status,
        price=order.price if order else None,
        filled_size=order.filled_size if order else ZERO,
        fee_usd=order.fee_usd if order else ZERO,
        realized_pnl_usd=order.realized_pnl_usd if order else ZERO,
        reason=entry.reason,
        sent_at=datetime.fromtimestamp(entry.written_at, UTC),
    )


def _is_open(entry: OrderEntry) -> bool:
    return entry.is_resting or entry.is_unsettled


async def _found(agent: Application, name: str, by: Literal["id", "key"] | None) -> OrderEntry:
    by_id = None if by == "key" else await agent.journal.by_order_id(name)
    by_key = None if by == "id" else await agent.journal.entry(name)
    entry = by_id or by_key
    if entry is None:
        what = {"id": "the id", "key": "the idempotency key", None: "the id or the idempotency key"}
        raise Problem(404, "not_found", f"no order has {what[by]} {name}")
    if by_id and by_key and by_id.request.idempotency_key != by_key.request.idempotency_key:
        detail = (
            f"{name} is the id of one order and the idempotency key of another;"
            " add ?by=id or ?by=key to the request"
        )
        raise Problem(409, "order_ambiguous", detail)
    return entry


def _not_canceled(entry: OrderEntry) -> Problem:
    if entry.is_unsettled:
        detail = "the outcome of the order is not known yet; the agent keeps looking it up"
        return Problem(409, "order_pending", detail)
    if entry.is_resting:
        return Problem(409, "upstream_conflict", "the exchange did not cancel the order: try again")
    return Problem(409, "order_done", f"the order is {entry.status}, so nothing is left to cancel")
