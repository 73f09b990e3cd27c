"""Processes of an operator: the project's operator as in its image, and the baseline in Go."""

import asyncio
import math
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from benchmarks import process
from benchmarks.scale.figures import histogram_quantile
from benchmarks.scale.plane import OPERATOR, SYSTEM, Plane

AS_IN_THE_IMAGE = """
import sys
sys.modules["kubernetes"] = None  # kopf imports it if it is installed; the image does not have it
from purpleflea_operator.__main__ import main
sys.exit(main())
"""
LAG = re.compile(
    r'^purpleflea_operator_event_loop_(own_)?lag_seconds_bucket\{le="([^"]+)"\} (\S+)$',
    re.MULTILINE,
)
READY_LIMIT_S = 300.0
STOP_LIMIT_S = 40.0


class LagBuckets(NamedTuple):
    """Cumulative histograms of the event-loop lag by upper bound in seconds, and of the part in which the loop ran."""

    whole: dict[float, float]
    own: dict[float, float]

    def p99_since(self, before: "LagBuckets") -> tuple[float | None, float | None]:
        """Return the 99th percentiles of both in seconds since an earlier scrape, or None without a sample."""
        return _p99(self.whole, before.whole), _p99(self.own, before.own)


def _p99(buckets: dict[float, float], before: dict[float, float]) -> float | None:
    observed = {bound: count - before.get(bound, 0.0) for bound, count in buckets.items()}
    return histogram_quantile(observed, 0.99) if any(observed.values()) else None


class OperatorExitedError(Exception):
    """The process of an operator ended by itself. The text has its exit code and the end of its log."""


class Operator:
    """One replica of an operator."""

    def __init__(self, plane: Plane, command: list[str], environment: dict[str, str]) -> None:
        self.port = free_port()
        self._log = plane.folder / f"operator-{self.port}.log"
        settings = {
            "KUBECONFIG": str(plane.kubeconfig(OPERATOR)),
            "PURPLEFLEA_OPERATOR_HEALTH_PORT": str(self.port),
            **environment,
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, **settings}, stdout=log, stderr=log
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    async def wait_until_ready(self) -> None:
        """Wait until /readyz succeeds.

        Raises:
            OperatorExitedError: The process exited.
            TimeoutError: It is not ready after the limit.
        """
        async with asyncio.timeout(READY_LIMIT_S):
            while not await asyncio.to_thread(self._get, "/readyz"):
                self.check()
                await asyncio.sleep(0.1)

    def check(self) -> None:
        """Raise OperatorExitedError if the process exited."""
        if self._process.poll() is not None:
            tail = self._log.read_text(errors="replace")[-2000:]
            raise OperatorExitedError(
                f"the operator exited with {self._process.returncode}: {tail}"
            )

    async def lag_buckets(self) -> LagBuckets:
        """Return the cumulative histograms of the event-loop lag; empty if the operator has none."""
        text = await asyncio.to_thread(self._get, "/metrics")
        buckets = LagBuckets({}, {})
        for own, bound, count in LAG.findall(text):
            histogram = buckets.own if own else buckets.whole
            histogram[math.inf if bound == "+Inf" else float(bound)] = float(count)
        return buckets

    def cpu_s(self) -> float:
        """Return the CPU seconds of the process."""
        return process.cpu_s(self.pid)

    def waited_s(self) -> float:
        """Return the seconds for which the process was ready to run and waited for a processor."""
        return process.waited_s(self.pid)

    async def stop(self) -> None:
        """Stop the process with SIGTERM."""
        if self._process.poll() is None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait, STOP_LIMIT_S)

    def kill(self) -> None:
        """Kill the process without a chance to release its lease."""
        self._process.kill()
        self._process.wait()

    def _get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}{path}", timeout=5
            ) as response:
                text: str = response.read().decode()
                return text
        except (urllib.error.URLError, OSError):
            return ""


def ours(plane: Plane) -> Operator:
    """Start a replica of the project's operator, as the chart configures it."""
    environment = {
        "PURPLEFLEA_OPERATOR_LEASE_NAMESPACE": SYSTEM,
        "PURPLEFLEA_OPERATOR_LEASE_NAME": OPERATOR,
        "PURPLEFLEA_OPERATOR_LOG_LEVEL": "INFO",
    }
    return Operator(plane, [sys.executable, "-c", AS_IN_THE_IMAGE], environment)


def baseline(plane: Plane, program: Path, children: Path) -> Operator:
    """Start the baseline; `children` has the manifests that it creates for each agent."""
    return Operator(plane, [str(program), f"--children={children}"], {})


def free_port() -> int:
    """Return a port that no program of this network namespace uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
