"""Orders and escrows of unknown outcome that the exchange does not show, and when they are abandoned.

One "not found" proves nothing, because a read may be stale and a wall clock may step. The state is in memory only:
after a restart the wait starts again, and meanwhile the market of an order accepts no other order.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from purpleflea_agent.trading.safety_limits import GIVEN_UP_INTERVAL_S
from purpleflea_contract import quantities
from purpleflea_contract.settings import TradingSettings

ABANDON_AFTER_S = quantities.duration(TradingSettings().unknown_order_window).total_seconds()
"""Default of the age from which a missing order counts as never received. Until then its market takes no other order,
because an exchange under load may show and fill an order minutes later. Later it is looked up rarely; see
LateLookups."""
ABANDON_AFTER_LOOKUPS = 3


@dataclass(slots=True, kw_only=True)
class _MissingOrder:
    since: float
    not_found_count: int = 0


class MissingOrderTracker:
    """Counts how often, and for how long, the exchange has not shown each order."""

    def __init__(
        self,
        *,
        abandon_after_s: float = ABANDON_AFTER_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._abandon_after_s = abandon_after_s
        self._monotonic = monotonic
        self._missing: dict[str, _MissingOrder] = {}

    def track(self, idempotency_key: str) -> None:
        """Start the wait for an order that this process sent and that was not answered."""
        self._missing[idempotency_key] = _MissingOrder(since=self._monotonic())

    def is_abandoned(self, idempotency_key: str) -> bool:
        """Count one more "not found" and return whether there were enough of them for long enough.

        The wait of an order that an earlier process sent starts at the first look-up. Its age by the wall clock proves
        nothing, because that clock may have stepped since.
        """
        now = self._monotonic()
        missing = self._missing.setdefault(idempotency_key, _MissingOrder(since=now))
        missing.not_found_count += 1
        is_old = now - missing.since > self._abandon_after_s
        return is_old and missing.not_found_count >= ABANDON_AFTER_LOOKUPS

    def resolve(self, idempotency_key: str) -> None:
        """Remove an order whose outcome is known."""
        self._missing.pop(idempotency_key, None)


class LateLookups:
    """The look-ups of orders and escrows that were given up: rare, a few per call, those waiting longest first."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last: dict[str, float] = {}

    def due(self, idempotency_keys: Collection[str], *, limit: int) -> list[str]:
        """Return the keys whose look-up is due, and count it as done even if it fails."""
        now = self._monotonic()
        self._last = {key: self._last.get(key, float("-inf")) for key in idempotency_keys}
        due = sorted(
            (key for key, at in self._last.items() if now - at >= GIVEN_UP_INTERVAL_S),
            key=self._last.__getitem__,
        )[:limit]
        self._last |= dict.fromkeys(due, now)
        return due
