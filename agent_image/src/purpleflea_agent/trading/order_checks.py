"""The checks of a new order against the data of the exchange, our own records and the limits of spec.risk.

Limits use the larger of the reported and the journalled position, and count open orders at their full size. The module
sends nothing; order_manager also checks the trading mode.
"""

import time
from collections.abc import Callable, Sequence
from decimal import Decimal

from purpleflea_agent.exchange.port import OrderRequest
from purpleflea_agent.journal.orders import OrderEntry
from purpleflea_agent.trading import exposure, risk
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.exposure import PositionRange
from purpleflea_agent.trading.market_data import ReferencePrices, price_problem
from purpleflea_agent.trading.order_rate import OrderRate
from purpleflea_contract.settings import Risk

ORDER_PENDING, ACCOUNT_DATA = "order_pending", "account_data"
POSITION_MISMATCH, UNKNOWN_MARKET = "position_mismatch", "unknown_market"


class OrderChecks:
    """The checks of one agent. They use the account as it was last read."""

    def __init__(
        self,
        *,
        account: Account,
        limits: Risk,
        rate: OrderRate,
        max_price_jump: Decimal,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._account = account
        self._limits = limits
        self._rate = rate
        self._prices = ReferencePrices(max_jump=max_price_jump, monotonic=monotonic)

    def data_problem(self, request: OrderRequest, reference_price: Decimal) -> str | None:
        """Describe why the price or the size of an order is not usable; None if they are."""
        if not request.size.is_finite() or request.size <= 0:
            return f"the size {request.size} is not a positive number"
        limit_problem = None if request.price is None else price_problem(request.price)
        return limit_problem or self._prices.problem(request.market, reference_price)

    def position_range(self, market: str, unfinished: Sequence[OrderEntry]) -> PositionRange:
        """Return the range of the position in a market, including its open orders."""
        sizes = self._account.possible_sizes(market)
        return exposure.position_range(sizes, exposure.of_market(market, unfinished))

    async def refusal(
        self, request: OrderRequest, reference_price: Decimal, unfinished: Sequence[OrderEntry]
    ) -> str | None:
        """Return why an order is refused, as a value of the contract's tag `reason`; None if it is not."""
        if request.market in self._account.unknown_markets:
            return ACCOUNT_DATA
        if is_pending(request.market, unfinished):
            return ORDER_PENDING
        only_reduces = self._only_reduces(request, unfinished)
        if not only_reduces and request.market not in self._account.markets:
            return UNKNOWN_MARKET
        if not only_reduces and not self._account.portfolio.equity_is_known:
            return ACCOUNT_DATA
        if not only_reduces and request.market in self._account.mismatched_markets:
            return POSITION_MISMATCH
        # The market price matters too: a limit price that is already crossed fills at a better price.
        price = max(request.price or reference_price, reference_price)
        # A resting order that is filled leaves a position at its own price.
        valued_at = max([price, *_limit_prices(request.market, unfinished)])
        position_usd = self._position_usd(request, valued_at, unfinished)
        others_usd = self._others_usd(request.market, unfinished)
        if others_usd is None and not only_reduces and self._limits.max_exposure_usd is not None:
            return ACCOUNT_DATA
        context = risk.OrderContext(
            market=request.market,
            notional_usd=request.size * price,
            position_usd=position_usd,
            exposure_usd=position_usd + (others_usd or 0),
            equity_usd=self._account.portfolio.equity_usd,
            peak_equity_usd=self._account.peak_equity_usd,
            balance_usd=self._account.known_balance_usd,
            # An order that may be filled at any moment counts as a position.
            open_markets=self._account.open_markets | {item.request.market for item in unfinished},
            only_reduces=only_reduces,
            orders_last_minute=await self._rate.last_minute(),
        )
        return risk.refusal(context, self._limits)

    def _position_usd(
        self, request: OrderRequest, price: Decimal, unfinished: Sequence[OrderEntry]
    ) -> Decimal:
        """Return the largest notional value in the direction of an order, once it is filled."""
        sizes = self.position_range(request.market, unfinished)
        return sizes.after(request.side, request.size) * price

    def _others_usd(self, market: str, unfinished: Sequence[OrderEntry]) -> Decimal | None:
        """Return the exposure of all other markets; None if one of them has a size or a price that is not known."""
        markets = self._account.open_markets | {item.request.market for item in unfinished}
        others = markets - {market}
        if others & self._account.unknown_markets:
            return None
        return exposure.total_usd(
            {other: self.position_range(other, unfinished) for other in others},
            {other: self._known_prices(other, unfinished) for other in others},
        )

    def _known_prices(self, market: str, unfinished: Sequence[OrderEntry]) -> list[Decimal]:
        marks = (self._account.mark_price(market), self._prices.last(market))
        known = [price for price in marks if price is not None]
        return known + _limit_prices(market, unfinished)

    def _only_reduces(self, request: OrderRequest, unfinished: Sequence[OrderEntry]) -> bool:
        """Return whether an order shrinks the position even if all resting orders of its side are filled too."""
        held = self._account.safe_close_size(request.market)
        if not held or request.side != ("sell" if held > 0 else "buy"):
            return False
        resting = sum(
            (
                exposure.open_size(item)
                for item in exposure.of_market(request.market, unfinished)
                if item.request.side == request.side
            ),
            Decimal(0),
        )
        return request.size + resting <= abs(held)


def _limit_prices(market: str, unfinished: Sequence[OrderEntry]) -> list[Decimal]:
    prices = (item.request.price for item in exposure.of_market(market, unfinished))
    return [price for price in prices if price is not None]


def is_pending(market: str, unfinished: Sequence[OrderEntry]) -> bool:
    """Return whether the outcome of an order of a market is unknown."""
    return any(item.is_unsettled for item in exposure.of_market(market, unfinished))
