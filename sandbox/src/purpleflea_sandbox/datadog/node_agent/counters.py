"""Counters of the node agent: what was received, sent, dropped. The status page prints them.

One place, so that nothing is dropped without a number.
"""

from collections import Counter
from collections.abc import Mapping


class Counters:
    """Named numbers that only grow."""

    def __init__(self) -> None:
        self._values: Counter[str] = Counter()

    def add(self, name: str, amount: int = 1) -> None:
        if amount:
            self._values[name] += amount

    def get(self, name: str) -> int:
        return self._values[name]

    def snapshot(self) -> Mapping[str, int]:
        return dict(sorted(self._values.items()))
