"""Differences between the positions that the exchange reports and our own fills, and when the report is accepted.

Right after a fill, a report may lack it, and a report may contain a fill of an open order before its answer. A
difference beyond that, or one that lasts, is a mismatch: the market must not grow until both agree again.

A report that equals an earlier one is only old: it may lack our last fills. Any other difference is a trade of
another client, or an even older report. It is accepted once it has not changed for TRUST_AFTER_S. Closing a position
twice would open a new position, so until then the smaller of both sizes is closed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from purpleflea_agent.journal.positions import TrackedPosition
from purpleflea_agent.trading.exposure import PositionRange
from purpleflea_agent.trading.missing_orders import ABANDON_AFTER_LOOKUPS

TRUST_AFTER_S = 30.0
"""Time without a change after which a report is trusted: five times the longest request."""

MISMATCH_REPORTS = 2
"""Reports in a row that a fill in flight does not explain, from which they are a mismatch. One may be out of order."""


@dataclass(slots=True, kw_only=True)
class _Difference:
    since: float
    unexplained_count: int = 0


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
        self._differences: dict[str, _Difference] = {}

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

    def is_mismatch(
        self,
        market: str,
        *,
        reported: Decimal,
        tracked: TrackedPosition,
        open_orders: PositionRange,
    ) -> bool:
        """Count one more report; return whether it differs from our own fills beyond fills in flight.

        `open_orders` has the sizes that the open orders of the market may still add.
        """
        if reported == tracked.size:
            self._differences.pop(market, None)
            return False
        now = self._monotonic()
        difference = self._differences.setdefault(market, _Difference(since=now))
        least = min(tracked.size, tracked.reported) + open_orders.shortest
        most = max(tracked.size, tracked.reported) + open_orders.longest
        is_explained = least <= reported <= most
        difference.unexplained_count = 0 if is_explained else difference.unexplained_count + 1
        lasts = now - difference.since > TRUST_AFTER_S
        return lasts or difference.unexplained_count >= MISMATCH_REPORTS


def safe_close_size(reported: Decimal, tracked: Decimal) -> Decimal:
    """Return the signed size that can be closed: the part that both the exchange and our own fills contain."""
    if reported * tracked <= 0:
        return Decimal(0)
    return min(reported, tracked, key=abs)
