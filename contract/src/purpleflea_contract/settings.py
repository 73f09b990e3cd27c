"""settings.json: the settings of the agent, with the field names of the custom resource.

The resource model of the operator extends these classes, so a field has the same name, bounds and description in the
manifest and in the agent. A change of settings restarts the agents. The trading mode is in control.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from purpleflea_contract.quantities import DecimalString, Duration

Market = Annotated[str, Field(pattern="^[A-Z0-9]{1,12}-[A-Z0-9]{1,12}$", max_length=25)]
Counterparty = Annotated[str, Field(pattern="^[A-Za-z0-9._:-]+$", max_length=128)]
UtcTime = Annotated[
    str,
    Field(
        pattern="^20[0-9]{2}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z$",
        max_length=20,
    ),
]
"""A time whose alphabetical sequence is the sequence in time."""
Url = Annotated[str, Field(pattern="^https?://[^/?# @]+(/[^?# @]*)?$", max_length=253)]


class SpecModel(BaseModel):
    """Base class of all user input: camelCase, immutable, documented by the strings under the fields."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )


class Endpoints(SpecModel):
    """Base URLs of the Purple Flea services."""

    trading: Url = "https://trading.purpleflea.com"
    """Base URL of the trading service (orders, positions, market data)."""
    wallet: Url = "https://wallet.purpleflea.com"
    """Base URL of the wallet service (balances)."""
    escrow: Url = "https://escrow.purpleflea.com"
    """Base URL of the escrow service."""
    faucet: Url = "https://faucet.purpleflea.com"
    """Base URL of the faucet service."""


class ApiSettings(SpecModel):
    """The Purple Flea services that the agents use."""

    dialect: Literal["Seed"] = "Seed"
    """HTTP contract of the services. Seed is the contract of the published integration page."""
    endpoints: Endpoints = Endpoints()
    """Base URLs of the services."""
    status_access: Literal["Token", "Network"] = "Token"
    """Requests for /v1/status that get positions, balances and orders (default Token). Token: those with the bearer
    token of tokenSecretRef; without tokenSecretRef, those from the pod itself, such as through kubectl port-forward.
    Network: every request that the NetworkPolicy admits. Datadog's check has no token, so the default is Network if
    spec.datadog.check is enabled. Any other request gets the mode and the telemetry counters."""


class TradingSettings(SpecModel):
    """Trading of the agents."""

    interval: Duration = "15s"
    """Time between two reads of the markets, such as 15s (1s to 1h, default 15s)."""
    order_size: DecimalString = "0.01"
    """Size of one order in units of the market's base currency, as a decimal string (default 0.01)."""
    signal_threshold: DecimalString = "0.001"
    """Smallest strength of the signal for an order, as a fraction (0.001 is 0.1 percent, default 0.001)."""
    model_version: Annotated[str, Field(pattern="^[a-zA-Z0-9._-]+$", max_length=63)] = "v1"
    """Version of the signal model, sent as the tag model_version (default v1)."""
    flatten_on_stop: bool = False
    """If true, an agent that stops first cancels its resting orders and closes its positions at market price, within
    half of the grace period of the pod (default false). It stops in mode Stopped, and when its pod ends, also in a
    rolling update. A Halted agent closes no positions."""
    resting_orders: Literal["Cancel", "Keep"] = "Cancel"
    """Treatment of resting orders in the modes Halted and Stopped: Cancel or Keep (default Cancel). An order that is
    kept may be filled while the agent is halted, and the agent reports it as open. Closing positions cancels resting
    orders in any case."""
    unknown_order_window: Duration = "5m"
    """Time for which an agent looks up an order or escrow without a usable answer before it gives it up, such as 5m (1m
    to 12h, default 5m). Meanwhile the market of the order takes no other order. An order that was given up is still
    looked up for a day, and if it appears the books are corrected."""
    max_price_jump: DecimalString = "3"
    """Largest factor between two consecutive prices of a market, greater than 1 (default 3). A larger jump counts as a
    fault of the price feed, and the market takes no order."""
    max_candle_age: Duration = "5m"
    """Largest time between the end of the newest candle of a market and the clock of the agent, such as 5m (10s to 24h,
    default 5m). Older prices are not used, and the market takes no order."""
    on_full_position: Literal["Hold", "TakeProfit"] = "Hold"
    """Reaction to a signal that persists when the position has its full size of four orders: Hold sends no order,
    TakeProfit closes one order size (default Hold). With TakeProfit, a persisting signal then buys it back, and each
    such round trip costs two fees."""


class Risk(SpecModel):
    """Limits beyond which an agent refuses to send an order. Each limit is checked before every order."""

    max_drawdown_pct: Annotated[int, Field(ge=1, le=100)] = 20
    """Largest fall of the equity from its peak, in percent, before new orders are refused (1 to 100, default 20)."""
    peak_reset_at: UtcTime | None = None
    """Time of a request to forget the peak of the equity, in UTC, such as 2026-01-31T12:00:00Z. The next equity becomes
    the new peak. Each agent carries the request out once, and logs the former peak; a later time is a new request."""
    min_balance_usd: DecimalString = "0"
    """Wallet balance in US dollars below which no order is sent (default 0)."""
    max_order_usd: DecimalString = "1000"
    """Largest notional value of one order in US dollars (default 1000)."""
    max_open_positions: Annotated[int, Field(ge=1, le=100)] = 10
    """Largest number of positions that may be open at the same time (1 to 100, default 10)."""
    max_orders_per_minute: Annotated[int, Field(ge=1, le=600)] = 60
    """Largest number of orders in any 60 seconds (1 to 600, default 60)."""
    max_position_usd: DecimalString | None = None
    """Largest notional value of the position in one market in US dollars. If it is not set, it is ten times
    maxOrderUsd. It applies to the position that would result if all open orders were filled. Orders that only shrink a
    position pass."""
    max_exposure_usd: DecimalString | None = None
    """Largest sum of the notional values of the positions in all markets in US dollars, long and short added. If it is
    not set, only maxPositionUsd and maxOpenPositions limit the sum. It counts open orders as maxPositionUsd does."""
    max_escrow_usd: DecimalString = "1000"
    """Largest sum of the open escrows and of a new escrow in US dollars (default 1000). Escrows of unknown outcome
    count as open."""
    counterparties: Annotated[tuple[Counterparty, ...], Field(max_length=64)] = ()
    """Counterparties to which escrows may be opened and released (at most 64). Empty allows any."""


class Faucet(SpecModel):
    """Faucet claims of the agents."""

    auto_claim: bool = True
    """If true, an agent claims if its balance is low, at most once per window of the faucet (default true)."""
    below_usd: DecimalString = "50"
    """Wallet balance in US dollars below which an agent claims (default 50)."""


class Settings(SpecModel):
    """The content of settings.json."""

    strategy: Annotated[str, Field(pattern="^[a-z]([a-z0-9_-]*[a-z0-9])?$", max_length=63)]
    """Name of the trading strategy, built in or registered by an entry point of the image."""
    markets: Annotated[tuple[Market, ...], Field(min_length=1, max_length=32)]
    """Markets to trade, such as BTC-USD (1 to 32, no duplicates)."""
    api: ApiSettings = ApiSettings()
    """The Purple Flea services."""
    trading: TradingSettings = TradingSettings()
    """Trading of the agents."""
    risk: Risk = Risk()
    """Limits beyond which no order is sent."""
    faucet: Faucet = Faucet()
    """Faucet claims."""
