"""Time format of the exchange: milliseconds since 1970 (UTC) as an integer, and its text form.

This is the only module that reads the wall clock; all others receive a Clock.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], int]


def wall_ms() -> int:
    """Return the current time in milliseconds."""
    return time.time_ns() // 1_000_000


def iso(at_ms: int) -> str:
    """Format as ISO 8601 with milliseconds, such as 2026-01-31T12:00:00.250Z."""
    text = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
