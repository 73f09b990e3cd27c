"""Ring buffer for the newest points of a series, 16 bytes each, because a fleet has thousands of series with hundreds
of points.
"""

from array import array
from collections.abc import Iterator

Point = tuple[int, float]

_DISORDER_S = 120
"""Points arrive nearly sorted by time. If a point is older than the wanted time by this much, a search stops."""


class Ring:
    """Points in the sequence they were added. If the buffer is full, the oldest point is overwritten."""

    __slots__ = ("_next", "_size", "_times", "_values")

    def __init__(self, size: int) -> None:
        self._size = size
        self._next = 0
        self._times = array("q")
        self._values = array("d")

    def __len__(self) -> int:
        return len(self._times)

    def __iter__(self) -> Iterator[Point]:
        start = self._next if len(self) == self._size else 0
        for offset in range(len(self)):
            index = (start + offset) % self._size
            yield self._times[index], self._values[index]

    def since(self, timestamp: float) -> list[Point]:
        """Return the points from a time on, oldest first. The cost depends on the number of returned points, not of
        stored points.
        """
        points: list[Point] = []
        for back in range(1, len(self) + 1):
            index = (self._next - back) % self._size
            if self._times[index] < timestamp - _DISORDER_S:
                break
            if self._times[index] >= timestamp:
                points.append((self._times[index], self._values[index]))
        return points[::-1]

    def last(self) -> Point | None:
        """Return the newest point, or None if there is none."""
        if not len(self):
            return None
        index = (self._next - 1) % self._size
        return self._times[index], self._values[index]

    def add(self, timestamp: int, value: float) -> None:
        if len(self) < self._size:
            self._times.append(timestamp)
            self._values.append(value)
        else:
            self._times[self._next] = timestamp
            self._values[self._next] = value
        self._next = (self._next + 1) % self._size

    def replace_last(self, value: float) -> None:
        """Replace the value of the newest point."""
        self._values[(self._next - 1) % self._size] = value
