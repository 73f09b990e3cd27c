"""A DogStatsD server as a process of its own, so that reading costs the measured process nothing.

    python -m benchmarks.sink

It prints its port; the end of its input makes it print what it heard: the sum and the number of values by metric.
"""

import json
import subprocess
import sys
from collections import defaultdict
from types import TracebackType
from typing import Self

from support.receivers.dogstatsd import DogStatsdSink


class SinkProcess:
    """The running server, seen from outside. Use it as a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sink"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        announced = self._process.stdout.readline() if self._process.stdout else ""
        self.port = int(announced)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self.heard()

    def heard(self) -> dict[str, dict[str, float]]:
        """End it; sum and number of values by metric."""
        told, _ = self._process.communicate(timeout=120)
        heard: dict[str, dict[str, float]] = json.loads(told)
        return heard


def main() -> None:
    """Serve until the input ends."""
    with DogStatsdSink() as sink:
        print(sink.port, flush=True)
        sys.stdin.read()
        sink.catch_up()
        heard: dict[str, dict[str, float]] = defaultdict(lambda: {"sum": 0.0, "values": 0})
        for point in sink.points:
            heard[point.name]["sum"] += sum(point.values)
            heard[point.name]["values"] += len(point.values)
    print(json.dumps(heard))


if __name__ == "__main__":
    main()
