"""Changes of an answer that make it odd or late, on parsed JSON. Pure.

An answer has rows: the items of its list, the balances of its currencies, or the object itself. One
row is changed, and all others stay as they are.
"""

from collections.abc import Callable
from copy import deepcopy
from enum import StrEnum
from typing import Any

Json = Any
Row = dict[str, Json]
Choose = Callable[[str, list[Any]], Any]
"""Returns one of the options, by a name and the seed."""


class Oddity(StrEnum):
    """One odd value in an answer."""

    NULL_ROW = "null_row"
    NULL = "null"
    NAN = "nan"
    INFINITY = "infinity"
    TEXT = "text"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_NAME = "unknown_name"
    MISSING = "missing"
    DUPLICATE = "duplicate"
    ZERO = "zero"
    NEGATIVE = "negative"
    TINY = "tiny"
    HUGE = "huge"


ODD_ROWS = (
    Oddity.NULL_ROW,
    Oddity.NULL,
    Oddity.NAN,
    Oddity.INFINITY,
    Oddity.TEXT,
    Oddity.WRONG_TYPE,
    Oddity.UNKNOWN_NAME,
    Oddity.MISSING,
    Oddity.DUPLICATE,
)
"""Oddities of a row. A reader can recognize each of them."""
ODD_PRICES = (
    Oddity.ZERO,
    Oddity.NEGATIVE,
    Oddity.TINY,
    Oddity.HUGE,
    Oddity.NULL,
    Oddity.NAN,
    Oddity.TEXT,
    Oddity.MISSING,
)
"""Oddities of a price."""

LISTS = ("candles", "markets", "orders", "positions", "escrows")
NAMES = ("market", "currency", "side", "status", "type")
PRICES = ("open", "high", "low", "close", "price")
VALUES: dict[Oddity, Json] = {
    Oddity.NULL: None,
    Oddity.NAN: float("nan"),
    Oddity.INFINITY: "Infinity",
    Oddity.TEXT: "n/a",
    Oddity.WRONG_TYPE: {"value": []},
    Oddity.ZERO: "0",
    Oddity.NEGATIVE: "-5",
    Oddity.TINY: "0.00000000000000000001",
    Oddity.HUGE: "1" + "0" * 30,
}
UNKNOWN = "DOGE-MOON"
EARLIER: Row = {
    "status": "open",
    "price": None,
    "filled_size": "0",
    "fee_usd": "0",
    "realized_pnl_usd": "0",
    "reject_reason": None,
}
"""State of an order before its first fill."""


def odd_rows(answer: Json, oddity: Oddity, choose: Choose) -> Json:
    """Return the answer with one odd row."""
    changed = deepcopy(answer)
    if not isinstance(changed, dict):
        return changed
    if isinstance(changed.get("balances"), dict):
        _change_balances(changed["balances"], oddity, choose)
        return changed
    name = next((name for name in LISTS if isinstance(changed.get(name), list)), None)
    if name is None:
        _change_row(changed, oddity, choose)
    elif not changed[name]:
        # An empty list proves that there is no row, so an odd row that is added is a fault too.
        changed[name].append(None if oddity is Oddity.NULL_ROW else {"market": UNKNOWN})
    else:
        _change_list(changed[name], oddity, choose)
    return changed


def odd_price(answer: Json, oddity: Oddity, choose: Choose) -> Json:
    """Return market data with one odd price. The newest price is odd in half of the cases."""
    changed = deepcopy(answer)
    rows = changed.get("candles") or changed.get("markets") if isinstance(changed, dict) else None
    if rows:
        row = choose("row", [rows[-1], choose("any", rows)])
        names = ["close"] if "close" in row else [name for name in PRICES if name in row]
        _set(row, choose("field", names), oddity)
    return changed


def late_state(answer: Json) -> Json:
    """Return orders and escrows as they were before their last change."""
    changed = deepcopy(answer)
    if not isinstance(changed, dict):
        return changed
    for row in (changed, *changed.get("orders", ()), *changed.get("escrows", ())):
        if isinstance(row, dict) and "order_id" in row:
            row.update(EARLIER)
        elif isinstance(row, dict) and "escrow_id" in row:
            row["status"] = "created"
    return changed


def _change_list(rows: list[Json], oddity: Oddity, choose: Choose) -> None:
    number = choose("row", list(range(len(rows))))
    if oddity is Oddity.NULL_ROW:
        rows[number] = None
    elif oddity is Oddity.DUPLICATE:
        rows.insert(number, deepcopy(rows[number]))
    else:
        _change_row(rows[number], oddity, choose)


def _change_balances(balances: Row, oddity: Oddity, choose: Choose) -> None:
    if not balances:
        balances[UNKNOWN] = None
        return
    currency = choose("row", sorted(balances))
    if oddity is Oddity.UNKNOWN_NAME:
        balances[UNKNOWN] = balances.pop(currency)
    elif oddity is Oddity.DUPLICATE:
        balances[UNKNOWN] = {"amount": "1", "usd_value": "n/a"}
    elif oddity in (Oddity.NULL_ROW, Oddity.MISSING):
        balances[currency] = None if oddity is Oddity.NULL_ROW else {}
    else:
        _set(balances[currency], "usd_value", oddity)


def _change_row(row: Row, oddity: Oddity, choose: Choose) -> None:
    if oddity in (Oddity.NULL_ROW, Oddity.DUPLICATE):  # a single object has no other row
        oddity = Oddity.NULL
    names = [name for name in NAMES if name in row]
    numbers = [name for name, value in row.items() if name not in names and _is_number(value)]
    fields = names if oddity is Oddity.UNKNOWN_NAME else numbers
    if fields or names or row:
        _set(row, choose("field", fields or names or sorted(row)), oddity)


def _set(row: Row, name: str, oddity: Oddity) -> None:
    if oddity is Oddity.MISSING:
        row.pop(name, None)
    else:
        row[name] = UNKNOWN if oddity is Oddity.UNKNOWN_NAME else VALUES[oddity]


def _is_number(value: Json) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)
