"""Times at which the last orders were recorded, by the monotonic clock, so that a new process counts them.

The wall clock may be any, because Linux has one monotonic clock for all processes since the boot of the node. The times
are a value by name in an existing table, so an older version of the agent can open the file. The store owns the open
file and its transactions.
"""

import json
from pathlib import Path

from purpleflea_agent.journal.key_values import KeyValueTable

NAME = "order_times"
SEND_DELAY_S = 15.0
"""Time by which an order may leave later than its record was made: a slow disk, and the connection to the exchange."""
WINDOW_S = 60.0 + SEND_DELAY_S
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str | None:
    """Return the identity of the boot of this node; None if the system has none."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


class OrderTimes:
    """The times of the orders in the window."""

    def __init__(self, key_values: KeyValueTable) -> None:
        self._key_values = key_values
        self._boot = boot_id()

    def add(self, now: float, *, earlier: int = 0) -> None:
        """Record an order at a time of the monotonic clock.

        `earlier` is the number of orders in the window by the wall clock. It counts if no order of this boot is
        known, because a second restart would otherwise lose those of the former boot.
        """
        if self._boot is not None:
            known = self._times(now)
            times = [*([now] * earlier if known is None else known), now]
            self._key_values.set(NAME, json.dumps({"boot": self._boot, "times": times}))

    def ages(self, now: float) -> list[float] | None:
        """Return the ages of the orders in the window, oldest first; None if the last order is of another boot."""
        times = self._times(now)
        return None if times is None else [now - time for time in times]

    def _times(self, now: float) -> list[float] | None:
        value = self._key_values.get(NAME)
        if value is None or self._boot is None:
            return None
        known = json.loads(value)
        if known["boot"] != self._boot:
            return None
        return [time for time in known["times"] if now - WINDOW_S < time <= now]
