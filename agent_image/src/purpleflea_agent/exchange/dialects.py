"""The dialects of the Purple Flea services: the value of `spec.api.dialect` -> the adapter of the port.

A new dialect is a folder with an adapter, an entry here, and a value of `Api.dialect` in the contract.
"""

from collections.abc import Mapping

from purpleflea_agent.exchange.seed import SeedExchange

DIALECTS: Mapping[str, type[SeedExchange]] = {"Seed": SeedExchange}
