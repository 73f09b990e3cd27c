"""How an order is told of: its span, and the log line of its failure. What came of it is the desk's business."""

from contextlib import AbstractContextManager
from decimal import Decimal

from purpleflea_agent import logs, tracing
from purpleflea_agent.exchange.port import OrderRequest
from purpleflea_agent.tracing import ActiveSpan
from purpleflea_contract import events, spans


def span(
    request: OrderRequest, kind: spans.Span = spans.ORDER_EXECUTE
) -> AbstractContextManager[ActiveSpan]:
    """The span of an order: of its sending, or of what was learned of it later."""
    return tracing.span(kind, **described(request), order_type=request.type)


def described(request: OrderRequest) -> dict[str, str | Decimal]:
    """What span and log say of every order."""
    return {"market": request.market, "side": request.side, "size": request.size}


def log_failure(market: str, error: Exception, *, side: str, size: Decimal) -> None:
    """Log that an order failed."""
    attributes = {
        "market": market,
        "side": side,
        "size": size,
        "error.kind": type(error).__name__,
        "error.message": str(error),
    }
    logs.log_event(events.ORDER_FAILED, attributes)
