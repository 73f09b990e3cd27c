"""Constants that bound the harm of a faulty exchange. They are not settings: each has a safe value for every agent.

Prices outside of the range, or with a larger jump, are faults of the feed and not of the market. An agent that refuses
a market for a while loses an opportunity; an agent that uses a wrong price sends an order of any worth.
"""

from decimal import Decimal

MIN_PRICE_USD = Decimal("1e-12")
MAX_PRICE_USD = Decimal("1e12")
"""Range of a price. A price outside of it is not used."""
GIVEN_UP_LOOKUP_S = 24 * 3600.0
"""Age up to which an order or escrow that was given up is still looked up. If it appears, the books are corrected."""
GIVEN_UP_INTERVAL_S = 60.0
"""Time between two look-ups of the same order or escrow that was given up."""
PRICE_MEMORY_S = 3600.0
"""Age up to which the price of the last order in a market is compared with the next price."""
