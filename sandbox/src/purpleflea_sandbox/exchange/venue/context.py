"""Context of all venue operations: storage, clock and terms in one value.

snapshot() returns a second context whose data and clock do not change, for stale reads.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from purpleflea_sandbox.exchange.core import prices
from purpleflea_sandbox.exchange.core.margin import Holdings
from purpleflea_sandbox.exchange.core.markets import MARKETS, Market
from purpleflea_sandbox.exchange.core.price_gaps import PriceGaps
from purpleflea_sandbox.exchange.errors import NotFoundError
from purpleflea_sandbox.exchange.storage import accounts
from purpleflea_sandbox.exchange.storage.accounts import Account
from purpleflea_sandbox.exchange.storage.database import Database
from purpleflea_sandbox.exchange.times import Clock, wall_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Terms of the exchange that a deployment can configure."""

    seed: int = 7
    start_balance_usd: Decimal = Decimal(10_000)
    faucet_amount_usd: Decimal = Decimal(100)
    faucet_window_s: int = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueContext:
    database: Database
    clock: Clock = wall_ms
    terms: Terms = field(default_factory=Terms)
    gaps: PriceGaps = field(default_factory=PriceGaps)

    def price(self, market: Market) -> Decimal:
        return self.price_at(market, self.clock())

    def price_at(self, market: Market, at_ms: int) -> Decimal:
        """Return the price at another time, with the gap that applied then if it is the latest one."""
        return self.gaps.applied(market, prices.price_at(self.terms.seed, market, at_ms), at_ms)

    def marks(self) -> Mapping[str, Decimal]:
        return {name: self.price(market) for name, market in MARKETS.items()}

    def holdings(self, account: Account) -> Holdings:
        """Return the account's holdings at current prices."""
        held = accounts.positions(self.database, account.account_id)
        return Holdings(cash_usd=account.cash_usd, positions=held, marks=self.marks())

    def snapshot(self) -> "VenueContext":
        """Return a copy in memory whose clock does not advance."""
        now_ms = self.clock()
        return replace(
            self,
            database=self.database.snapshot(),
            clock=lambda: now_ms,
            gaps=self.gaps.copy(),
        )


def market_named(name: str) -> Market:
    market = MARKETS.get(name)
    if market is None:
        raise NotFoundError(
            "unknown_market", f"unknown market; available markets: {', '.join(MARKETS)}"
        )
    return market


def fresh_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(10)}"
