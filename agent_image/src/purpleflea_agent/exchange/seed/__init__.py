"""The Seed dialect: the HTTP contract of the published integration page, as an adapter of the port."""

from purpleflea_agent.exchange.seed.client import SeedExchange

__all__ = ["SeedExchange"]
