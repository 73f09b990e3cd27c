"""The agent on one machine, with paper money: against a simulated market, or against recorded candles.

Order manager, sizing, limits, journal and trading loop are those of production. Only the exchange behind the port and,
in a replay, the clock are different. Nothing in production imports this package.
PaperExchange and SimulatedPrices are public, for agents with their own loop: see docs/own-trading-agent.md.
"""

from purpleflea_agent.paper.exchange import PaperExchange
from purpleflea_agent.paper.prices import SimulatedPrices

__all__ = ["PaperExchange", "SimulatedPrices"]
