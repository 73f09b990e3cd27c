"""Settings with which a paper run could never trade, or that are misspelled: found before the run, with their field.

The API server refuses the same values in a resource (rules of the CRD). Pure.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from purpleflea_contract import quantities
from purpleflea_contract.settings import Settings

OF_THE_OPERATOR = frozenset({"replicas", "image", "datadog", "storage", "pod", "network"})
"""Fields of spec that an agent does not read, so that the spec of a resource can be used as it is."""
OF_THE_OPERATOR_IN = {
    "api": frozenset({"keySecretRef", "tokenSecretRef", "allowInsecureEndpoints"}),
    "trading": frozenset({"mode"}),
}
RANGES = {
    "interval": (timedelta(seconds=1), timedelta(hours=1), "between 1s and 1h, such as 15s"),
    "unknown_order_window": (timedelta(minutes=1), timedelta(hours=12), "between 1m and 12h"),
    "max_candle_age": (timedelta(seconds=10), timedelta(hours=24), "between 10s and 24h"),
}


def unknown_field(document: Mapping[str, Any]) -> str | None:
    """Describe a field that a resource does not have; None if there is none."""
    for path, known, name in _unknown(document):
        return f"{path}{name}: there is no such field: use one of {', '.join(sorted(known))}"
    mode = document.get("trading")
    if isinstance(mode, Mapping) and mode.get("mode", "Active") != "Active":
        return "trading.mode: a paper run is always Active: leave the field out"
    return None


def _unknown(document: Mapping[str, Any]) -> Iterator[tuple[str, set[str], str]]:
    known = _names(Settings)
    yield from (("", known, name) for name in document if name not in known | OF_THE_OPERATOR)
    for group, model in _groups():
        content = document.get(group)
        fields = _names(model)
        allowed = fields | OF_THE_OPERATOR_IN.get(group, frozenset())
        if isinstance(content, Mapping):
            yield from ((f"{group}.", fields, name) for name in content if name not in allowed)


def _groups() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, field.annotation


def _names(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def problem(settings: Settings, *, deposit_usd: Decimal) -> str | None:
    """Describe a value with which no order is ever sent, or that a resource cannot have; None if there is none."""
    trading, risk = settings.trading, settings.risk
    if len(set(settings.markets)) < len(settings.markets):
        return "markets: a market is given twice: name each market once"
    for name, (least, most, remedy) in RANGES.items():
        given = getattr(trading, name)
        if not least <= quantities.duration(given) <= most:
            alias = type(trading).model_fields[name].alias
            return f"trading.{alias}: {given!r} is out of range: write a duration {remedy}"
    if quantities.decimal(trading.max_price_jump) <= 1:
        return (
            "trading.maxPriceJump: no price could be used: set a factor greater than 1, such as 3"
        )
    if not quantities.decimal(trading.order_size):
        return "trading.orderSize: no order could be sent: set a size greater than 0, such as 0.01"
    for field, limit in (
        ("maxOrderUsd", risk.max_order_usd),
        ("maxPositionUsd", risk.max_position_usd),
        ("maxExposureUsd", risk.max_exposure_usd),
    ):
        if limit is not None and not quantities.decimal(limit):
            return (
                f"risk.{field}: 0 refuses every order: set an amount greater than 0, such as 1000"
            )
    if deposit_usd < quantities.decimal(risk.min_balance_usd):
        return (
            f"risk.minBalanceUsd: {risk.min_balance_usd} is above the deposit of {deposit_usd}, so every order would"
            " be refused: lower it, or raise --deposit-usd"
        )
    return None
