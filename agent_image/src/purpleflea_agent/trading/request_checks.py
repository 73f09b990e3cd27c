"""The form of an order or an escrow that code of a user requests, checked before the limits and the journal. Pure.

Limits compare the side and the market as text, and the exchange is asked by the idempotency key. A side such as "BUY"
would count as a sale, and a key that a header cannot carry could never be found again.
"""

import re
from decimal import Decimal
from typing import get_args

from purpleflea_agent.exchange.port import EscrowRequest, OrderRequest, OrderType, Side

KEY = re.compile("[!-~]{1,255}")
"""Printable ASCII without a space: every server reads such a header as it was sent."""
MARKET = re.compile("[A-Z0-9]{1,12}-[A-Z0-9]{1,12}")
"""As in spec.markets."""


def check_order(request: OrderRequest, reference_price: Decimal) -> None:
    """Raise ValueError if a field has a wrong form; the text names the field and the remedy."""
    _check_key(request.idempotency_key)
    _check_text("market", request.market, MARKET, "a market such as 'BTC-USD'")
    _check_choice("side", request.side, get_args(Side))
    _check_choice("type", request.type, get_args(OrderType))
    _check_decimal("size", request.size)
    _check_decimal("reference_price", reference_price)
    if (request.type == "limit") != (request.price is not None):
        raise ValueError("price: required for a limit order, and only allowed for it")
    if request.price is not None:
        _check_decimal("price", request.price)


def check_escrow(request: EscrowRequest) -> None:
    """Raise ValueError if a field has a wrong form, or the amount is not a number above 0."""
    _check_key(request.idempotency_key)
    if not isinstance(request.counterparty_id, str) or not request.counterparty_id:
        raise ValueError(_text("counterparty_id", request.counterparty_id, "a text"))
    _check_decimal("amount_usd", request.amount_usd)
    # The limit is on a sum, which a negative amount would lower for every other escrow.
    if not (request.amount_usd.is_finite() and request.amount_usd > 0):
        raise ValueError(_text("amount_usd", request.amount_usd, "a number above 0"))


def _check_key(key: object) -> None:
    _check_text("idempotency_key", key, KEY, "1 to 255 printable ASCII characters without a space")


def _check_text(field: str, value: object, form: re.Pattern[str], wanted: str) -> None:
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise ValueError(_text(field, value, wanted))


def _check_choice(field: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(_text(field, value, " or ".join(repr(name) for name in allowed)))


def _check_decimal(field: str, value: object) -> None:
    if not isinstance(value, Decimal):
        raise ValueError(_text(field, value, "a Decimal, such as Decimal('0.01')"))


def _text(field: str, value: object, wanted: str) -> str:
    return f"{field}: {str(value)[:60]!r} ({type(value).__name__}) is not {wanted}"
