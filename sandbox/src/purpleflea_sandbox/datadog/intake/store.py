"""Everything the intake keeps: metrics, traces, logs, events and service checks, each in its bounded memory.

It knows nothing of HTTP. What is built on it later (monitors, the fleet page) reads the same stores.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from purpleflea_sandbox.datadog.intake.check_store import CheckStore
from purpleflea_sandbox.datadog.intake.log_store import LogStore
from purpleflea_sandbox.datadog.intake.series import SeriesStore
from purpleflea_sandbox.datadog.intake.trace_store import TraceStore

_NEWEST = 5_000


def _ring() -> deque[Mapping[str, Any]]:
    return deque(maxlen=_NEWEST)


@dataclass(slots=True, kw_only=True)
class Store:
    """One organisation's data. Who writes, and who reads outside the event loop's thread, holds the lock."""

    series: SeriesStore = field(default_factory=SeriesStore)
    traces: TraceStore = field(default_factory=TraceStore)
    logs: LogStore = field(default_factory=LogStore)
    events: deque[Mapping[str, Any]] = field(default_factory=_ring)
    checks: CheckStore = field(default_factory=CheckStore)
    lock: threading.Lock = field(default_factory=threading.Lock)
