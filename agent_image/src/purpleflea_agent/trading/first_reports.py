"""The first reports about positions to an agent with an empty journal, and when they are adopted.

A new pod without a volume has no record of its fills. A report that is some seconds old may then show a position that
the former pod has closed, and closing it again would open another position. So reports must agree over an interval.
"""

import logging
import time
from collections.abc import Callable, Mapping
from decimal import Decimal

from purpleflea_agent.exchange.port import Portfolio
from purpleflea_agent.trading.position_discrepancies import TRUST_AFTER_S

EMPTY_FOR_S = 1.0
"""Interval over which an account must stay without positions. It is short, because it delays every new agent. If the
reports are older than that, the limits of spec.risk bound the harm."""

logger = logging.getLogger("purpleflea.account")


class FirstReports:
    """Compares the first reports."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._sizes: Mapping[str, Decimal] | None = None
        self._since = 0.0

    def agree(self, portfolio: Portfolio) -> bool:
        """Count one more report; return whether the reports have agreed for long enough.

        A report of which a part cannot be read starts the interval again.
        """
        if portfolio.unreadable or portfolio.has_nameless_rows:
            self._sizes = None
            return False
        sizes = {market: portfolio.size_of(market) for market in portfolio.reported_markets}
        sizes = {market: size for market, size in sizes.items() if size}
        now = self._monotonic()
        if sizes != self._sizes:
            self._sizes, self._since = sizes, now
            if sizes:
                logger.warning(
                    "The journal is empty; waiting until the reported positions are confirmed",
                    extra={"markets": ", ".join(sorted(sizes)), "wait_s": TRUST_AFTER_S},
                )
            return False
        return now - self._since >= (TRUST_AFTER_S if sizes else EMPTY_FOR_S)
