"""Constants that bound the harm of a faulty exchange. They are not settings: each has a safe value for every agent.

Prices outside of the range, or with a larger jump, are faults of the feed and not of the market. An agent that refuses
a market for a while loses an opportunity; an agent that uses a wrong price sends an order of any worth.
"""

from decimal import Decimal

MIN_PRICE_USD = Decimal("1e-12")
MAX_PRICE_USD = Decimal("1e12")
"""Range of a price. A price outside of it is not used."""
MAX_PRICE_JUMP = Decimal(3)
"""Largest factor between two consecutive closing prices, and between two prices of orders in one market."""
PRICE_MEMORY_S = 3600.0
"""Age up to which the price of the last order in a market is compared with the next price."""
