"""An agent with its own loop, and the orders, limits and journal of the project."""

import sys
import time
import uuid
from decimal import Decimal

from purpleflea_agent import Agent, TradingParts, metrics, open_trading, serve
from purpleflea_agent.exchange import ExchangeError, OrderRequest, Side
from purpleflea_agent.journal import JournalError
from purpleflea_agent.paper import PaperExchange, SimulatedPrices
from purpleflea_agent.trading import OrderRefused, OrderUnsettled

SIZE = Decimal("0.01")


async def trade(agent: Agent) -> None:
    """Run until the process is stopped. `serve` reports an error that leaves it, and fails the probes."""
    paper = paper_exchange() if "--paper" in sys.argv else None
    async with open_trading(agent, exchange=paper, is_current=paper is not None) as trading:
        while not agent.is_stopping:
            try:
                await step(trading, agent.settings.markets[0])
            except (ExchangeError, JournalError) as error:
                agent.not_ready = str(error)
            else:
                agent.not_ready = None
                metrics.record_heartbeat()
            await agent.sleep(1)


async def step(trading: TradingParts, market: str) -> None:
    """Buy above the average price, sell below it, and hold one size at most."""
    candles = await trading.exchange.candles(market, interval="15s", limit=50)
    price, average = candles.closes[-1], sum(candles.closes) / len(candles.closes)
    await trading.account.ensure_fresh()
    held = await trading.orders.position_range(market)
    if price > average and held.longest < SIZE:
        await order(trading, market, "buy", SIZE - held.longest, price)
    elif price < average and held.shortest > -SIZE:
        await order(trading, market, "sell", SIZE + held.shortest, price)


async def order(
    trading: TradingParts, market: str, side: Side, size: Decimal, price: Decimal
) -> None:
    """Send one order. Limits, halts and unknown outcomes are the task of the order manager."""
    request = OrderRequest(idempotency_key=str(uuid.uuid4()), market=market, side=side, size=size)
    try:
        await trading.orders.place(request, reference_price=price)
    except OrderRefused:
        pass  # by a limit or the trading mode: counted and logged
    except OrderUnsettled:
        pass  # looked up in the background; until then the market takes no other order


def paper_exchange() -> PaperExchange:
    """Return an exchange in this process, with 10,000 US dollars and simulated prices."""
    prices = SimulatedPrices(seed=1, monotonic=time.monotonic)
    return PaperExchange(prices, deposit_usd=Decimal(10_000), clock=time.time)


if __name__ == "__main__":
    sys.exit(serve(trade))
