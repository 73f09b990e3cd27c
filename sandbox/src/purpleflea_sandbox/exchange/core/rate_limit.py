"""A token bucket for each caller. The time is an argument; the only state is the number of tokens.

A bucket starts with the allowance of one minute and refills at a constant rate.
"""

import math
from collections import OrderedDict

MAX_CALLERS = 50_000


class RateLimit:
    """Counts requests per caller and returns the waiting time if the allowance is used up."""

    def __init__(self, per_minute: int) -> None:
        self._capacity = float(per_minute)
        self._per_ms = per_minute / 60_000
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, caller: str, now_ms: int) -> int:
        """Take one token; return 0, or if no token is available the seconds until the next token."""
        tokens, since_ms = self._buckets.pop(caller, (self._capacity, now_ms))
        # If the clock steps back, the bucket must neither drain nor fill.
        elapsed_ms = max(now_ms - since_ms, 0)
        tokens = min(tokens + elapsed_ms * self._per_ms, self._capacity)
        granted = tokens >= 1
        self._remember(caller, tokens - 1 if granted else tokens, now_ms)
        return 0 if granted else math.ceil((1 - tokens) / self._per_ms / 1000)

    def _remember(self, caller: str, tokens: float, now_ms: int) -> None:
        self._buckets[caller] = (tokens, now_ms)
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
