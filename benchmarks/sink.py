"""DogStatsD server as a separate process, so that reading costs the measured process nothing.

    python -m benchmarks.sink

The process prints its port. At the end of its input it prints the received sum and the number of values per metric.
"""

import json
import subprocess
import sys
from collections import defaultdict
from types import TracebackType
from typing import Self

from support.receivers.dogstatsd import DogStatsdSink


class SinkProcess:
    """Runs the server as a child process. Use it as a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sink"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        port = self._process.stdout.readline() if self._process.stdout else ""
        self.port = int(port)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self.received()

    def received(self) -> dict[str, dict[str, float]]:
        """Stop the server. Return the sum and the number of values by metric."""
        output, _ = self._process.communicate(timeout=120)
        received: dict[str, dict[str, float]] = json.loads(output)
        return received


def main() -> None:
    """Serve until the input ends."""
    with DogStatsdSink() as sink:
        print(sink.port, flush=True)
        sys.stdin.read()
        sink.catch_up()
        received: dict[str, dict[str, float]] = defaultdict(lambda: {"sum": 0.0, "values": 0})
        for point in sink.points:
            received[point.name]["sum"] += sum(point.values)
            received[point.name]["values"] += len(point.values)
    print(json.dumps(received))


if __name__ == "__main__":
    main()
