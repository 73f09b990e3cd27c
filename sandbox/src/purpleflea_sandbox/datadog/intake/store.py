"""All data of the intake in bounded memory: metrics, traces, logs, events and service checks.

It does not depend on HTTP. The evaluation of monitors and the fleet page read the same stores.
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

_MAX_EVENTS = 5_000


def _ring() -> deque[Mapping[str, Any]]:
    return deque(maxlen=_MAX_EVENTS)


@dataclass(slots=True, kw_only=True)
class Store:
    """Data of an organization. Hold the lock to write, and to read outside the event loop's thread."""

    series: SeriesStore = field(default_factory=SeriesStore)
    traces: TraceStore = field(default_factory=TraceStore)
    logs: LogStore = field(default_factory=LogStore)
    events: deque[Mapping[str, Any]] = field(default_factory=_ring)
    checks: CheckStore = field(default_factory=CheckStore)
    lock: threading.Lock = field(default_factory=threading.Lock)
