"""Store filled by single calls, at a time that the test sets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from purpleflea_sandbox.datadog.evaluation.conditions import EvaluationData, evaluate
from purpleflea_sandbox.datadog.evaluation.data_source import StoreSource
from purpleflea_sandbox.datadog.intake import messages
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.monitor_runner import MonitorRunner
from purpleflea_sandbox.datadog.queries import read

NOW = 1_800_000_000.0


@dataclass(kw_only=True)
class ReceivedData:
    """Received data and the current time; `ago` is in seconds before `now`."""

    now: float = NOW
    store: Store = field(default_factory=Store)
    monitors: list[Mapping[str, Any]] = field(default_factory=list)
    objectives: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def send(self, metric: str, kind: str, value: float, *tags: str, ago: float = 0) -> None:
        series = self.store.series.open(metric, kind, tags=tags, host="node-1", interval=10)
        self.store.series.add(series, int(self.now - ago), value)

    def gauge(self, metric: str, value: float, *tags: str, ago: float = 0) -> None:
        self.send(metric, "gauge", value, *tags, ago=ago)

    def count(self, metric: str, value: float, *tags: str, ago: float = 0) -> None:
        self.send(metric, "count", value, *tags, ago=ago)

    def distribution(self, metric: str, values: list[float], *tags: str, ago: float = 0) -> None:
        series = self.store.series.open(metric, "distribution", tags=tags, host="node-1")
        self.store.series.add_values(series, int(self.now - ago), values)

    def log(self, *, tags: str = "", ago: float = 0, service: str = "s", **attributes: Any) -> None:
        line = {"timestamp": int((self.now - ago) * 1000), "level": "INFO", **attributes}
        entry = {"message": json.dumps(line), "service": service, "ddtags": tags}
        self.store.logs.add(messages.log(entry, self.now))

    def span(self, name: str, seconds: float, *, ago: float = 0, **changes: Any) -> None:
        number = len(self.store.traces) + 1
        base = {
            "name": name,
            "service": "s",
            "resource": "r",
            "trace_id": number,
            "span_id": number,
            "start": int((self.now - ago - seconds) * 1e9),
            "duration": int(seconds * 1e9),
            "meta": {"env": "e"},
            "metrics": {"_dd.measured": 1},
        }
        self.store.traces.add([base | changes], ["agent_id:a"])

    def evaluation_data(self) -> EvaluationData:
        return EvaluationData(
            metrics=StoreSource(self.store), logs=self.store.logs, objectives=self.objectives
        )

    def values(self, query: str, kind: str = "query alert") -> dict[str, float | None]:
        """Return the current value of a monitor's query per group, by the last tag value of the group."""
        results = evaluate(read.condition(query, kind), self.evaluation_data(), self.now)
        return {
            (group[-1][1] if group else "*"): result.value
            for group, result in results.groups.items()
        }

    def monitor_runner(self) -> MonitorRunner:
        return MonitorRunner(
            self.store, lambda: self.monitors, lambda: self.objectives, lambda: self.now
        )


@pytest.fixture
def received() -> ReceivedData:
    return ReceivedData()


@pytest.fixture
def generated(repository: Path) -> Path:
    """Return the folder of this project's generated definitions."""
    return repository / "observability"
