"""Time as the exchange counts it: whole milliseconds since 1970, UTC, and its text form.

The only module that reads the wall clock; everything else is given a Clock.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], int]


def wall_ms() -> int:
    """The present moment."""
    return time.time_ns() // 1_000_000


def iso(at_ms: int) -> str:
    """ISO 8601 with milliseconds, such as 2026-01-31T12:00:00.250Z."""
    text = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
