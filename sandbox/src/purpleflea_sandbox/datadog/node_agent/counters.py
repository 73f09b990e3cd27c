"""Counters of the node agent for received, sent and dropped data. The status page contains them.

All counters are in one place, so that every drop is counted.
"""

from collections import Counter
from collections.abc import Mapping


class Counters:
    """Named counters that only increase."""

    def __init__(self) -> None:
        self._values: Counter[str] = Counter()

    def add(self, name: str, amount: int = 1) -> None:
        if amount:
            self._values[name] += amount

    def get(self, name: str) -> int:
        return self._values[name]

    def snapshot(self) -> Mapping[str, int]:
        return dict(sorted(self._values.items()))
