"""settings.json: what the operator tells the agent to do, in the words of the custom resource.

The operator's resource model extends these classes, so that a field has one name, one bound and one description from
the manifest to the agent. A change of settings restarts the agents; the trading mode is not here: see control.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from purpleflea_contract.quantities import DecimalString, Duration

Market = Annotated[str, Field(pattern="^[A-Z0-9]{1,12}-[A-Z0-9]{1,12}$", max_length=25)]
Url = Annotated[str, Field(pattern="^https?://[^/?# @]+(/[^?# @]*)?$", max_length=253)]


class SpecModel(BaseModel):
    """Base of everything users write: camelCase, immutable, documented by the strings under the fields."""

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


class Api(SpecModel):
    """The Purple Flea services that the agents talk to."""

    dialect: Literal["Seed"] = "Seed"
    """The HTTP contract that the services speak. Seed is the contract of the published integration page."""
    endpoints: Endpoints = Endpoints()
    """Base URLs of the services."""


class Trading(SpecModel):
    """How the agents trade."""

    interval: Duration = "15s"
    """Time between two looks at the markets, such as 15s (1s to 1h)."""
    order_size: DecimalString = "0.01"
    """Size of one order in units of the market's base currency, as a decimal string."""
    signal_threshold: DecimalString = "0.001"
    """Strength of the signal from which on an order is sent, as a fraction (0.001 is 0.1 percent)."""
    model_version: Annotated[str, Field(pattern="^[a-zA-Z0-9._-]+$", max_length=63)] = "v1"
    """Version of the signal model; becomes the tag model_version."""
    flatten_on_stop: bool = False
    """Whether an agent that stops (mode Stopped, or the end of its pod, also in a rolling update) first cancels its
    resting orders and closes its positions at market price, within half of the pod's grace period. A Halted agent
    never does."""


class Risk(SpecModel):
    """Limits past which an agent refuses to send an order. Each is checked before every order."""

    max_drawdown_pct: Annotated[int, Field(ge=1, le=100)] = 20
    """Largest fall of the equity from its peak, in percent, before new orders are refused (1 to 100)."""
    min_balance_usd: DecimalString = "0"
    """Wallet balance in US dollars below which no order is sent."""
    max_order_usd: DecimalString = "1000"
    """Largest notional value of one order in US dollars."""
    max_open_positions: Annotated[int, Field(ge=1, le=100)] = 10
    """Most positions that may be open at once (1 to 100)."""
    max_orders_per_minute: Annotated[int, Field(ge=1, le=600)] = 60
    """Most orders in any 60 seconds (1 to 600)."""


class Faucet(SpecModel):
    """When the agents claim from the faucet."""

    auto_claim: bool = True
    """Whether an agent claims when its balance is low, at most once per window of the faucet."""
    below_usd: DecimalString = "50"
    """Wallet balance in US dollars below which an agent claims."""


class Settings(SpecModel):
    """The whole of settings.json."""

    strategy: Annotated[str, Field(pattern="^[a-z]([a-z0-9_-]*[a-z0-9])?$", max_length=63)]
    """Name of the trading strategy, built in or registered by an entry point of the image."""
    markets: Annotated[tuple[Market, ...], Field(min_length=1, max_length=32)]
    """Markets to trade, such as BTC-USD (1 to 32, no duplicates)."""
    api: Api = Api()
    """The Purple Flea services."""
    trading: Trading = Trading()
    """How to trade."""
    risk: Risk = Risk()
    """Limits past which no order is sent."""
    faucet: Faucet = Faucet()
    """When to claim from the faucet."""
