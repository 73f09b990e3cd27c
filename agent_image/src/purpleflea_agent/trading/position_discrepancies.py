"""Differences between the positions that the exchange reports and our own fills, and when the report is accepted.

A report that equals an earlier one is only old: it may lack our last fills. Any other difference is a trade of
another client, or an even older report. It is accepted once it has not changed for TRUST_AFTER_S. Closing a position
twice would open a new position, so until then the smaller of both sizes is closed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from purpleflea_agent.journal.positions import TrackedPosition
from purpleflea_agent.trading.missing_orders import ABANDON_AFTER_LOOKUPS

TRUST_AFTER_S = 30.0
"""Time without a change after which a report is trusted: five times the longest request."""


@dataclass(slots=True, kw_only=True)
class _Discrepancy:
    difference: Decimal
    since: float
    report_count: int = 0


class PositionDiscrepancies:
    """The markets in which the exchange and our own fills differ, and for how long."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._discrepancies: dict[str, _Discrepancy] = {}

    def exchange_is_trusted(
        self, market: str, *, reported: Decimal, tracked: TrackedPosition
    ) -> bool:
        """Count one more report; return whether it replaces the size by our own fills."""
        if reported == tracked.size:
            self._discrepancies.pop(market, None)
            return False
        if reported == tracked.reported:
            return False
        now, difference = self._monotonic(), reported - tracked.size
        discrepancy = self._discrepancies.get(market)
        if discrepancy is None or discrepancy.difference != difference:
            discrepancy = _Discrepancy(difference=difference, since=now)
            self._discrepancies[market] = discrepancy
        discrepancy.report_count += 1
        is_old = now - discrepancy.since > TRUST_AFTER_S
        return discrepancy.report_count >= ABANDON_AFTER_LOOKUPS and is_old


def safe_close_size(reported: Decimal, tracked: Decimal) -> Decimal:
    """Return the signed size that can be closed: the part that both the exchange and our own fills contain."""
    if reported * tracked <= 0:
        return Decimal(0)
    return min(reported, tracked, key=abs)
