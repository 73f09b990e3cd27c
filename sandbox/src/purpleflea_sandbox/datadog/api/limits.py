"""Rate limits: a number of calls per name and period, counted as Datadog counts them. The caller passes the time.

Datadog does not guarantee these figures and changes them; it has published only the limit for log configurations.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Number of calls that a period allows."""

    calls: int
    period_s: int


USUAL: Mapping[str, Limit] = {
    "read": Limit(calls=1000, period_s=60),
    "write": Limit(calls=300, period_s=60),
    "logs_config_read": Limit(calls=84, period_s=60),
    "logs_config_write": Limit(calls=2, period_s=60),
    "events": Limit(calls=250_000, period_s=60),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitState:
    """State of a rate limit after a call was counted."""

    name: str
    limit: Limit
    remaining: int
    reset_s: int
    exceeded: bool

    @property
    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit.calls),
            "X-RateLimit-Period": str(self.limit.period_s),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_s),
            "X-RateLimit-Name": self.name,
        }


class RateLimits:
    """Rate limit windows, one per name; all keys of an organization share them."""

    def __init__(self, limits: Mapping[str, Limit]) -> None:
        self.limits = dict(limits)
        self._windows: dict[str, tuple[float, int]] = {}

    def count(self, name: str, now: float) -> RateLimitState | None:
        """Count a call. Returns None if the name has no limit."""
        limit = self.limits.get(name)
        if limit is None:
            return None
        start, calls = self._windows.get(name, (now, 0))
        if now - start >= limit.period_s:
            start, calls = now, 0
        exceeded = calls >= limit.calls
        calls += not exceeded
        self._windows[name] = (start, calls)
        return RateLimitState(
            name=name,
            limit=limit,
            remaining=limit.calls - calls,
            reset_s=max(1, math.ceil(start + limit.period_s - now)),
            exceeded=exceeded,
        )
