"""A custom agent. It sends no orders, but it is run, halted, observed and stopped like any other agent."""

import sys

from purpleflea_contract import spans
from purpleflea_sdk import Agent, logs, metrics, serve, tracing


async def trade(agent: Agent) -> None:
    market = agent.settings.markets[0]
    while not agent.is_stopping:
        with tracing.span(spans.SIGNAL_COMPUTE, market=market, price_count=1) as span:
            span.set(signal_value=0.01)
            logs.log_signal_generated(market, 0.01, "custom")
        if agent.may_trade:
            logs.get_logger("custom").info("An order would be sent here")
        metrics.record_heartbeat()
        await agent.sleep(1)


if __name__ == "__main__":
    sys.exit(serve(trade))
